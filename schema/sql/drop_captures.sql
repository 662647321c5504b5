-- Drop the functions of tables that are no longer watched, or no longer there.
--
-- PostgreSQL asks for EXECUTE when a function is called, not when a view comes to depend on it: any role
-- that may make temporary views can keep a function. Without a trigger it does nothing, and a later call
-- drops it.
create or replace function wamp.drop_captures() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    name text;
begin
    for name in
        select p.proname
        from pg_proc as p
        where p.pronamespace = 'wamp'::regnamespace and p.proname like 'capture\_%'
            and p.prorettype = 'trigger'::regtype
            and not exists (select from pg_trigger as t where t.tgfoid = p.oid)
    loop
        begin
            -- Another transaction may drop the same one.
            execute format('drop function if exists wamp.%I()', name);
        exception when dependent_objects_still_exist then
            null;
        end;
    end loop;
end
$$;
