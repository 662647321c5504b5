-- Makes wamp.capture anew: where no event trigger tells that a table has other columns, it writes their hash, see
-- stamp.sql.
--
-- One line of the function says so. It can be repeated at any time; `pgwamp db upgrade` does so, as the owner of the
-- schema. It executes what stands here, and nothing of what it finds: a superuser's session may run it.
do $do$
declare
    is_told constant boolean := exists (
        select from pg_event_trigger where evtname = 'wamp_ddl_command_end' and evtenabled in ('O', 'A')
            and evtfoid = to_regprocedure('wamp.ddl_changed()'));
    definition constant text := $capture$
{{0101/capture}}$capture$;
begin
    execute case when is_told then definition else replace(
        definition, 'its_stamp constant integer := null;', 'its_stamp constant integer := wamp.stamp(tg_relid);') end;
end
$do$;
