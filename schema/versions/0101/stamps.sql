-- Where no event trigger tells that a table has other columns, wamp.capture writes their hash: see stamp.sql.
--
-- One line of the function says so. It can be repeated at any time; `pgwamp db upgrade` does so.
do $do$
declare
    plain constant text := 'its_stamp constant integer := null;';
    stamped constant text := 'its_stamp constant integer := wamp.stamp(tg_relid);';
    is_told constant boolean := exists (
        select from pg_event_trigger where evtname = 'wamp_ddl_command_end' and evtenabled <> 'D');
    was constant text := case when is_told then stamped else plain end;
    definition constant text := pg_get_functiondef('wamp.capture()'::regprocedure);
begin
    if position(was in definition) > 0 then
        execute replace(definition, was, case when is_told then plain else stamped end);
    end if;
end
$do$;
