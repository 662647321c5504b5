delete from wamp.layout as k
where not exists (select from pg_class as c where c.oid = k.relation)
    and not exists (
        select from wamp.raw as r
        where r.relation = k.relation and not pg_visible_in_snapshot(r.xid, $1::text::pg_snapshot))
returning relation::oid::bigint as relation
