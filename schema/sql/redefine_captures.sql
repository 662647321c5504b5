-- Adapt the captures of these tables to what they are now: for the event trigger, which must be sure whose
-- rights this runs with, and therefore calls it once.
create or replace function wamp.redefine_captures(relations regclass[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass;
begin
    foreach relation in array relations loop
        perform wamp.redefine_capture(relation);
    end loop;
end
$$;
