-- What a page has of its events. It ends early after as many as have $5 octets of values; values of
-- more than $6 octets are not read at all.
select
    n.id, n.xid::text as xid, (n.created_at at time zone 'UTC')::text || '+00' as created_at,
    n.topic, n.relation_schema, n.relation, n.op, n.options::text as options, n.changed,
    n.args::text as args, n.kwargs::text as kwargs, n.key::text as key,
    case when n.size <= $6 then n.new::text end as new,
    case when n.size <= $6 then n.old::text end as old,
    n.size > $6 as truncated, n.deferred, n.found
from (
    select *, count(*) over () as found,
        sum(coalesce(size, 0)) over (order by id rows unbounded preceding) - size as before
    from fresh
) as n
where coalesce(n.before, 0) < $5::bigint
order by n.id
