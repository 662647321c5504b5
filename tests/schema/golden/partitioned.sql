create table whole (id int, day date, primary key (id, day)) partition by range (day);
create table whole_2025 partition of whole for values from ('2025-01-01') to ('2026-01-01');
create table whole_2026 (day date not null, id int not null);
alter table whole attach partition whole_2026 for values from ('2026-01-01') to ('2027-01-01');
select wamp.watch('whole', '{"topic": "com.example.whole.{op}.{id}"}');

CREATE TRIGGER wamp_delete AFTER DELETE ON public.whole REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.whole REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.whole FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.whole REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_delete AFTER DELETE ON public.whole_2025 REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.whole_2025 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.whole_2025 FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.whole_2025 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_delete AFTER DELETE ON public.whole_2026 REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_insert AFTER INSERT ON public.whole_2026 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_truncate AFTER TRUNCATE ON public.whole_2026 FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();
CREATE TRIGGER wamp_update AFTER UPDATE ON public.whole_2026 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION wamp.capture();

select json_agg(json_build_array(q.visible, q.virtual) order by x.n)
from json_array_elements($1) with ordinality as x (record, n)
cross join lateral (
  select true as visible,
    null as virtual
  from (
    select
  ) as r
) as q;

-- layout, columns: {"whole": ["id integer", "day date"], "whole_2026": ["day date", "id integer"]}
-- layout, deferrable: false
-- layout, key: ["id", "day"]
-- layout, name: "whole"
-- layout, partitions: {"whole_2025": "public.whole_2025", "whole_2026": "public.whole_2026"}
-- layout, schema: "public"
-- layout, stamps: ["whole", "whole_2025", "whole_2026"]
-- layout, types: ["date", "integer"]
-- layout, null: filled, reads, virtual
