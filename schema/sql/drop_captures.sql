-- Drop the functions of tables that are no longer watched, or no longer there.
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
        execute format('drop function wamp.%I()', name);
    end loop;
end
$$;
