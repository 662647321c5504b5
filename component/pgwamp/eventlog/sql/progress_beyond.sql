-- The last position of the log, and whether everything that snapshot $1 shows was made into events.
--
-- A look that finds nothing stores nothing: so it counts whether there is a raw row. What is taken in parts counts
-- when all of it was taken.
select p.position, p.mark, date_part('epoch', pg_postmaster_start_time()) as server,
    not exists (
        select from wamp.raw as r
        where r.xid >= pg_snapshot_xmax(p.seen) and r.xid < pg_snapshot_xmax($1::text::pg_snapshot)
            and pg_visible_in_snapshot(r.xid, $1::text::pg_snapshot)
    ) and not exists (
        select from wamp.raw as r
        where r.xid = any (array(select pg_snapshot_xip(p.seen)))
            and pg_visible_in_snapshot(r.xid, $1::text::pg_snapshot)
    ) as is_beyond
from wamp.progress as p
