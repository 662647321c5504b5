-- SQL for wamp.evaluate, by "reads" and "virtual" of a layout: it answers for each record of $1 whether it is
-- visible, and the text of a record of its computed columns.
--
-- Types and collations are called by the names that they have now. Each value is read from its text by the input
-- function of its type, as json_to_record does with strings. Of json that would make a JSON string: it is cast
-- from text, which does the same.
create or replace function wamp.evaluation(layout jsonb, condition text) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    missing text;
    source text;
    computed text;
    texts text;
begin
    with recursive member as (
        select n, r ->> 0 as name, (r ->> 1)::oid as type, (r ->> 2)::oid as collated
        from jsonb_array_elements(nullif(layout -> 'reads', 'null')) with ordinality as m (r, n)
    ),
    base (n, type) as (
        select n, type from member
        union all
        select b.n, t.typbasetype from base as b join pg_type as t on t.oid = b.type and t.typtype = 'd'
    ),
    declared as (
        select m.n, quote_ident(m.name) as name, m.name as plain, format_type(t.oid, -1) as type,
            coalesce(' collate ' || c.oid::regcollation, '') as collated,
            m.n in (select n from base where type in ('json'::regtype, 'jsonb'::regtype)) as is_json,
            t.oid is null or m.collated is not null and c.oid is null as is_missing
        from member as m
        left join pg_type as t on t.oid = m.type
        left join pg_collation as c on c.oid = m.collated
    )
    select
        string_agg('"' || plain || '"', ', ' order by n) filter (where is_missing),
        case when count(*) = 0 then '(select)' else format(
            '(select %s from json_to_record(x.record) as r (%s))',
            string_agg(
                'r.' || name || case when is_json then '::' || type || ' as ' || name else '' end, ', ' order by n),
            string_agg(name || ' ' || case when is_json then 'text' else type || collated end, ', ' order by n))
        end
    into missing, source
    from declared;
    if missing is not null then
        raise exception 'columns or their types or collations are not there: %', missing
            using errcode = 'undefined_object';
    end if;
    select
        string_agg(
            format('(%s)::%s%s as %I', v ->> 4, format_type((v ->> 1)::oid, (v ->> 2)::integer),
                ' collate ' || (v ->> 3)::oid::regcollation, v ->> 0),
            ', ' order by n),
        format('textin(record_out(row(%s)))', string_agg('r.' || quote_ident(v ->> 0), ', ' order by n))
    into computed, texts
    from jsonb_array_elements(nullif(layout -> 'virtual', 'null')) with ordinality as m (v, n);
    if computed is null then
        texts := 'null';
    else
        source := format('(select r.*, %s from %s as r)', computed, source);
    end if;
    -- What follows a comment at the end of the condition is on a line of its own.
    return format(
        'select json_agg(json_build_array(q.visible, q.virtual) order by x.n) '
        'from json_array_elements($1) with ordinality as x (record, n) '
        'cross join lateral (select %s as visible, %s as virtual from %s as r) as q',
        coalesce('(' || condition || e'\n) is true', 'true'), texts, source);
end
$$;
