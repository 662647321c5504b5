-- SQL that makes JSON of some columns of the row r, or of all if none is named. A column that is
-- computed when it is read is not in the rows of a trigger: its expression stands in for it.
create or replace function wamp.row_source(relation regclass, columns text[]) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format('(select row_to_json(v.*) from (select %s) as v)', string_agg(
        case when a.attgenerated = 'v' then format('(%s) as %I', pg_get_expr(d.adbin, d.adrelid), a.attname)
            else format('r.%I', a.attname) end,
        ', ' order by a.attnum))
    from pg_attribute as a
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
        and (columns = '{}' or a.attname = any (columns))
$$;
