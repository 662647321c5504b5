-- Stop publishing the changes of a table: wamp.unwatch('orders'). Harmless if it was not watched.
create or replace function wamp.unwatch(relation regclass) returns void
language plpgsql
as $$
declare
    name text;
begin
    foreach name in array array['wamp_insert', 'wamp_update', 'wamp_delete', 'wamp_truncate']
    loop
        if exists (
            select from pg_catalog.pg_trigger
            where tgrelid = relation and tgname = name and not tgisinternal
        ) then
            execute format('drop trigger %I on %s', name, relation);
        end if;
    end loop;
end
$$;
