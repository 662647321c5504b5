-- Has wamp.evaluate run as a role without rights, which is made if it is not there.
--
-- A condition of a watch can call functions that others own and replace, and to read a value of a domain
-- calls what its owner has chosen. Roles are for superusers, and for who may create roles: for another role
-- this does nothing, and the functions run with the rights of the owner of wamp; `pgwamp check` says so. It
-- can be repeated at any time; `pgwamp db upgrade` does so.
do $do$
declare
    evaluate constant regprocedure := to_regprocedure('wamp.evaluate(text, json)');
    home constant pg_namespace := (select n from pg_namespace as n where n.nspname = 'wamp');
    is_superuser constant boolean := (select rolsuper from pg_roles where rolname = current_user);
begin
    if exists (
        select from pg_proc as p join pg_roles as r on r.oid = p.proowner
        where p.oid = evaluate and r.rolname = 'pgwamp_evaluator'
    ) then
        return;
    end if;
    begin
        create role pgwamp_evaluator nologin noinherit;
    exception when duplicate_object or unique_violation then
        -- Roles are of the whole cluster: another database has made it.
        null;
    end;
    if not is_superuser
        and not pg_has_role('pgwamp_evaluator',
            case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end)
    then
        -- Who makes a role may have a membership without it, by createrole_self_grant.
        execute format('grant pgwamp_evaluator to %I%s', current_user,
            case when current_setting('server_version_num')::int >= 160000 then ' with set true' else '' end);
    end if;
    -- It has to be allowed for the moment in which the owner changes; for a superuser it need not, whose
    -- upgrade would meet who waits for the schema already.
    if not is_superuser then
        grant create on schema wamp to pgwamp_evaluator;
    end if;
    alter function wamp.evaluate(text, json) owner to pgwamp_evaluator;
    if not is_superuser then
        revoke create on schema wamp from pgwamp_evaluator;
    end if;
    execute format('grant execute on function wamp.evaluate(text, json) to %I',
        pg_get_userbyid(home.nspowner));
exception when insufficient_privilege then
    null;
end
$do$;
