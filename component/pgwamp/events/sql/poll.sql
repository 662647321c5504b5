-- The first page of a poll: what is visible now and was not visible in snapshot $1.
--
-- Two index scans on (xid, id): transactions that began after the snapshot, and those that were
-- in progress in it. durable says whether the WAL behind this snapshot is flushed: before that, a
-- crash could let PostgreSQL give the same transaction ids to other transactions, and a cursor
-- would take those for seen.
with now as materialized (
    select
        pg_current_snapshot() as snapshot,
        pg_current_wal_insert_lsn() as written
)
select
    now.snapshot::text as snapshot,
    (select pg_current_wal_flush_lsn() >= now.written) as durable,
    (
        select pruned >= pg_snapshot_xmax($1::text::pg_snapshot)
            or pg_snapshot_xmin($1::text::pg_snapshot) <> '1'::xid8 and exists (
                select from pg_snapshot_xip($1::text::pg_snapshot) as running
                where running <= pruned and pg_visible_in_snapshot(running, now.snapshot)
            )
        from wamp.retention
    ) as expired,
    e.*
from now
left join lateral (
    select
        n.id, n.xid::text as xid, (n.created_at at time zone 'UTC')::text || '+00' as created_at, n.topic,
        n.relation_schema, n.relation, n.op,
        n.args::text as args, n.kwargs::text as kwargs, n.options::text as options
    from (
        select *
        from wamp.event
        where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
        union all
        select *
        from wamp.event
        where xid = any (array(select pg_snapshot_xip($1::text::pg_snapshot)))
    ) as n
    where $3::text is null or (n.relation_schema = $3 and n.relation = $4::text)
    order by n.id
    limit $2
) as e on true
