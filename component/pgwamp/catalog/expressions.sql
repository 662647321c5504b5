-- The tables of schemas $1 with an expression that may run code of users: ``reads`` where PostgreSQL
-- evaluates it as it plans a SELECT, else as a row is inserted. Expressions of children count.
--
-- To insert a row plans a query of each table that a foreign key refers to. Those tables may be anybody's,
-- in any schema.
--
-- Types, functions and operators of users are in pg_depend. PostgreSQL's own are not, and some of them
-- set settings or run SQL: those that are not harmless are found in the expression itself. JSON
-- constructors run casts that are in neither.
with recursive family (root, member, own) as (
    select c.oid, c.oid, true
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
    union
    select f.root, other.id, f.own and other.own
    from family as f
    join (
        select inhparent, inhrelid, true from pg_inherits
        union all
        select conrelid, confrelid, false from pg_constraint where contype = 'f'
    ) as other (member, id, own) on other.member = f.member and (f.own or other.own)
),
expression (root, class, id, tree, reads) as (
    select f.root, 'pg_attrdef'::regclass, d.oid, d.adbin::text, a.attgenerated = 'v'
    from family as f
    join pg_attrdef as d on d.adrelid = f.member
    join pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where f.own
    union all
    select f.root, 'pg_constraint'::regclass, k.oid, k.conbin::text, f.own
    from family as f join pg_constraint as k on k.conrelid = f.member
    union all
    select f.root, 'pg_class'::regclass, i.indexrelid, concat(i.indexprs::text, i.indpred::text), f.own
    from family as f join pg_index as i on i.indrelid = f.member
    union all
    select f.root, 'pg_statistic_ext'::regclass, s.oid, s.stxexprs::text, f.own
    from family as f join pg_statistic_ext as s on s.stxrelid = f.member
    union all
    -- PostgreSQL tells of the table, with much else, on what a partition key depends.
    select f.root, null, null, p.partexprs::text, f.own
    from family as f join pg_partitioned_table as p on p.partrelid = f.member
),
harmless as materialized (
    select oid from pg_proc
    where oid < 16384 and (
        provolatile = 'i'
        or proname in (
            'clock_timestamp', 'current_setting', 'gen_random_uuid', 'nextval', 'now', 'random',
            'statement_timestamp', 'timeofday', 'transaction_timestamp', 'uuidv4', 'uuidv7'
        )
        -- Casts, such as of a date to a time with a zone.
        or exists (select from pg_cast where castfunc = pg_proc.oid and pg_cast.oid < 16384)
    )
)
select root::bigint as oid, bool_or(reads) as reads
from expression as e
where octet_length(e.tree) > 100000
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
group by root
