-- Adapt the capture of a watched table to its columns, its key and its partitions as they are now.
--
-- Where event triggers are (see ddl_changed), this follows each ALTER TABLE by itself. Harmless for a
-- table that is not watched. For those who may watch.
create or replace function wamp.refresh(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    options constant jsonb := (select w.options from wamp.watched as w where w.relation = refresh.relation);
begin
    if options is not null then
        perform wamp.lay_triggers(relation, options, wamp.redefine_capture(relation));
    end if;
end
$$;
