-- Raise unless this is one condition over the columns of a table that always tells the same of a row.
-- PostgreSQL asks that of the condition of an index: so it is tried on a table without rows.
create or replace function wamp.require_condition(relation regclass, condition text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    trial constant text := format('pg_temp.wamp_trial_%s', relation::oid);
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
    execute format('drop table %s', trial);
end
$$;
