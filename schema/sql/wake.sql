-- Wake the publisher, but only if it sleeps.
--
-- pg_notify takes a lock at commit that the whole cluster shares, so writers that notify are
-- serialised. The publisher holds the advisory lock (20599, 2) exclusively while it is awake;
-- only when a probe finds it free is there a sleeper to wake. Callers insert their event before
-- they probe: then the transaction has an id, and a publisher about to sleep waits for it.
create or replace function wamp.wake() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_try_advisory_lock_shared(20599, 2) then
        perform pg_advisory_unlock_shared(20599, 2);
        perform pg_notify('pgwamp', '');
    end if;
end
$$;
