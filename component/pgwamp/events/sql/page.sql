-- A further page of a poll: visible in snapshot $7, not in snapshot $1, ids after $8.
with fresh as materialized (
    select *
    from wamp.event
    where id > $8::bigint
        and pg_visible_in_snapshot(xid, $7::text::pg_snapshot)
        and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
        and ($3::text is null or (relation_schema = $3 and relation = $4::text))
    order by id
    limit $2
)
select
    (
        select pruned >= pg_snapshot_xmax($1::text::pg_snapshot) from wamp.retention
    ) as expired,
    (select pg_snapshot_xmax(published)::text from wamp.publisher) as known,
    e.*
from (values (1)) as always
left join lateral (
{events}
) as e on true
