-- The transactions that have written raw rows and are open, or those of $1 that still are: whoever writes
-- keeps this lock until the transaction ends, one that is prepared too.
select array(
    select l.virtualtransaction
    from pg_locks as l
    join pg_database as d on d.oid = l.database
    where l.locktype = 'relation'
        and l.relation = 'wamp.raw'::regclass
        and l.mode = 'RowExclusiveLock'
        and d.datname = current_database()
        and ($1::text[] is null or l.virtualtransaction = any ($1::text[]))
)
