-- Raise unless wamp.evaluate can do what a layout and a condition ask for: it runs as a role without rights,
-- which may not use a schema, or not call a function. Evaluates no row.
create or replace function wamp.require_evaluation(layout jsonb, condition text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if condition is not null or layout -> 'virtual' <> 'null' then
        perform wamp.evaluate(wamp.evaluation(layout, condition), '[]');
    end if;
exception when others then
    raise exception '%: %', case when condition is null then 'virtual columns' else 'when' end, sqlerrm
        using errcode = sqlstate,
            hint = (
                select format('It is evaluated as the role %s, which needs USAGE on the schemas of its types, '
                    'collations and functions, and EXECUTE on the functions.', p.proowner::regrole)
                from pg_proc as p where p.oid = 'wamp.evaluate(text, json)'::regprocedure);
end
$$;
