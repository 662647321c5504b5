-- Tell the sequencer of the layouts of tables that have changed, and of those with columns whose types belong
-- to tables that were altered: what a composite has, and so how its values read, changes without the tables
-- that use it. For the event trigger, which must be sure whose rights this runs with, and so calls it once.
create or replace function wamp.note_layouts(changed regclass[], altered regclass[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    noted regclass;
    options jsonb;
    condition_columns text[];
begin
    for noted, options, condition_columns in
        with recursive used (type) as (
            select k.reltype from pg_class as k where k.oid = any (altered) and k.reltype <> 0
            union
            select n.type
            from used as u
            cross join lateral (
                select k.typarray from pg_type as k where k.oid = u.type and k.typarray <> 0
                union all
                select k.oid from pg_type as k where k.typbasetype = u.type
                union all
                select k.reltype from pg_attribute as a join pg_class as k on k.oid = a.attrelid
                where a.atttypid = u.type and a.attnum > 0 and k.reltype <> 0
            ) as n (type)
        )
        select w.relation, w.options, w.condition_columns
        from wamp.watch as w
        where w.relation = any (changed)
            or w.relation in (select k.oid from used as u join pg_class as k on k.reltype = u.type)
    loop
        -- A statement on another table neither fails for it, nor tells of it.
        if noted = any (changed) then
            perform wamp.require_columns(noted, options, condition_columns);
        end if;
        perform wamp.note(noted, 'l', wamp.layout(noted));
    end loop;
end
$$;
