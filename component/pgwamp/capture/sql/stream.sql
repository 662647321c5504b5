-- Raw rows that snapshot $2 shows and snapshot $1 does not, transaction after transaction; those of the
-- transaction $4 that ends at place $3, and of those after it.
--
-- A row that two transactions change is locked until the first has committed: so all of a transaction can
-- stand where its last statement has written.
select *
from (
    select *, max(r.place) over (partition by r.xid) as ending
    from (
        {rows} where r.xid >= pg_snapshot_xmax($1::text::pg_snapshot)
            and pg_visible_in_snapshot(r.xid, $2::text::pg_snapshot)
        union all
        {rows} where r.xid = any (array(select pg_snapshot_xip($1::text::pg_snapshot)))
            and pg_visible_in_snapshot(r.xid, $2::text::pg_snapshot)
    ) as r
) as r
where (r.ending, r.xid) >= ($3::bigint, $4::bigint)
order by r.ending, r.xid, r.place, r.n
