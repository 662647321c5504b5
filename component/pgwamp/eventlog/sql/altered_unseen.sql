-- Whether others have altered columns of the relations $1 that snapshot $2 of transaction $3 does not show. A row of
-- the catalog says who has written it, by the lower half of the number; so does one of a subtransaction, whose number
-- is another one.
select exists (
    select
    from pg_attribute as a,
        pg_snapshot_xmax(pg_current_snapshot()) as next (xid),
        lateral (
            select next.xid::text::bigint - (next.xid::text::bigint - a.xmin::text::bigint & 4294967295) as xid
        ) as writer
    where a.attrelid = any ($1::bigint[]::oid[]) and a.attnum > 0 and writer.xid > 2
        and writer.xid <> $3 and not pg_visible_in_snapshot(writer.xid::text::xid8, $2::text::pg_snapshot)
)
