-- Makes the function that captures the changes of a table, and returns its name.
--
-- Each watched table has one, made for its key and its options: its statements are prepared once in a
-- session, and nothing is looked up when a row is written. A function that the table's trigger has
-- already is replaced, so that a renamed or restored table keeps its own. One that would stay as it is
-- is left alone: replacing it would lock it until the end of the transaction.
--
-- Nobody is granted EXECUTE. A trigger needs it only when it is created; to others it would be a way to
-- write events.
--
-- The settings make values read the same whatever the writing session has set: the JSON of a
-- timestamptz, interval, bytea, float or range depends on them.
create or replace function wamp.define_capture(relation regclass, options jsonb)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    former constant oid := (
        select p.oid
        from pg_trigger as t
        join pg_proc as p on p.oid = t.tgfoid and p.pronamespace = 'wamp'::regnamespace
        where t.tgrelid = relation and t.tgname = 'wamp_insert' and t.tgnargs = 1);
    name text := (select proname from pg_proc where oid = former);
    source constant text := wamp.capture_source(relation, options);
    -- Types whose JSON is the same under all settings, and those that depend on a single one.
    plain constant regtype[] := '{bool,int2,int4,int8,numeric,text,varchar,bpchar,"char",name,uuid,'
        'date,timestamp,json,jsonb}';
    depending constant jsonb := '{"timestamptz": "timezone=UTC", "bytea": "bytea_output=hex", '
        '"interval": "intervalstyle=iso_8601", "float4": "extra_float_digits=1", '
        '"float8": "extra_float_digits=1"}';
    settings text[];
begin
    -- The sequence of a restored schema can begin again.
    while name is null or former is null and to_regproc('wamp.' || name) is not null loop
        name := format('capture_%s', nextval('wamp.event_id_seq'));
    end loop;
    -- Better said now than when a row is written.
    if options ? 'when' then
        begin
            execute format('select from (select * from %s) as r where (%s) is true limit 0', relation, options ->> 'when');
        exception when others then
            raise exception 'when: %', sqlerrm
                using errcode = sqlstate,
                    hint = 'Write an SQL condition over the columns of the table; functions and types '
                        'of your own with their schema.';
        end;
    end if;
    -- Each setting costs as much as a column, so that only what has to be set is set.
    select case
            when options ?| '{when,topic,eligible_authid,eligible_authrole}'
                or bool_or(t.oid <> all (plain) and t.typtype <> 'e' and d.setting is null)
            then '{timezone=UTC,datestyle=ISO,intervalstyle=iso_8601,bytea_output=hex,extra_float_digits=1}'
            else coalesce(array_agg(distinct d.setting) filter (where d.setting is not null), '{}')
        end
    into settings
    from pg_attribute as a
    join pg_type as t on t.oid = a.atttypid
    left join jsonb_each_text(depending) as d (type, setting) on d.type::regtype = t.oid
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped;
    -- With trace_notify a writer could have PostgreSQL tell it the channel of the events.
    settings := settings || '{"search_path=pg_catalog, pg_temp",trace_notify=off}'::text[];
    if exists (
        select from pg_proc as p
        where p.oid = former and p.prosrc = source and p.prosecdef
            and array(select lower(s) from unnest(p.proconfig) as s order by 1)
                = array(select lower(s) from unnest(settings) as s order by 1)
    ) then
        return name;
    end if;
    execute format(
        'create or replace function wamp.%I() returns trigger language plpgsql security definer %s as %L',
        name,
        (select string_agg(format('set %s = %s', split_part(s, '=', 1),
                case when s ~ '^search_path' then split_part(s, '=', 2)
                    else quote_literal(split_part(s, '=', 2)) end), ' ')
            from unnest(settings) as s),
        source);
    execute format('revoke execute on function wamp.%I() from public', name);
    return name;
end
$$;
