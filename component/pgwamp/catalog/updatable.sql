-- The kinds of writes that relations $1 take. PostgreSQL opens them to tell.
select
    r.oid::bigint as oid,
    pg_relation_is_updatable(r.oid, true) as events,
    -- Without triggers: such a view shows the rows of one table, one for one.
    c.relkind = 'v' and pg_relation_is_updatable(r.oid, false) <> 0 as simple
from unnest($1::oid[]) as r (oid)
join pg_class as c on c.oid = r.oid
