-- Whether this transaction sees the columns of a table as they were: in REPEATABLE READ, queries see the catalog as it
-- was when the transaction began, and statements write rows with the columns of now. So do these functions: they show
-- the names of columns, and the files of rows, which are others where values were rewritten for another type (also after
-- TRUNCATE and VACUUM FULL). It waits for no lock.
create or replace function wamp.is_outdated(relation oid) returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive member as (
        select relation as oid
        union all
        select i.inhrelid from member as m join pg_inherits as i on i.inhparent = m.oid
    )
    select not exists (select from member as m join pg_class as c on c.oid = m.oid and c.relkind = 'r')
        or exists (
            select from pg_attribute as a
            where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
                and (pg_identify_object_as_address('pg_class'::regclass, relation, a.attnum)).object_names[3]
                    is distinct from a.attname)
        or exists (
            select from member as m
            join pg_class as c on c.oid = m.oid
            where nullif(c.relfilenode, 0) is distinct from pg_relation_filenode(c.oid))
$$;
