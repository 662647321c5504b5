-- Drops the raw rows of another server that were made into events there: all that seen shows, and of what taking
-- shows beyond it the transactions and statements before the one that was being taken.
--
-- What was written here since can look as if it was seen there: that is younger than all events.
delete from wamp.raw as r
using wamp.progress as p,
    (select xid, max(place) as ending from wamp.raw group by xid) as t
where t.xid = r.xid
    and r.at <= (select max(e.at) from wamp.log as e)
    and (pg_visible_in_snapshot(r.xid, p.seen)
        or pg_visible_in_snapshot(r.xid, p.taking) and (
            (t.ending, r.xid) < (p.taken_place, p.taken_xid)
            or r.xid = p.taken_xid and (r.place, r.n) <= (p.taken_after, p.taken_number)))
