-- Raw rows that snapshot $1 does not show: those of transactions that began after it, and of those that
-- were in progress in it and have ended since. At most $2 of them, with the texts of those that are short.
with now as materialized (
    select pg_current_snapshot() as snapshot, array(
        select running
        from pg_snapshot_xip($1::text::pg_snapshot) as running
        where pg_visible_in_snapshot(running, pg_current_snapshot())
    ) as ended
),
fresh as (
    {rows} where r.xid >= pg_snapshot_xmax($1::text::pg_snapshot)
    union all
    {rows} where r.xid = any (array(select unnest(ended) from now))
    limit $2
)
select now.snapshot::text as snapshot, f.* from now left join fresh as f on true
