-- The columns that identify a row: of the primary key, else of the replica identity index.
create or replace function wamp.key_columns(relation regclass) returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array_agg(a.attname::text order by k.position)
    from (
        select i.indrelid, i.indkey, i.indnkeyatts
        from pg_index as i
        where i.indrelid = relation and (i.indisprimary or i.indisreplident)
        order by i.indisprimary desc
        limit 1
    ) as i
    cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where k.position <= i.indnkeyatts
$$;
