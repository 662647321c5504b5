-- Names of the columns of the tables $1 that views show.
select
    c.oid::bigint as oid,
    (
        select json_object_agg(a.attnum, a.attname)
        from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_class as c
where c.oid = any ($1::oid[])
