-- Foreign keys of all schemas: a view can show tables of a schema that is not exposed.
select
    k.conname as name,
    k.conrelid::bigint as source,
    k.confrelid::bigint as target,
    array(
        select a.attname::text
        from unnest(k.conkey) with ordinality as c (attnum, position)
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.attnum
        order by c.position
    ) as columns,
    array(
        select a.attname::text
        from unnest(k.confkey) with ordinality as c (attnum, position)
        join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = c.attnum
        order by c.position
    ) as target_columns
from pg_constraint as k
-- Anybody may create temporary tables.
join pg_class as c on c.oid = k.conrelid and c.relpersistence <> 't'
-- Those of partitions repeat their parent's.
where k.contype = 'f' and k.conparentid = 0
order by k.conrelid, k.conname
