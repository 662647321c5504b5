-- Writes what a statement has changed: the text of each row, as its output functions write it.
--
-- One function serves every watched table. It knows no options and makes no events; the sequencer does
-- that from the rows of wamp.raw. So it does as little as it can in the transaction of a writer:
--
-- - Only output functions run, which are a superuser's. Casts, such as those that to_jsonb and row_to_json
--   look for, can be anybody's.
-- - All settings that show in the text of a value are pinned, so that nothing of the writer's session does.
-- - Old and new rows of an UPDATE are paired by position: PostgreSQL appends both to their transition tables
--   at the same moment. Only when a row moves to another partition, and a trigger there refuses it, are there
--   more old rows than new ones: then all are deletes and inserts.
-- - The place in the WAL at which the statement's rows are written orders them between transactions: a row
--   that two transactions change is locked until the first has committed.
-- - An error, such as a text of more than a gigabyte, leaves a row without texts that marks the statement.
--   The text of a single row is made in the block that catches errors and written after it: a block that
--   writes takes a transaction id of its own, and after 64 of them a transaction slows down every snapshot.
--   Full disks, cancels and timeouts fail the statement, as they would without it.
create or replace function wamp.capture() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set quote_all_identifiers = off
-- They would tell the writer the columns that it may not read.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
as $$
#variable_conflict use_variable
declare
    signal constant bigint := pg_sequence_last_value('wamp.signal'::regclass);
    its_place constant pg_lsn := pg_current_wal_insert_lsn();
    -- Without event triggers a hash of the columns, see stamps.sql.
    its_stamp constant integer := null;
    -- See raw.sql.
    its_changed constant integer := (pg_stat_get_xact_tuples_inserted(tg_relid)
        + pg_stat_get_xact_tuples_updated(tg_relid) + pg_stat_get_xact_tuples_deleted(tg_relid)) % 2147483648;
    its_op "char" := lower(tg_op collate "C");
    old_text text;
    new_text text;
    is_single boolean := false;
begin
    if signal is null then
        return null;
    end if;
    begin
        if tg_op = 'INSERT' then
            select textin(record_out(r.*)) into new_text from new_rows as r
            where not exists (select from new_rows as s offset 1) limit 1;
        elsif tg_op = 'DELETE' then
            select textin(record_out(r.*)) into old_text from old_rows as r
            where not exists (select from old_rows as s offset 1) limit 1;
        elsif tg_op = 'UPDATE' then
            select textin(record_out(r.*)), textin(record_out(s.*)) into old_text, new_text
            from old_rows as r cross join new_rows as s
            where not exists (select from old_rows as t offset 1) limit 1;
        end if;
        is_single := found or tg_op = 'TRUNCATE';
    exception when others then
        is_single := true;
        its_op := upper(its_op::text collate "C");
    end;
    if is_single then
        insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
        values (
            signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, 1, pg_trigger_depth(), tg_relid,
            its_op, old_text, new_text);
    else
        begin
            if tg_op = 'INSERT' then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, its_op, null, textin(record_out(r.*))
                from new_rows as r;
            elsif tg_op = 'DELETE' then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, its_op, textin(record_out(r.*)), null
                from old_rows as r;
            elsif (select count(*) from old_rows as r) = (select count(*) from new_rows as s) then
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, o.number,
                    pg_trigger_depth(), tg_relid, its_op, o.record, w.record
                from (
                    select row_number() over () as number, textin(record_out(r.*)) as record
                    from old_rows as r
                ) as o
                join (
                    select row_number() over () as number, textin(record_out(s.*)) as record
                    from new_rows as s
                ) as w on w.number = o.number;
            else
                insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op, old, new)
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, row_number() over (),
                    pg_trigger_depth(), tg_relid, 'd', textin(record_out(r.*)), null
                from old_rows as r
                union all
                select signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place,
                    (select count(*) from old_rows as o) + row_number() over (), pg_trigger_depth(),
                    tg_relid, 'i', null, textin(record_out(s.*))
                from new_rows as s;
            end if;
            if not found then
                return null;
            end if;
        exception when others then
            insert into wamp.raw (turn, stamp, changed, xid, place, n, depth, relation, op)
            values (
                signal / 2 % 3, its_stamp, its_changed, pg_current_xact_id(), its_place, 1,
                pg_trigger_depth(), tg_relid, upper(its_op::text collate "C"));
        end;
    end if;
    -- Asked again, now that the rows are written: a sequencer that falls asleep in between waits for us.
    if pg_sequence_last_value('wamp.signal'::regclass) % 2 = 1 and pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('wamp.raw', '');
    end if;
    return null;
end
$$;
revoke execute on function wamp.capture() from public;
