create domain label as text;
create table shown (id int primary key, kind label, data jsonb, hidden text);
select wamp.watch('shown', '{"when": "kind <> ''draft'' and data->>''a'' = ''b''", "columns": ["id", "kind"]}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.shown REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.shown REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.shown FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.shown REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select (kind <> 'draft' and data->>'a' = 'b' ) is true as visible,
    null as virtual
  from (
    select r.kind,
      r.data::jsonb as data
    from json_to_record(x.record) as r (kind public.label, data text)
  ) as r
) as q;

-- condition of kind, data: kind <> 'draft' and data->>'a' = 'b'
-- layout, columns: {"shown": ["id integer", "kind label", "data jsonb", "hidden text"]}
-- layout, deferrable: false
-- layout, key: ["id"]
-- layout, name: "shown"
-- layout, reads: ["kind label", "data jsonb"]
-- layout, schema: "public"
-- layout, stamps: ["shown"]
-- layout, types: ["integer", "jsonb", "label", "text"]
-- layout, null: filled, partitions, virtual
