-- The events after position $1, whose event has mark $2: at most $3 of them, and as many as have $4 bytes
-- of values, options and topics together, but at least one. Of an event of more than $5 bytes only the head
-- of its values is read. Of the table $6 alone, where that is given.
--
-- good    whether the event at the position is still there and the same
-- last    the last position of the log, and last_mark its mark
with state as materialized (
    select s.position as last, s.mark as last_mark,
        $1::bigint = s.removed_position and $2::bytea = s.removed_mark
            or $1 > s.removed_position
                and exists (select from wamp.log as e where e.position = $1 and e.mark = $2) as good
    from wamp.progress as s
),
fresh as (
    select * from wamp.log where position > $1 {whose} order by position limit $3
)
select s.good, s.last, s.last_mark, e.position, e.mark, e.xid::text as xid,
    replace((e.at at time zone 'UTC')::text, ' ', 'T') || '+00:00' as at, e.relation::oid::bigint as relation,
    e.relation_schema, e.relation_name, e.op, e.topic, e.options, e.size, e.silent, e.batched,
    case when e.size <= $5::bigint then e.body end as body,
    case when e.size > $5::bigint then left(e.body, 20000) end as head, e.found
from state as s
left join lateral (
    select *, count(*) over () as found,
        sum(size) over (order by position rows unbounded preceding) - size as before
    from (
        select *, coalesce(octet_length(body), 0)::bigint + coalesce(octet_length(options), 0)
            + coalesce(octet_length(topic), 0) as size
        from fresh
    ) as f
) as e on e.before < $4::bigint
order by e.position
