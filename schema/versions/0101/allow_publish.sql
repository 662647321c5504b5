-- What the component with this prefix lets wamp.publish do: a component says so when it starts.
--
-- A topic that ends with a dot stands for all below it. Several components add up. Roles get EXECUTE on
-- wamp.publish and USAGE on the schema. Those that this component allowed before lose both unless another
-- one allows them too; what somebody granted by hand stays. For who may execute this function there is
-- one GRANT: it runs as the owner.
create or replace function wamp.allow_publish(own_prefix text, own_topics text[], own_roles text[])
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- As in wamp.capture.
set debug_print_parse = off
set debug_print_rewritten = off
set debug_print_plan = off
as $$
declare
    publish constant regprocedure := 'wamp.publish(text, jsonb, jsonb, jsonb)';
    former text[];
    name text;
begin
    select r into name from unnest(own_roles) as r
    where r <> 'public' and not exists (select from pg_roles where rolname = r);
    if found then
        raise exception 'there is no role %', quote_ident(name)
            using errcode = 'undefined_object';
    end if;
    -- Components that start at once would both change the rights of one function. It does not wait for the locks of
    -- those who write: by nextval, any role can have one on any relation.
    lock table wamp.component in share update exclusive mode;
    select roles into former from wamp.component where prefix = own_prefix;
    insert into wamp.component as c (prefix, topics, roles)
    values (own_prefix, own_prefix || '.' || own_topics, own_roles)
    on conflict (prefix) do update set topics = excluded.topics, roles = excluded.roles
    where (c.topics, c.roles) is distinct from (excluded.topics, excluded.roles);
    for name in
        select r from unnest(former) as r
        where not exists (select from wamp.component where r = any (roles))
            and (r = 'public' or exists (select from pg_roles where rolname = r))
    loop
        execute format('revoke execute on function %s from %I', publish, name);
        -- Whoever was given another right by hand has to name what it is on.
        if not exists (
            select from (
                select proacl from pg_proc where pronamespace = 'wamp'::regnamespace
                union all
                select relacl from pg_class where relnamespace = 'wamp'::regnamespace
            ) as o (acl), aclexplode(o.acl) as a
            where a.grantee = coalesce((select oid from pg_roles where rolname = name), 0)
        ) then
            execute format('revoke usage on schema wamp from %I', name);
        end if;
    end loop;
    for name in
        select r from unnest(own_roles) as r
        left join pg_roles as known on known.rolname = r
        where not exists (
            select from pg_proc as p, aclexplode(p.proacl) as a
            where p.oid = publish and a.grantee = coalesce(known.oid, 0)
        )
    loop
        -- Each GRANT makes every component reload, so not at every start.
        execute format('grant execute on function %s to %I', publish, name);
    end loop;
    for name in
        select r from unnest(own_roles) as r
        left join pg_roles as known on known.rolname = r
        where not exists (
            select from pg_namespace as n, aclexplode(n.nspacl) as a
            where n.nspname = 'wamp' and a.privilege_type = 'USAGE'
                and a.grantee = coalesce(known.oid, 0)
        )
    loop
        execute format('grant usage on schema wamp to %I', name);
    end loop;
end
$$;
