-- Names this database in this cluster. Transaction ids, and so cursors, mean something only here.
create or replace function wamp.cluster() returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select to_hex((select system_identifier from pg_control_system()))
        || '-' || to_hex((select oid from pg_database where datname = current_database())::bigint)
$$;
