-- Writes where in the WAL a transaction ends that has changed a table whose key is checked at the end.
--
-- There another transaction can hold the key until it commits, after our statement: then what it has changed
-- came before. PostgreSQL waits for it when it checks the key, at our end, and this trigger fires after that.
create or replace function wamp.capture_end() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- As in wamp.capture.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
as $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    if signal is not null then
        insert into wamp.raw (turn, xid, place, n, depth, relation, op)
        values (signal / 2 % 3, pg_current_xact_id(), pg_current_wal_insert_lsn(), 0, 0, tg_relid, '-');
    end if;
    return null;
end
$$;
