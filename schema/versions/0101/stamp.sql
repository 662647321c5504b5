-- A hash of the columns of a table. Where there are no event triggers to tell that they have changed, raw
-- rows carry it: the sequencer reads a record by the columns that it was written with, or not at all. An insert of one
-- row takes a fifth to a third longer with it, and so it is only there (see stamps.sql).
create or replace function wamp.stamp(relation oid) returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
select {{0101/columns_hash}}
$$;
