-- Tell of the watched table $1, if it can be read: rows are read by this from its place on. Nobody may have said whether
-- partitions that are new with this came with rows.
select wamp.note(
    w.relation, 'l',
    k.layout || jsonb_build_object(
        'snapshot', pg_current_snapshot()::text,
        'filled', (
            select jsonb_agg(p.key::bigint)
            from jsonb_each(case when k.layout -> 'partitions' <> 'null' then k.layout -> 'partitions' end) as p)))
from wamp.watch as w
join pg_class as c on c.oid = w.relation
cross join lateral (select wamp.layout(w.relation) as layout offset 0) as k
where w.relation::oid = $1::bigint::oid and k.layout -> 'types' <> 'null'
