-- Adapt a watched table to its columns, its key and its partitions as they are now.
--
-- Where event triggers are (see ddl_changed), this follows each ALTER TABLE by itself. Harmless for a table
-- that is not watched. For those who may watch.
create or replace function wamp.refresh(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '10s'
as $$
begin
    if exists (select from wamp.watch as w where w.relation = refresh.relation) then
        perform wamp.create_triggers(relation);
        perform wamp.note(
            relation, 'l', wamp.layout(relation) || jsonb_build_object('snapshot', pg_current_snapshot()::text));
    end if;
end
$$;
