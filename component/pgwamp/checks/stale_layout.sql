-- Why rows of the watched table $1 do not read by its columns as they are now; null if they do. For a search path of
-- pg_catalog, pg_temp.
--
-- They read by the last note that is not taken yet, else by what the sequencer knows. Which partitions have rows
-- changes with each write.
with fresh as (
    select r.relation, r.new, r.place, r.n
    from wamp.raw as r
    where r.op in ('w', 'l') and not pg_visible_in_snapshot(r.xid, (select p.seen from wamp.progress as p))
),
known as (
    select k.told
    from (
        select f.new::jsonb as told, 1 as age, f.place, f.n from fresh as f where f.relation = $1::oid
        union all
        select k.layout::jsonb, 2, null, null from wamp.layout as k where k.relation = $1::oid
    ) as k
    order by k.age, k.place desc, k.n desc
    limit 1
)
select case
    when now.told -> 'types' = 'null' then 'it has too many columns, or they have too many types or attributes'
    when coalesce(known.told -> 'types', 'null') = 'null' then 'how its rows read could not be told'
    when now.told - 'filled' <> known.told - '{filled,options,watch,snapshot,altered}'::text[]
        -- A note of a table whose rows are among its values changes it too.
        and not exists (
            select from fresh as f
            join jsonb_array_elements(known.told -> 'types') as t (type)
                on (t.type ->> 'relid')::oid = f.relation and f.relation <> $1::oid)
        then 'its columns, their types or its key have changed since'
end
from wamp.layout($1::oid) as now (told)
cross join known
