-- Makes wamp.capture anew: where no event trigger tells that a table has other columns, it writes their hash, as
-- wamp.stamp makes it. That stands in the function itself: a call of a function with settings takes three times as long.
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
    -- Zero is the hash of nobody's columns: the event comes without values.
    stamp constant text := $stamp$case
        when current_setting('transaction_isolation') in ('repeatable read', 'serializable')
            and wamp.is_outdated(relation) then 0
        else {{0101/columns_hash}}
    end$stamp$;
begin
    execute case when is_told then definition else replace(
        definition, 'its_stamp constant integer := null;',
        'its_stamp constant integer := ' || replace(stamp, 'relation', 'tg_relid') || ';') end;
end
$do$;
