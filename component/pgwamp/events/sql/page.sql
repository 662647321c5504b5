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
        select r.pruned >= pg_snapshot_xmax($1::text::pg_snapshot)
            or pg_snapshot_xmin($1::text::pg_snapshot) <> '1'::xid8 and exists (
                select from pg_snapshot_xip($1::text::pg_snapshot) as x
                where x <= r.pruned
                    and pg_visible_in_snapshot(x, $7::text::pg_snapshot)
                    and pg_visible_in_snapshot(x, p.published)
            )
        from wamp.retention as r, wamp.publisher as p
    ) as expired,
    (select pg_snapshot_xmax(published)::text from wamp.publisher) as known,
    e.*
from (values (1)) as always
left join lateral (
{events}
) as e on true
