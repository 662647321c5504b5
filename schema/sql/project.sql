-- The named members of a row's JSON: {"id": 1, "name": "x"} and {id} give {"id": 1}.
create or replace function wamp.project(row_data jsonb, columns text[]) returns jsonb
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_object_agg(c, row_data -> c), '{}')
    from unnest(columns) as c
$$;
