-- The expression of a generated column; null while another session keeps its table locked, and where it is too deep to
-- be written out: no owner of a table keeps anybody who asks for it waiting, or stops them.
create or replace function wamp.expression(definition pg_node_tree, relation oid) returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set lock_timeout = '1ms'
-- As wamp.evaluate reads constants.
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'iso_8601'
set bytea_output = 'hex'
set extra_float_digits = 1
set lc_monetary = 'C'
set quote_all_identifiers = off
as $$
begin
    return pg_get_expr(definition, relation);
exception when others then
    return null;
end
$$;
