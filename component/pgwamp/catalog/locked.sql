-- The relations among $1 that cannot be opened now: another session locks them, or what they read,
-- as only owners may, or waits for that lock.
with recursive locked (oid) as (
    select l.relation
    from pg_locks as l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
        -- A prepared transaction has no process.
        and l.pid is distinct from pg_backend_pid()
        and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    union
    select r.ev_class
    from locked
    join pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = locked.oid
        and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite as r on r.oid = d.objid
)
select l.oid::bigint as oid from locked as l where l.oid = any ($1::oid[])
