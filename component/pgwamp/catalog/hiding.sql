-- Relations that keep rows from some roles: tables with row level security, views with a security
-- barrier, and the views of either.
with recursive hiding (oid) as (
    select c.oid
    from pg_class as c
    -- Anybody may create temporary tables.
    where c.relpersistence <> 't' and (c.relrowsecurity
        or exists (
            select from pg_options_to_table(c.reloptions) as o
            where o.option_name = 'security_barrier' and o.option_value::boolean
        ))
    union
    select r.ev_class
    from hiding as h
    join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = h.oid
        and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite as r on r.oid = d.objid
    -- Rules of tables say nothing about what reading them shows.
    join pg_class as c on c.oid = r.ev_class and c.relkind in ('v', 'm')
)
select oid::bigint as oid from hiding
