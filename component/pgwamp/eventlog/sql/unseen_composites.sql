-- Whether what the row at place $3 of transaction $2 tells of composites ($1, digests of their attributes) is what they
-- are now; or else, whether each is told of behind it, among what snapshot $4 does not show: in the same transaction, or
-- in one that ends later. Where there are no event triggers nobody tells of them, so that none was missed.
with told as (
    select t.key::bigint::oid as relation, t.value as digest from jsonb_each_text($1::text::jsonb) as t
),
changed as (
    select t.relation
    from told as t
    -- One that is gone has no rows any more.
    join pg_class as c on c.oid = t.relation
    cross join lateral (
        select string_agg(a.atttypid || ' ' || length(a.attname::text) || ' ' || a.attname, ',' order by a.attnum) as list
        from pg_attribute as a
        where a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
    ) as a
    where encode(sha256(convert_to(coalesce(a.list, ''), 'UTF8')), 'hex') <> t.digest
        and exists (
            select from pg_event_trigger as e
            where e.evtname = 'wamp_ddl_command_end' and e.evtenabled in ('O', 'A')
                and e.evtfoid = to_regprocedure('wamp.ddl_changed()'))
),
ending as (
    select (select max(r.place) from wamp.raw as r where r.xid = $2::text::xid8) as place
),
later as (
    select r.relation
    from ending, wamp.raw as r
    where exists (select from changed)
        and r.xid >= pg_snapshot_xmin($4::text::pg_snapshot) and r.op = 'l'
        and r.relation = any (array(select c.relation from changed as c))
        and not pg_visible_in_snapshot(r.xid, $4::text::pg_snapshot)
        and case
            when r.xid = $2::text::xid8 then r.place > '0/0'::pg_lsn + $3::bigint::numeric
            else ((select max(o.place) from wamp.raw as o where o.xid = r.xid), r.xid) > (ending.place, $2::text::xid8)
        end
)
select not exists (select from changed as c where c.relation not in (select l.relation from later as l))
