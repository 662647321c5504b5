-- Which of the relations $1 are told of behind the row at place $3 of transaction $2, among what snapshot $4 does not
-- show: in the same transaction, or in one that ends later.
with ending as (
    select (select max(r.place) from wamp.raw as r where r.xid = $2::text::xid8) as place
)
select coalesce(array_agg(distinct r.relation::oid::bigint), '{}')
from ending, wamp.raw as r
where r.xid >= pg_snapshot_xmin($4::text::pg_snapshot) and r.op = 'l' and r.relation = any ($1::bigint[]::oid[])
    and not pg_visible_in_snapshot(r.xid, $4::text::pg_snapshot)
    and case
        when r.xid = $2::text::xid8 then r.place > '0/0'::pg_lsn + $3::bigint::numeric
        else ((select max(o.place) from wamp.raw as o where o.xid = r.xid), r.xid) > (ending.place, $2::text::xid8)
    end
