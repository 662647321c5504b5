-- Of a poll that takes several pages, from snapshot $1 to $2: the last transaction that left an event,
-- and whether one of them may not be on disk.
with whole as not materialized (
    select xid, deferred
    from wamp.event
    where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
        and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
    union all
    select xid, deferred
    from wamp.event
    where xid = any (array(select pg_snapshot_xip($1::text::pg_snapshot)))
        and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
)
select
    (select w.xid::text from whole as w order by w.xid desc limit 1) as newest,
    exists (select from whole where deferred) as deferred
