-- Makes one transaction of all raw rows, those of another server among them, in the order in which they were
-- written. Their places are before all places in the WAL of this server, so that it comes before its transactions.
-- Oids of tables that are gone may be those of others here: their events are of no table.
with moved as (
    update wamp.raw as r
    set xid = pg_current_xact_id(), place = w.place
    from (
        select s.tableoid, s.ctid,
            '0/0'::pg_lsn + dense_rank() over (order by s.began, s.place, s.xid) as place
        from (
            select q.tableoid, q.ctid, q.place, q.xid, min(q.at) over (partition by q.xid, q.place) as began
            from wamp.raw as q
        ) as s
    ) as w
    where r.tableoid = w.tableoid and r.ctid = w.ctid
),
gone as (
    update wamp.log as e set relation = 0
    where e.relation <> 0::oid and not exists (
        select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = e.relation and c.relname = e.relation_name and n.nspname = e.relation_schema)
),
-- A snapshot leaves its own transaction out, and shows it if a later one has ended already: it is put in.
own as (
    select pg_current_xact_id()::text::bigint as xid, pg_current_snapshot() as snapshot
)
update wamp.sequencer as s
set taking = null, position = p.position, mark = p.mark,
    seen = format('%s:%s:%s', least(pg_snapshot_xmin(own.snapshot)::text::bigint, own.xid),
        greatest(pg_snapshot_xmax(own.snapshot)::text::bigint, own.xid + 1),
        (select string_agg(running::text, ',' order by running)
            from (select pg_snapshot_xip(own.snapshot) union select own.xid::text::xid8) as r (running)))::pg_snapshot
from wamp.progress as p, own
