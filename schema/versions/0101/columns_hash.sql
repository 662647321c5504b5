(
    select hashtext(string_agg(
        a.attnum || ' ' || a.atttypid || ' ' || a.attcollation || ' ' || a.attname, ',' order by a.attnum))
    from pg_attribute as a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
)
