-- SQL that makes JSON of some columns of the row r.
create or replace function wamp.row_source(relation regclass, columns text[]) returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format('(select row_to_json(v.*) from (select %s) as v)', string_agg(
        format('r.%I', a.attname), ', ' order by a.attnum))
    from pg_attribute as a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped and a.attname = any (columns)
$$;
