select
    r.xid::text::bigint as xid, r.at, r.sent, (r.place - '0/0'::pg_lsn)::bigint as place, r.n,
    -- A change of the row, if only in vain, has put another command in the place of this one.
    case when r.xmax = 0 then r.cmin::text::bigint else -1 end as command,
    r.depth, r.relation::oid::bigint as relation, r.changed, r.stamp, r.op::text as op,
    case when s.size <= 16384 then r.old end as old, case when s.size <= 16384 then r.new end as new,
    s.size, r.turn, r.ctid::text as ctid
from wamp.raw as r
cross join lateral (
    select coalesce(octet_length(r.old), 0)::bigint + coalesce(octet_length(r.new), 0) as size offset 0
) as s
