-- The functions and procedures of schemas $1 that a caller can use.
select
    n.nspname as schema,
    p.proname as name,
    p.prokind::text as kind,
    p.provolatile::text as volatility,
    p.proretset as returns_set,
    p.prorows::float8 as rows,
    p.prorettype::bigint as returns,
    p.proargnames as argument_names,
    p.proargmodes::text[] as argument_modes,
    coalesce(p.proallargtypes, p.proargtypes::oid[])::bigint[] as argument_types,
    p.pronargdefaults as defaults,
    -- It may commit by itself. PostgreSQL allows that to procedures in some languages, without
    -- SECURITY DEFINER and SET; in PL/pgSQL it takes one of these words.
    p.prokind = 'p'
        and not p.prosecdef
        and p.proconfig is null
        and l.lanname <> 'sql'
        and (l.lanname <> 'plpgsql' or p.prosrc ~* '\m(commit|rollback|call|execute|do)\M')
        as commits,
    -- Its owner could replace the relation whose row it takes.
    exists (
        select from pg_type as t
        join pg_class as c on c.oid = t.typrelid
        join pg_namespace as home on home.oid = c.relnamespace
        join pg_database as d on d.datname = current_database()
        cross join unnest(array[c.relowner, home.nspowner, d.datdba]) as o (id)
        where t.oid = p.proargtypes[0] and pg_has_role(p.proowner, o.id, 'member')
    ) as trusted,
    (
        select substring(d.description, 1, 5000)
        from pg_description as d
        where d.objoid = p.oid and d.classoid = 'pg_proc'::regclass and d.objsubid = 0
    ) as comment
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where n.nspname = any ($1::text[])
    and p.prokind in ('f', 'p')
    and not p.prorettype = any ('{trigger,event_trigger,internal,language_handler}'::regtype[])
    -- Of polymorphic and other pseudo-types a caller can give no value.
    and not exists (
        select from pg_type as t where t.oid = any (p.proargtypes::oid[]) and t.typtype = 'p'
    )
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
order by array_position($1::text[], n.nspname::text), p.proname, p.oid
