-- Raise unless a table has all columns that the options of its watch name, and its condition.
create or replace function wamp.require_columns(relation regclass, options jsonb, condition_columns text[]) returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    name text;
begin
    for name in
        select n from jsonb_array_elements_text(options -> 'columns') as n
        union all
        select value from jsonb_each_text(options) where key in ('eligible_authid', 'eligible_authrole')
        union all
        select m[1] from regexp_matches(options ->> 'topic', '\{([^{}]+)\}', 'g') as m where m[1] <> 'op'
        union all
        select unnest(condition_columns)
    loop
        if not exists (
            select from pg_attribute
            where attrelid = relation and attname = name and attnum > 0 and not attisdropped
        ) then
            raise exception '% has no column "%"', relation, name
                using errcode = 'undefined_column',
                    hint = format('Its columns are %s: watch it with options that name these.', (
                        select left(string_agg(attname::text, ', ' order by attnum), 1000)
                        from pg_attribute
                        where attrelid = relation and attnum > 0 and not attisdropped
                    ));
        end if;
    end loop;
end
$$;
