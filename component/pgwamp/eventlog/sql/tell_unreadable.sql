-- Rows are read by these from the place of this note on. Of $2 not even the partitions are known.
select wamp.note(
    w.relation, case when w.relation::oid = any ($2::bigint[]::oid[]) then 'w' else 'l' end::"char",
    wamp.layout(w.relation) || jsonb_build_object(
        'options', w.options, 'watch', w.id, 'snapshot', pg_current_snapshot()::text))
from wamp.watch as w
join pg_class as c on c.oid = w.relation
where w.relation::oid = any ($1::bigint[]::oid[])
