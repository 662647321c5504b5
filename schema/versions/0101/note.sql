-- Tell the sequencer something of a table, in the order of the changes: raw rows before it are read as they
-- were, those after it by what is told here.
create or replace function wamp.note(relation regclass, op "char", said jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
begin
    -- Also in a copy of the schema without data: the sequencer reads it when it is there.
    insert into wamp.raw (turn, xid, place, n, depth, relation, op, new)
    values (
        coalesce(signal / 2 % 3, 0), pg_current_xact_id(), pg_current_wal_insert_lsn(), 0, 0,
        note.relation, note.op, said::text);
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
end
$$;
