create table later (id int primary key deferrable, name text);
select wamp.watch('later', '{}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.later REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE CONSTRAINT TRIGGER wamp_end AFTER INSERT OR UPDATE ON public.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wamp.capture_end();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.later REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.later FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.later REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select true as visible,
    null as virtual
  from (
    select
  ) as r
) as q;

-- layout, columns: {"later": ["id integer", "name text"]}
-- layout, deferrable: true
-- layout, key: ["id"]
-- layout, name: "later"
-- layout, schema: "public"
-- layout, stamps: ["later"]
-- layout, types: ["integer", "text"]
-- layout, null: filled, partitions, reads, virtual
