-- Appends events to the log and moves the position of the sequencer, if the lease ($1, term $2) is still ours
-- and nobody else has moved it from $3.
with fence as (
    select from wamp.lease where name = $1 and term = $2::bigint for key share
),
state as (
    select s.slot from wamp.sequencer as s where s.position = $3::bigint and exists (select from fence)
),
appended as (
    insert into wamp.log (slot, position, at, xid, relation, relation_schema, relation_name, op, topic,
        options, body, mark, silent, batched)
    select s.slot, e.position, e.at, e.xid::text::xid8, e.relation::oid, e.relation_schema, e.relation_name,
        e.op, e.topic, e.options, e.body, e.mark, e.silent, e.batched
    from state as s,
        unnest($10::bigint[], $11::timestamptz[], $12::bigint[], $13::bigint[], $14::text[], $15::text[],
            $16::text[], $17::text[], $18::text[], $19::text[], $20::bytea[], $21::boolean[], $22::boolean[])
        as e (position, at, xid, relation, relation_schema, relation_name, op, topic, options, body, mark,
            silent, batched)
)
update wamp.sequencer as s
set seen = $4::text::pg_snapshot, taking = $5::text::pg_snapshot, taken_place = '0/0'::pg_lsn + $6::bigint,
    taken_xid = $7::text::xid8, taken_rows = $8::bigint,
    position = coalesce(($10::bigint[])[array_upper($10::bigint[], 1)], s.position),
    mark = coalesce(($20::bytea[])[array_upper($20::bytea[], 1)], s.mark)
where s.position = $3 and exists (select from state)
returning case when $9 and pg_notification_queue_usage() <= 0.5 then pg_notify('pgwamp', 'logged') end is null
