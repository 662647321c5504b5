-- The first page of a poll: what is visible now and was not visible in snapshot $1.
--
-- Two index scans on (xid, id): transactions that began after the snapshot, and those that were
-- in progress in it and have ended since. Transactions before known are on disk, if they left anything:
-- one after them has been published. Of one that is not published nothing was removed, however old it is.
with now as materialized (
    select
        pg_current_snapshot() as snapshot,
        array(
            select running
            from pg_snapshot_xip($1::text::pg_snapshot) as running
            where pg_visible_in_snapshot(running, pg_current_snapshot())
        ) as ended
),
fresh as materialized (
    select *
    from (
        select * from wamp.event where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
        union all
        select * from wamp.event where xid = any (array(select unnest(ended) from now))
    ) as difference
    where $3::text is null or (relation_schema = $3 and relation = $4::text)
    order by id
    limit $2
)
select
    now.snapshot::text as snapshot,
    (
        select r.pruned >= pg_snapshot_xmax($1::text::pg_snapshot)
            or pg_snapshot_xmin($1::text::pg_snapshot) <> '1'::xid8 and exists (
                select from unnest(now.ended) as x
                where x <= r.pruned and pg_visible_in_snapshot(x, p.published)
            )
        from wamp.retention as r, wamp.publisher as p
    ) as expired,
    (select pg_snapshot_xmax(published)::text from wamp.publisher) as known,
    e.*
from now
left join lateral (
{events}
) as e on true
