-- The tables of schemas $1 with an expression that may run code of users: ``reads`` where PostgreSQL
-- evaluates it as it plans a SELECT, else as a row is inserted. Expressions of children count.
--
-- To insert a row plans a query of each table that a foreign key refers to. Those tables may be anybody's,
-- in any schema.
--
-- Types, functions and operators of users are in pg_depend. PostgreSQL's own are not, and some of them
-- set settings, read the claims of a call or run SQL: those that are not harmless are found in the
-- expression itself. JSON constructors run casts that are in neither.
--
-- A table may have many children and many tables that refer to it. So no pairs of such tables are made:
-- the query goes down to all tables that count, and up again from those that have such an expression.
-- OFFSET 0 keeps PostgreSQL from reading all of pg_inherits at each level of a long chain of children.
with recursive root (id) as (
    select c.oid
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
),
own (id) as (
    select id from root
    union
    select i.inhrelid
    from own cross join lateral (select inhrelid from pg_inherits where inhparent = own.id offset 0) as i
),
referred (id) as (
    select k.confrelid from own join pg_constraint as k on k.conrelid = own.id and k.contype = 'f'
    union
    select i.inhrelid
    from referred as r
    cross join lateral (select inhrelid from pg_inherits where inhparent = r.id offset 0) as i
),
member (id, owner) as (
    select c.oid, c.relowner
    from pg_class as c
    where c.oid in (select id from own union select id from referred)
),
expression (member, owner, class, id, tree, is_default, reads) as (
    select m.id, m.owner, 'pg_attrdef'::regclass, d.oid, d.adbin::text, true, a.attgenerated = 'v'
    from member as m
    join pg_attrdef as d on d.adrelid = m.id
    join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    union all
    select m.id, m.owner, 'pg_constraint'::regclass, k.oid, k.conbin::text, false, true
    from member as m join pg_constraint as k on k.conrelid = m.id
    union all
    select m.id, m.owner, 'pg_class'::regclass, i.indexrelid, concat(i.indexprs::text, i.indpred::text),
        false, true
    from member as m join pg_index as i on i.indrelid = m.id
    union all
    select m.id, m.owner, 'pg_statistic_ext'::regclass, s.oid, s.stxexprs::text, false, true
    from member as m join pg_statistic_ext as s on s.stxrelid = m.id
    union all
    -- PostgreSQL tells of the table, with much else, on what a partition key depends.
    select m.id, m.owner, null, null, p.partexprs::text, false, true
    from member as m join pg_partitioned_table as p on p.partrelid = m.id
),
sized as (
    select *, sum(octet_length(tree)) over (partition by owner order by member, class, id) as bytes
    from expression
),
harmless as materialized (
    select oid from pg_proc
    where oid < 16384 and (
        provolatile = 'i'
        or proname in (
            'clock_timestamp', 'gen_random_uuid', 'nextval', 'now', 'random', 'statement_timestamp',
            'timeofday', 'transaction_timestamp', 'uuidv4', 'uuidv7'
        )
        -- Casts, such as of a date to a time with a zone.
        or exists (select from pg_cast where castfunc = pg_proc.oid and pg_cast.oid < 16384)
    )
),
judged as materialized (
    select e.member, e.is_default, bool_or(e.reads) as reads
    from sized as e
    -- To look through very many takes long: those of an owner beyond some megabytes count as code.
    where octet_length(e.tree) > 100000
        or e.bytes > 5000000
        or e.tree ~ '{JSON(CONSTRUCTOREXPR|EXPR)'
        or exists (
            select from regexp_matches(e.tree, ':(?:funcid|opfuncid) (\d+)', 'g') as found
            where found[1]::oid not in (select oid from harmless)
        )
        or exists (
            select from pg_depend as d
            left join pg_type as t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
            left join pg_type as of on of.oid = t.typelem
            where d.classid = e.class and d.objid = e.id
                and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
                and 'e' is distinct from coalesce(of.typtype, t.typtype)
        )
    group by e.member, e.is_default
),
holder (id, is_default, reads) as (
    select member, is_default, reads from judged
    union
    select i.inhparent, h.is_default, h.reads
    from holder as h
    cross join lateral (select inhparent from pg_inherits where inhrelid = h.id offset 0) as i
),
-- The defaults of a table that is only referred to are not evaluated.
referring (id) as (
    select k.conrelid
    from holder as h
    join pg_constraint as k on k.confrelid = h.id and k.contype = 'f'
    where not h.is_default
    union
    select i.inhparent
    from referring as r
    cross join lateral (select inhparent from pg_inherits where inhrelid = r.id offset 0) as i
)
select f.id::bigint as oid, bool_or(f.reads) as reads
from (
    select id, reads from holder
    union all
    select id, false from referring
) as f
join root on root.id = f.id
group by f.id
