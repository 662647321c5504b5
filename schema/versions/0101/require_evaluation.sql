-- Raise unless wamp.evaluate can do what a layout and a condition ask for: it runs as a role without rights,
-- which may not use a schema, or not call a function. Evaluates no row.
--
-- What a condition calls can be anybody's: what it has done is undone, and does not stay with the watch.
create or replace function wamp.require_evaluation(layout jsonb, condition text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    is_done boolean := condition is null and layout -> 'virtual' = 'null';
begin
    if is_done then
        return;
    end if;
    if to_regprocedure('wamp.evaluate(text, json)') is null then
        raise exception 'the function wamp.evaluate is missing, which evaluates %',
            case when condition is null then 'virtual columns' else '"when"' end
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    end if;
    begin
        perform wamp.evaluate(wamp.evaluation(layout, condition), '[]');
        is_done := true;
        raise exception 'done';
    exception when others then
        if not is_done then
            raise exception '%: %', case when condition is null then 'virtual columns' else 'when' end, sqlerrm
                using errcode = sqlstate,
                    hint = coalesce((
                        select format('It is evaluated as the role %s, which needs USAGE on the schemas of its '
                            'types, collations and functions, and EXECUTE on the functions.', p.proowner::regrole)
                        from pg_proc as p where p.oid = to_regprocedure('wamp.evaluate(text, json)')),
                        'Try again.');
        end if;
    end;
end
$$;
