-- The watched tables, and what is wrong with how each is captured, with the cure; null if nothing is. For a
-- search path of pg_catalog, pg_temp.
with recursive watched as (
    select w.relation::oid as oid, c.relispartition, c.relkind, w.options, w.condition,
        format('%I.%I', n.nspname, c.relname) as relation,
        quote_literal(format('%I.%I', n.nspname, c.relname)) as literal
    from wamp.watch as w
    join pg_class as c on c.oid = w.relation
    join pg_namespace as n on n.oid = c.relnamespace
),
-- The whole table, and what statements can name beside it; without a lock on it, which its owner could hold.
member as (
    select w.oid, w.oid as part from watched as w
    union
    select m.oid, c.oid
    from member as m
    join pg_inherits as i on i.inhparent = m.part
    join pg_class as c on c.oid = i.inhrelid and c.relispartition and c.relkind in ('r', 'p')
),
-- A trigger that fires on replicas only fires for no writer.
missing as (
    select distinct on (m.oid) m.oid, m.part, fired, t.tgenabled
    from member as m
    cross join lateral (
        select unnest(array['wamp_insert', 'wamp_update', 'wamp_delete', 'wamp_truncate'])
        union all
        select 'wamp_end' where m.part = m.oid and exists (
            select from pg_constraint as k
            where k.conrelid = m.oid and k.contype in ('p', 'u') and k.condeferrable)
    ) as f (fired)
    left join pg_trigger as t on t.tgrelid = m.part and t.tgname = fired
        and t.tgfoid in ('wamp.capture()'::regprocedure, 'wamp.capture_end()'::regprocedure)
    where t.tgenabled is null or t.tgenabled not in ('O', 'A')
    order by m.oid, m.part <> m.oid, m.part::regclass::text, t.tgenabled is not null, fired
),
unlogged as (
    select distinct on (m.oid) m.oid, format('%I.%I', n.nspname, c.relname) as name
    from member as m
    join pg_class as c on c.oid = m.part and c.relpersistence = 'u'
    join pg_namespace as n on n.oid = c.relnamespace
    order by m.oid, m.part <> m.oid
),
kin as (
    select distinct on (w.oid) w.oid, i.inhrelid, i.inhparent
    from watched as w
    join pg_inherits as i on w.relkind = 'r' and not w.relispartition and w.oid in (i.inhrelid, i.inhparent)
    order by w.oid, i.inhrelid
)
select w.oid, w.relation, w.literal, w.condition,
    -- None if it evaluates nothing, which is told of by itself.
    (select p.proowner::regrole::text from pg_proc as p
        where p.oid = to_regprocedure('wamp.evaluate(text, json)') and {is_as_made}) as evaluator,
    case
        when w.relispartition then format('it is a partition of %s now', root.name)
        when k.oid is not null then
            format('%s inherits from %s, and a write to one of them can change rows of the other unseen',
                k.inhrelid::regclass, k.inhparent::regclass)
        when u.oid is not null then format('%s is unlogged, and a crash would empty it untold', u.name)
        when m.tgenabled is not null then format('the trigger %s of %s is disabled', m.fired, m.part::regclass)
        when m.part = w.oid then format('it lacks the trigger %s', m.fired)
        when m.oid is not null then format('its partition %s is not', m.part::regclass)
        when wamp.key_columns(w.oid) is null
            and ((select relreplident from pg_class as c where c.oid = w.oid) <> 'f'
                or w.options ->> 'old' is distinct from 'full') then 'it has no key any more'
    end as problem,
    case
        when w.relispartition then format('watch the whole table: select wamp.watch(%L)', root.name)
        when k.oid is not null then format('ALTER TABLE %s NO INHERIT %s, or select wamp.unwatch(%s)',
            k.inhrelid::regclass, k.inhparent::regclass, w.literal)
        when u.oid is not null then format('ALTER TABLE %s SET LOGGED', u.name)
        when m.oid is not null then format('select wamp.refresh(%s)', w.literal)
        when w.options ->> 'old' = 'full' then format('ALTER TABLE %s REPLICA IDENTITY FULL', w.relation)
        else format('add a primary key, then select wamp.refresh(%s)', w.literal)
    end as cure
from watched as w
left join lateral (
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = pg_partition_root(w.oid)
) as root on w.relispartition
left join missing as m on m.oid = w.oid
left join kin as k on k.oid = w.oid
left join unlogged as u on u.oid = w.oid
order by w.relation
