-- Conditions and computed columns of a watched table, of rows as they were.
--
-- The sequencer calls this with a statement of its own that reads the rows from $1. What a condition says
-- was written by whoever watched the table, and functions in it can be replaced by their owners: so it
-- runs as a role without rights (see roles.sql), in a function whose role nobody can change from within.
create or replace function wamp.evaluate(statement text, records json) returns json
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- As in wamp.capture.
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
as $$
declare
    answer json;
begin
    execute statement into answer using records;
    if octet_length(answer::text) > 33554432 then
        raise exception 'computed columns are too long' using errcode = 'program_limit_exceeded';
    end if;
    return answer;
end
$$;
