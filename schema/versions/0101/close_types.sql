-- Let nobody make columns of our row types, which would keep tables from being changed: PostgreSQL gives
-- USAGE to all. An array has the rights of its element.
do $$
declare
    command text;
begin
    for command in
        select format('revoke usage on type %s from public', oid::regtype)
        from pg_type
        where typnamespace = 'wamp'::regnamespace and typtype = 'c'
    loop
        execute command;
    end loop;
end
$$;
