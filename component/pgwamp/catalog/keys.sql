-- The primary keys and unique indexes of the tables and materialized views $1.
select
    i.indrelid::bigint as oid,
    i.indisprimary as primary,
    array(
        select a.attname::text
        from unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.position <= i.indnkeyatts
        order by k.position
    ) as columns
from pg_index as i
where i.indrelid = any ($1::oid[])
    and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null
order by i.indrelid, i.indexrelid
