-- SQL for the rows of a trigger as they would be read from the table. A column that is computed when it
-- is read (VIRTUAL) is null in them: its expression stands in for it.
create or replace function wamp.rows_source(relation regclass, rows text) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case when bool_or(a.attgenerated = 'v')
        then format('(select %s from %s)', string_agg(
            case when a.attgenerated = 'v' then format('(%s) as ', pg_get_expr(d.adbin, d.adrelid))
                else '' end || quote_ident(a.attname),
            ', ' order by a.attnum), rows)
        else rows end
    from pg_attribute as a
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;
