-- A condition as PostgreSQL has understood it, and the columns that it names.
--
-- Raises unless this is one condition over the columns of a table that always tells the same of a row.
-- PostgreSQL asks that of the condition of an index: so it is tried on a table without rows.
--
-- What constants say can depend on settings, and on the time ('now'): then the condition is what PostgreSQL has
-- read, by these settings. Else it is the given text, whose constants go on to fit a type that is renamed.
create or replace function wamp.require_condition(
    relation regclass, given text, out condition text, out columns text[])
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set quote_all_identifiers = off
set standard_conforming_strings = on
set transform_null_equals = off
set xmloption = content
as $$
declare
    trial constant text := format('pg_temp.wamp_trial_%s', relation::oid);
    -- Types whose texts mean the same under every setting, beside enums.
    plain constant regtype[] :=
        '{boolean,bigint,integer,smallint,oid,numeric,real,double precision,text,varchar,bpchar,name,uuid,json,jsonb}';
begin
    begin
        execute format('create temporary table %s (like %s) on commit drop', trial, relation);
        execute format('create index on %s ((true)) where (%s)', trial, given);
        -- What is one condition between brackets and between these words has no bracket too many.
        execute format('select case when %s then true end from %s as r', given || e'\n', trial);
    exception when others then
        raise exception 'when: %', sqlerrm
            using errcode = sqlstate,
                hint = 'Write one SQL condition over the columns of the table that does not depend on time or '
                    'settings; functions and types of your own with their schema.';
    end;
    select
        case
            when exists (
                select from regexp_matches(i.indpred::text, ':consttype (\d+)', 'g') as m
                join pg_type as t on t.oid = m[1]::oid
                where t.oid <> all (plain) and t.typtype <> 'e'
            ) then pg_get_expr(i.indpred, i.indrelid)
            else given
        end,
        array(
            select a.attname
            from pg_depend as d
            join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = d.refobjsubid and a.attnum > 0
            where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid
            order by a.attnum)
    into condition, columns
    from pg_index as i
    where i.indrelid = trial::regclass;
    execute format('drop table %s', trial);
end
$$;
