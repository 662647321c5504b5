-- Names of the columns, and the keys, of the tables $1 that views show.
select
    c.oid::bigint as oid,
    (
        select json_object_agg(a.attnum, a.attname)
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns,
    (
        select json_agg(json_build_object('primary', i.indisprimary, 'columns', (
            select json_agg(a.attname order by k.position)
            from unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
            join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
            where k.position <= i.indnkeyatts
        )) order by i.indexrelid)
        from pg_index as i
        where i.indrelid = c.oid
            and i.indisunique and i.indisvalid
            and i.indpred is null and i.indexprs is null
    ) as keys
from pg_class as c
where c.oid = any ($1::oid[])
