-- Conditions and computed columns of a watched table, of rows as they were.
--
-- The sequencer calls this with a statement of its own that reads the rows from $1. What a condition says
-- was written by whoever watched the table, and functions in it can be replaced by their owners: so it
-- runs as a role without rights (see evaluator.sql), in a function whose role nobody can change from within.
--
-- Members of that role, and what runs as it, own this function: with USAGE on the schema, as PUBLIC may have it, they
-- can alter how it runs. Its text is for who may create in the schema. So the text relies on nothing that can be
-- altered: it sets its settings itself, and runs nothing unless its role is the owner's and cannot be changed.
create or replace function wamp.evaluate(statement text, records json) returns json
language plpgsql
security definer
-- All that the text sets: so it ends with the function.
set search_path = pg_catalog, pg_temp
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set standard_conforming_strings = on
set transform_null_equals = off
set array_nulls = on
set xmloption = content
as $$
declare
    -- Read before the search path is set.
    answer pg_catalog.json;
begin
    set local search_path = pg_catalog, pg_temp;
    begin
        set local role none;
        raise exception 'wamp.evaluate has been altered, and evaluates nothing'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    exception when insufficient_privilege then
        -- As it should be: PostgreSQL refuses that within SECURITY DEFINER alone.
        null;
    end;
    -- By the catalog, because this role may not name what is in the schema.
    if not exists (
        select from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'wamp' and p.proname = 'evaluate' and p.proargtypes = '25 114'
            and pg_get_userbyid(p.proowner) = current_user
    ) then
        -- It is called from within another one.
        raise exception 'wamp.evaluate has been altered, and evaluates nothing'
            using errcode = 'object_not_in_prerequisite_state',
                hint = 'As a superuser run: pgwamp db upgrade';
    end if;
    -- As in wamp.capture.
    set local debug_print_parse = off;
    set local debug_print_rewritten = off;
    set local debug_print_plan = off;
    set local timezone = 'UTC';
    set local datestyle = 'ISO, MDY';
    set local intervalstyle = 'iso_8601';
    set local bytea_output = 'hex';
    set local extra_float_digits = 1;
    set local lc_monetary = 'C';
    set local standard_conforming_strings = on;
    set local transform_null_equals = off;
    set local array_nulls = on;
    set local xmloption = content;
    execute statement into answer using records;
    if octet_length(answer::text) > 33554432 then
        raise exception 'computed columns are too long' using errcode = 'program_limit_exceeded';
    end if;
    return answer;
end
$$;
