-- As define_capture with the options that a table is watched with. The event trigger and a capture that
-- fails call it: it takes nothing from its caller but the table.
create or replace function wamp.redefine_capture(relation regclass) returns text
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select wamp.define_capture(w.relation, wamp.watch_options(w.relation, w.options))
    from wamp.watched as w
    where w.relation = redefine_capture.relation
$$;
