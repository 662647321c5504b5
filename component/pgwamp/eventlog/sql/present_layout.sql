-- The layout of table $1 as it is now; null if it is gone, or has more than $2 bytes.
select case when octet_length(k.layout) <= $2::bigint then k.layout end
from pg_class as c
cross join lateral (select wamp.layout(c.oid)::text as layout offset 0) as k
where c.oid = $1::bigint::oid
