-- A snapshot to which exactly the events that retention has kept are new.
--
-- Everything up to the newest removed transaction counts as seen, but for the transactions of
-- that time whose events are still here. No snapshot that PostgreSQL makes begins with 1.
select coalesce(
    (
        select format('1:%s:%s', r.pruned::text::numeric + 1, (
            select string_agg(k.xid::text, ',' order by k.xid)
            from (select distinct xid from wamp.event where xid <= r.pruned) as k
        ))
        from wamp.retention as r
        where r.pruned is not null
    ),
    '1:1:'
)
