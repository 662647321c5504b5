-- The layout of relation $1 as it is now, if nobody tells of it, or of the relations $2, behind place $3 of what
-- snapshot $4 does not show.
select wamp.layout(c.oid)::text
from pg_class as c
where c.oid = $1::bigint::oid and not exists (
    select from wamp.raw as r
    where r.xid >= pg_snapshot_xmin($4::text::pg_snapshot) and r.op = 'l' and r.place > '0/0'::pg_lsn + $3::numeric
        and r.relation = any ($2::bigint[]::oid[]) and not pg_visible_in_snapshot(r.xid, $4::text::pg_snapshot))
