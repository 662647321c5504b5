-- As define_capture with the options that a table is watched with: for everyone, as it adds nothing.
create or replace function wamp.redefine_capture(relation regclass) returns text
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select wamp.define_capture(relation, wamp.watch_options(relation, w.options), session_user)
    from wamp.watched as w
    where w.relation = redefine_capture.relation
$$;
