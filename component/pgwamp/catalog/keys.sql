-- The primary keys and unique indexes of the tables and materialized views $1.
--
-- An index whose equality is another than that of its columns, by its operator class or its collation, tells
-- nothing of how many rows are equal.
select
    i.indrelid::bigint as oid,
    i.indisprimary as primary,
    array(
        select a.attname::text
        from unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.position <= i.indnkeyatts
        order by k.position
    ) as columns
from pg_index as i
where i.indrelid = any ($1::oid[])
    and i.indisunique and i.indisvalid
    and i.indpred is null and i.indexprs is null
    and not exists (
        select from unnest(i.indclass::oid[], i.indcollation::oid[], i.indkey::smallint[])
            with ordinality as k (class, collated, attnum, position)
        join pg_opclass as own on own.oid = k.class
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        left join pg_collation as c on c.oid = a.attcollation
        where k.position <= i.indnkeyatts and (
            not (c.collisdeterministic or k.collated = a.attcollation)
            or not own.opcdefault and not exists (
                select from pg_amop as mine
                join pg_opclass as usual on usual.opcmethod = own.opcmethod and usual.opcintype = own.opcintype
                    and usual.opcdefault
                join pg_amop as theirs on theirs.amopfamily = usual.opcfamily
                    and theirs.amopopr = mine.amopopr
                where mine.amopfamily = own.opcfamily
                    and mine.amoplefttype = own.opcintype and mine.amoprighttype = own.opcintype
                    and mine.amopstrategy = 3
            )
        )
    )
order by i.indrelid, i.indexrelid
