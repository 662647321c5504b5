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
)
update wamp.sequencer as s
set seen = pg_current_snapshot(), taking = null, position = p.position, mark = p.mark
from wamp.progress as p
