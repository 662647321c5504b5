-- Transactions of strangers, who are no members of the owner of the schema wamp, that hold or await a lock
-- on a relation of it. One that only waits for what its kind of use needs is a victim, and left out.
select
    coalesce(x.gid, l.virtualtransaction) as transaction,
    bool_or(l.mode = any (strong.modes)) as strong,
    format(
        case when bool_or(l.mode = any (strong.modes))
            then '%s locks %s or waits to, and others wait for that: end it: %s'
            else '%s uses %s in an open transaction, which retention and upgrades wait for: '
                'if it should have ended, end it: %s' end,
        case when x.gid is not null then format('a prepared transaction of role "%s"', x.owner)
            else format('process %s of role "%s"', l.pid, a.usename) end,
        (array_agg(format('wamp.%I', c.relname) order by l.mode = any (strong.modes) desc, c.relname))[1],
        case when x.gid is not null then format('rollback prepared %L', x.gid)
            else format('select pg_terminate_backend(%s)', l.pid) end) as problem
from pg_locks as l
join pg_class as c on c.oid = l.relation
join pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'wamp'
-- No use of a table takes these. Nobody but its owner gets one, but PostgreSQL asks for that too late.
cross join (values ('{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,'
    'AccessExclusiveLock}'::text[])) as strong (modes)
left join pg_stat_activity as a on a.pid = l.pid
-- A prepared transaction has no process, and locks its own id too.
left join pg_locks as own on l.pid is null and own.pid is null
    and own.virtualtransaction = l.virtualtransaction and own.locktype = 'transactionid'
left join pg_prepared_xacts as x on x.transaction = own.transactionid
where l.locktype = 'relation'
    and l.database = (select oid from pg_database where datname = current_database())
    -- Autovacuum has no role.
    and not coalesce(pg_has_role(coalesce(x.owner, a.usename), n.nspowner, 'member'), true)
group by 1, l.pid, a.usename, x.gid, x.owner
having bool_or(l.mode = any (strong.modes)) or bool_and(l.granted)
order by 2 desc, 1
