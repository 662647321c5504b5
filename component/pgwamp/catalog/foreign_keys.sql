-- Foreign keys between the tables $1. Those of others would fill memory: any role can make many.
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
where k.conrelid = any ($1::oid[])
    and k.confrelid = any ($1::oid[])
    and k.contype = 'f'
    -- Those of partitions repeat their parent's.
    and k.conparentid = 0
order by k.conrelid, k.conname
