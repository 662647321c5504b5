create table keyless (at timestamptz, line text);
alter table keyless replica identity full;
select wamp.watch('keyless', '{"old": "full"}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.keyless REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.keyless REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.keyless FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.keyless REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select true as visible,
    null as virtual
  from (
    select
  ) as r
) as q;

-- layout, columns: {"keyless": ["at timestamp with time zone", "line text"]}
-- layout, deferrable: false
-- layout, name: "keyless"
-- layout, schema: "public"
-- layout, stamps: ["keyless"]
-- layout, types: ["text", "timestamp with time zone"]
-- layout, null: filled, key, partitions, reads, virtual
