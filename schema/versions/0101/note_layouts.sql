-- Tell the sequencer of the layouts of tables that have changed, and of those whose columns have types that
-- have: for the event trigger, which must be sure whose rights this runs with, and therefore calls it once.
create or replace function wamp.note_layouts(changed regclass[], beside regclass[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    noted regclass;
    options jsonb;
begin
    for noted, options in
        select w.relation, w.options from wamp.watch as w where w.relation = any (changed || beside)
    loop
        -- A statement on another table neither fails for it, nor tells of it.
        if noted = any (changed) then
            perform wamp.require_columns(noted, options);
        end if;
        perform wamp.note(noted, 'l', wamp.layout(noted));
    end loop;
end
$$;
