-- A further page of a poll: visible in snapshot $5, not in snapshot $1, ids after $6.
select
    e.*,
    (
        select pruned >= pg_snapshot_xmax($1::text::pg_snapshot) from wamp.retention
    ) as expired
from (values (1)) as always
left join lateral (
    select
        n.id, n.xid::text as xid, (n.created_at at time zone 'UTC')::text || '+00' as created_at, n.topic,
        n.relation_schema, n.relation, n.op,
        n.args::text as args, n.kwargs::text as kwargs, n.options::text as options
    from wamp.event as n
    where n.id > $6::bigint
        and pg_visible_in_snapshot(n.xid, $5::text::pg_snapshot)
        and not pg_visible_in_snapshot(n.xid, $1::text::pg_snapshot)
        and ($3::text is null or (n.relation_schema = $3 and n.relation = $4::text))
    order by n.id
    limit $2
) as e on true
