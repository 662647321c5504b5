-- Watched tables but $1 of which nobody has told: in a database of which only some tables were restored. With what is
-- known of them without asking how their rows read. It waits for no lock.
select w.relation::oid::bigint as relation, w.id::text as watch,
    case when w.condition is null then w.options else jsonb_set(w.options, '{when}', to_jsonb(w.condition)) end::text
        as options,
    jsonb_build_object(
        'schema', n.nspname, 'name', c.relname, 'key', null, 'deferrable', false, 'columns', null, 'filled', null,
        'partitions', (
            with recursive member as (
                select c.oid
                union all
                select i.inhrelid
                from member as m
                join pg_inherits as i on i.inhparent = m.oid and not i.inhdetachpending
                join pg_class as r on r.oid = i.inhrelid and r.relispartition
            )
            select jsonb_object_agg(m.oid::text, format('%s.%s', s.nspname, k.relname))
            from member as m
            join pg_class as k on k.oid = m.oid
            join pg_namespace as s on s.oid = k.relnamespace
            where m.oid <> c.oid),
        'reads', null, 'stamps', '{}'::jsonb, 'types', null, 'virtual', null)::text as layout
from wamp.watch as w
join pg_class as c on c.oid = w.relation
join pg_namespace as n on n.oid = c.relnamespace
where w.relation::oid::bigint <> all ($1::bigint[])
    and not exists (
        select from wamp.raw as r, wamp.progress as p
        where r.relation = w.relation and r.op = 'w' and not pg_visible_in_snapshot(r.xid, p.seen))
