-- A hash of the columns of a table. Where there are no event triggers to tell that they have changed, raw
-- rows carry it: the sequencer reads a record by the columns that it was written with, or not at all. It costs
-- about a tenth of a write, and so is only there (see stamps.sql).
create or replace function wamp.stamp(relation oid) returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select hashtext(string_agg(
        a.attnum || ' ' || a.atttypid || ' ' || a.attcollation || ' ' || a.attname, ',' order by a.attnum))
    from pg_attribute as a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;
