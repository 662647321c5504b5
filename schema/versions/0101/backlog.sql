-- How publishing stands: select * from wamp.backlog().
--
-- events        committed and not published yet, counted up to 1,000,000
-- oldest        seconds since the oldest of these was written; 0 if there is none
-- leader        whether a process makes events of changes now
-- published_at  when a position was last stored
-- kept_since    when the oldest event that can be read again was written; null if there is none
-- bytes         what raw rows and events take on disk, indexes included
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
-- As in wamp.capture.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
-- Of a snapshot the planner knows nothing, and would take a third of the table to be new.
set enable_seqscan = off
-- What that adds to the cost would have it compiled, which takes a hundred times as long.
set jit = off
as $$
with state as materialized (
    select s.position, coalesce(s.taking, s.seen) as seen,
        case when s.taking is null then 0 else 1 end as taking
    from wamp.progress as s
),
raw as materialized (
    select count(*) as number, min(r.at) as at
    from (
        select w.at from wamp.raw as w
        where w.xid >= pg_snapshot_xmax((select seen from state)) and w.op not in ('w', 'l', 'x', 'f', '-')
        union all
        -- Joined, so that no estimate of the planner makes it read everything.
        select r.at
        from pg_snapshot_xip((select seen from state)) as running,
            lateral (select w.at, w.op from wamp.raw as w where w.xid = running offset 0) as r
        where r.op not in ('w', 'l', 'x', 'f', '-')
        limit 1000000
    ) as r
),
waiting as materialized (
    select e.at
    from wamp.log as e
    where e.position > (select min(p.position) from wamp.publication as p)
        and not e.silent and e.op <> 'era'
    limit 1000000
)
select
    (select number from raw) + (select count(*) from waiting) + (select taking from state),
    coalesce((
        select greatest(extract(epoch from clock_timestamp() - min(w.at)), 0)
        from (select at from waiting union all select at from raw) as w
    ), 0)::float8,
    exists (
        select from wamp.lease as l
        where l.name = 'sequencer' and l.held and l.renewed_at > clock_timestamp() - interval '5 seconds'
    ),
    (select max(p.published_at) from wamp.publication as p),
    (select e.at from wamp.log as e where e.op not in ('era', 'watched', 'forgotten') order by e.position limit 1),
    (
        select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint
        from pg_inherits
        where inhparent in ('wamp.log'::regclass, 'wamp.raw'::regclass)
    )
$$;
