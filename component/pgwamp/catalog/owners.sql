-- The owner of each of the relations $1, and which of these owners could replace it: the members of the
-- role that owns it, its schema or the database, and superusers.
with relation as (
    select c.oid, c.relowner, n.nspowner
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = any ($1::oid[])
),
pair as (
    select r.relowner, r.nspowner, array_agg(o.id order by o.id) as replacers
    from (select distinct relowner, nspowner from relation) as r
    join pg_database as d on d.datname = current_database()
    cross join (select distinct relowner from relation) as o (id)
    where pg_has_role(o.id, r.relowner, 'member')
        or pg_has_role(o.id, r.nspowner, 'member')
        or pg_has_role(o.id, d.datdba, 'member')
    group by r.relowner, r.nspowner
)
select
    r.oid::bigint as oid,
    r.relowner::bigint as owner,
    p.replacers::bigint[] as replacers
from relation as r
join pair as p using (relowner, nspowner)
