-- As define_capture with the options that a table is watched with: for everyone, as it adds nothing.
-- The table's owner may make triggers of it, for new partitions; nobody else can forge some with it.
create or replace function wamp.redefine_capture(relation regclass) returns text
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select wamp.define_capture(relation, wamp.watch_options(relation, w.options), pg_get_userbyid(c.relowner))
    from wamp.watched as w
    join pg_class as c on c.oid = w.relation
    where w.relation = redefine_capture.relation
$$;
