create table plain (id int primary key, name text);
select wamp.watch('plain', '{}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.plain REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.plain REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.plain FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.plain REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select true as visible,
    null as virtual
  from (
    select
  ) as r
) as q;

-- layout, columns: {"plain": ["id integer", "name text"]}
-- layout, deferrable: false
-- layout, key: ["id"]
-- layout, name: "plain"
-- layout, schema: "public"
-- layout, stamps: ["plain"]
-- layout, types: ["integer", "text"]
-- layout, null: filled, partitions, reads, virtual
