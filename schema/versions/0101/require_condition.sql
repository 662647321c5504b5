-- The columns that a condition names.
--
-- Raises unless this is one condition over the columns of a table that always tells the same of a row.
-- PostgreSQL asks that of the condition of an index: so it is tried on a table without rows.
create or replace function wamp.require_condition(relation regclass, condition text) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    trial constant text := format('pg_temp.wamp_trial_%s', relation::oid);
    named text[];
begin
    begin
        execute format('create temporary table %s (like %s) on commit drop', trial, relation);
        execute format('create index on %s ((true)) where (%s)', trial, condition);
        -- What is one condition between brackets and between these words has no bracket too many.
        execute format('select case when %s then true end from %s as r', condition || e'\n', trial);
    exception when others then
        raise exception 'when: %', sqlerrm
            using errcode = sqlstate,
                hint = 'Write one SQL condition over the columns of the table that does not depend on time or '
                    'settings; functions and types of your own with their schema.';
    end;
    named := array(
        select a.attname
        from pg_index as i
        join pg_depend as d on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
            and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid and a.attnum > 0
        where i.indrelid = trial::regclass
        order by a.attnum);
    execute format('drop table %s', trial);
    return named;
end
$$;
