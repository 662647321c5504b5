-- The expression of a generated column; null while another session keeps its table locked: who asks for it waits
-- for no owner of a table.
create or replace function wamp.expression(definition pg_node_tree, relation oid) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
as $$
begin
    return pg_get_expr(definition, relation);
exception when lock_not_available then
    return null;
end
$$;
