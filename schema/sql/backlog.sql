-- How publishing stands: select * from wamp.backlog().
--
-- events        committed and not published yet, counted up to 1,000,000
-- oldest        seconds since the oldest of these was written; 0 if there is none
-- leader        whether an instance publishes now
-- published_at  when a position was last stored
-- kept_since    when the oldest event that can be read again was written; null if there is none
-- bytes         what wamp.event takes on disk, indexes included
--
-- The events are those that the reader would find (poll.sql, page.sql in the component), by the
-- same index scans: looking costs as much as there is to publish, and not as much as is kept.
create or replace function wamp.backlog(
    out events bigint,
    out oldest double precision,
    out leader boolean,
    out published_at timestamptz,
    out kept_since timestamptz,
    out bytes bigint
)
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
-- The planner knows no snapshot yet, and would take a third of the table to be new.
set enable_seqscan = off
as $$
with position as materialized (
    select published, polled, last_id, published_at, coalesce(polled, published) as seen
    from wamp.publisher
),
waiting as (
    select created_at
    from wamp.event
    where xid >= pg_snapshot_xmax((select seen from position))
    union all
    -- Joined, so that no estimate of the planner makes it read everything.
    select e.created_at
    from pg_snapshot_xip((select seen from position)) as running,
        lateral (select created_at from wamp.event where xid = running offset 0) as e
    union all
    select created_at
    from wamp.event
    where id > (select last_id from position where polled is not null)
        and pg_visible_in_snapshot(xid, (select polled from position))
        and not pg_visible_in_snapshot(xid, (select published from position))
    limit 1000000
)
select
    w.events,
    coalesce(greatest(extract(epoch from clock_timestamp() - w.oldest), 0), 0)::float8,
    exists (
        select from pg_locks as l
        join pg_stat_activity as a on a.pid = l.pid
        join pg_namespace as n on n.nspname = 'wamp'
        where l.locktype = 'advisory' and l.classid = 20599 and l.objid = 1 and l.objsubid = 2
            and l.database = (select oid from pg_database where datname = current_database())
            -- Anybody can take the lock; only these can publish.
            and pg_has_role(a.usesysid, n.nspowner, 'member')
    ),
    (select published_at from position),
    (select created_at from wamp.event order by xid, id limit 1),
    (
        select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
        from pg_inherits
        where inhparent = 'wamp.event'::regclass
    )
from (select count(*) as events, min(created_at) as oldest from waiting) as w
$$;
