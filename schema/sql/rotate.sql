-- Retention: six partitions are written in turn, and the one whose turn comes next is emptied.
--
-- Called now and then by the publisher. A turn lasts a quarter of the time to keep, so that an
-- event stays for at least that time. Writers only read which slot is current: when nobody calls
-- this, nothing is lost and nothing fails, the current partition just grows. A partition that
-- holds an event which is not published yet, or is locked by an open transaction, is left alone.
-- Returns the slot that was emptied and is current now, or null if it was not time.
create or replace function wamp.rotate(keep interval) returns smallint
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
as $$
declare
    next_slot smallint;
    partition regclass;
    newest xid8;
    published pg_snapshot;
    unpublished boolean;
begin
    select (slot + 1) % 6 into next_slot
    from wamp.retention
    where rotated_at < now() - keep / 4
    for update skip locked;
    if not found then
        return null;
    end if;
    partition := format('wamp.event_%s', next_slot)::regclass;
    begin
        execute format('lock table %s in access exclusive mode', partition);
    exception when lock_not_available then
        return null;
    end;
    select p.published into published from wamp.publisher as p;
    execute format(
        'select exists (select from %s where not pg_visible_in_snapshot(xid, $1))', partition)
    into unpublished using published;
    if unpublished then
        return null;
    end if;
    execute format('select xid from %s order by xid desc limit 1', partition) into newest;
    execute format('truncate %s', partition);
    update wamp.retention
    set slot = next_slot, rotated_at = now(), pruned = greatest(pruned, newest);
    return next_slot;
end
$$;
