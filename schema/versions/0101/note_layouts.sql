-- Tell the sequencer of the layouts of tables that have changed, and of relations whose rows columns of watched
-- tables can be made of. It knows which they are: so a statement on one table neither looks for them nor waits for
-- their owners. For the event trigger, which must be sure whose rights this runs with, and so calls it once.
--
-- A layout that cannot be had is told as unknown: rows come without values until it is told again. If not even that
-- can be told, the statement fails: else rows after it would be read as those before it.
create or replace function wamp.note_layouts(changed regclass[], altered regclass[], lost regclass[]) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- They would show the caller the options of a watch.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
as $$
declare
    noted regclass;
    options jsonb;
    condition_columns text[];
    said jsonb;
begin
    for noted, options, condition_columns in
        select w.relation, w.options, w.condition_columns
        from wamp.watch as w
        join pg_class as c on c.oid = w.relation
        where w.relation = any (lost)
            or c.reloftype in (select t.reltype from pg_class as t where t.oid = any (lost) and t.relkind = 'c')
    loop
        begin
            perform wamp.require_columns(noted, options, condition_columns);
        exception when undefined_column then
            -- A statement of somebody else does not fail for it: events of that table are for nobody then.
            if pg_has_role(session_user, (select c.relowner from pg_class as c where c.oid = noted), 'member') then
                raise;
            end if;
            raise warning '%', sqlerrm;
        end;
    end loop;
    for noted in
        with other as (
            select c.oid, c.reltype from pg_class as c where c.oid = any (altered)
            union
            -- A typed table has the columns of its type.
            select c.oid, c.reltype
            from pg_class as t
            join pg_depend as d on d.refclassid = 'pg_type'::regclass and d.refobjid = t.reltype
                and d.classid = 'pg_class'::regclass
            join pg_class as c on c.oid = d.objid and c.reloftype = t.reltype
            where t.oid = any (altered) and t.relkind = 'c'
        )
        select w.relation from wamp.watch as w where w.relation = any (changed)
        union
        select o.oid from other as o
    loop
        begin
            said := wamp.layout(noted)
                || jsonb_build_object('snapshot', pg_current_snapshot()::text, 'altered', true);
        exception when others then
            said := null;
            raise warning 'changes of % come without values until wamp.refresh(%): %',
                noted, quote_literal(noted), sqlerrm;
        end;
        begin
            perform wamp.note(noted, 'l', said);
        exception when lock_not_available then
            raise exception 'pgwamp cannot be told what becomes of %: wamp.raw is locked', noted
                using errcode = 'lock_not_available', hint = 'Try again; pg_locks says which session locks it.';
        end;
    end loop;
end
$$;
