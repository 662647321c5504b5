-- Tell the sequencer of the layouts of tables that have changed: for the event trigger, which must be sure
-- whose rights this runs with, and therefore calls it once.
create or replace function wamp.note_layouts(relations regclass[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed regclass;
    options jsonb;
begin
    for changed, options in
        select w.relation, w.options from wamp.watch as w where w.relation = any (relations)
    loop
        perform wamp.require_columns(changed, options);
        perform wamp.note(changed, 'l', wamp.layout(changed));
    end loop;
end
$$;
