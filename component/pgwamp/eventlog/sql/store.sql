-- Appends events to the log, with the new position in the raw rows beside the last one, if the lease ($1, term $2)
-- is still ours. Without events the position is stored for itself.
with fence as (
    select from wamp.lease where name = $1 and term = $2::bigint for key share
),
state as (
    select s.slot, $3::text::pg_snapshot as seen, $4::text::pg_snapshot as taking,
        '0/0'::pg_lsn + $5::bigint as place, $6::text::xid8 as xid, $7::bigint as rows,
        '0/0'::pg_lsn + $8::bigint as after, $9::integer as number
    from wamp.sequencer as s
    where exists (select from fence)
),
appended as (
    insert into wamp.log (slot, position, at, xid, relation, relation_schema, relation_name, op, topic,
        options, body, mark, silent, batched, seen, taking, taken_place, taken_xid, taken_rows,
        taken_after, taken_number)
    select s.slot, e.position, e.at, e.xid::text::xid8, e.relation::oid, e.relation_schema, e.relation_name,
        e.op, e.topic, e.options, e.body, e.mark, e.silent, e.batched, l.seen, l.taking, l.place, l.xid, l.rows,
        l.after, l.number
    from state as s
    cross join unnest($12::bigint[], $13::timestamptz[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
            $18::text[], $19::text[], $20::text[], $21::text[], $22::bytea[], $23::boolean[], $24::boolean[])
        as e (position, at, xid, relation, relation_schema, relation_name, op, topic, options, body, mark,
            silent, batched)
    left join state as l on e.position = $10::bigint
),
moved as (
    update wamp.sequencer as q
    set position = $10, mark = $11::bytea, seen = s.seen, taking = s.taking, taken_place = s.place,
        taken_xid = s.xid, taken_rows = s.rows, taken_after = s.after, taken_number = s.number
    from state as s
    where $12 = '{}'
)
select case when $12 <> '{}' and pg_notification_queue_usage() <= 0.5 then pg_notify('pgwamp', 'logged') end is null
from state
