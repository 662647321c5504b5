-- The relations of schemas $1, with columns, keys and comments. A comment may be of 1 GB: not all of
-- it is read.
select
    n.nspname as schema,
    c.relname as name,
    c.relkind::text as kind,
    c.oid::bigint as oid,
    c.relowner::bigint as owner,
    c.reltype::bigint as row_type,
    c.relrowsecurity as row_security,
    -- That which makes a view of it does not count.
    exists (
        select from pg_rewrite as r where r.ev_class = c.oid and r.rulename <> '_RETURN'
    ) as has_rules,
    -- No key is unique among its rows and those of its children; partitions are no such children.
    c.relkind = 'r' and c.relhassubclass as has_children,
    exists (
        select from pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
    ) as has_triggers,
    -- Our own, which note changes, are code of users to nobody.
    exists (
        select from pg_trigger as t
        join pg_proc as p on p.oid = t.tgfoid
        where t.tgrelid = c.oid and not t.tgisinternal
            and p.pronamespace is distinct from to_regnamespace('wamp')
    ) as has_triggers_of_users,
    -- To insert a row runs no rule, and has no value of a type of users; see expressions.sql.
    c.relkind = 'r' and not c.relhasrules and not c.relhassubclass
        and not exists (
            select from pg_attribute as a
            join pg_type as t on t.oid = a.atttypid
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and t.typnamespace <> 'pg_catalog'::regnamespace and t.typtype <> 'e'
        )
        -- A foreign key between two types may run a cast of users.
        and not exists (
            select from pg_constraint as k
            join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any (k.conkey)
            join pg_attribute as b on b.attrelid = k.confrelid
                and b.attnum = k.confkey[array_position(k.conkey, a.attnum)]
            where k.conrelid = c.oid and k.contype = 'f' and (
                a.atttypid <> b.atttypid
                or exists (select from unnest(k.conpfeqop) as o (id) where o.id >= 16384)
            )
        ) as is_plain,
    (
        select substring(d.description, 1, 5000)
        from pg_description as d
        where d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = 0
    ) as comment,
    (
        select json_agg(json_build_object(
            'name', a.attname,
            'type', a.atttypid::bigint,
            'nullable', not a.attnotnull,
            'has_default', a.atthasdef or a.attidentity <> '',
            'generated', a.attgenerated <> '' or a.attidentity = 'a',
            'comment', substring(d.description, 1, 5000),
            -- Others tell texts apart as their bytes do.
            'collation', (
                select format('%I.%I', s.nspname, l.collname)
                from pg_collation as l
                join pg_namespace as s on s.oid = l.collnamespace
                where l.oid = a.attcollation and not l.collisdeterministic
            )
        ) order by a.attnum)
        from pg_attribute as a
        left join pg_description as d
            on d.objoid = c.oid and d.classoid = 'pg_class'::regclass and d.objsubid = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any ($1::text[])
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not c.relispartition
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by array_position($1::text[], n.nspname::text), c.relname
