-- The watched tables and their columns.
select
    w.relation_schema as schema,
    w.relation_name as name,
    w.key_columns as key,
    w.options::text as options,
    (
        select json_agg(json_build_object(
            'name', a.attname,
            'type', a.atttypid::bigint,
            'nullable', not a.attnotnull
        ) order by a.attnum)
        from pg_attribute as a
        where a.attrelid = w.relation and a.attnum > 0 and not a.attisdropped
    ) as columns
from wamp.watched as w
