-- EXECUTE on wamp.evaluate for the owner of the schema alone, whatever default privileges or members of its owner have
-- granted. What others have been granted goes with what they have granted.
do $do$
declare
    grantee text;
begin
    for grantee in
        select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_proc as p, aclexplode(p.proacl) as a
        where p.oid = 'wamp.evaluate(text, json)'::regprocedure and a.grantee <> p.proowner
    loop
        execute format('revoke all on function wamp.evaluate(text, json) from %s cascade', grantee);
    end loop;
    execute format('grant execute on function wamp.evaluate(text, json) to %I',
        (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'wamp'));
end
$do$;
