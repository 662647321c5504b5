-- Wake the publisher, but only if there is one and it sleeps.
--
-- pg_notify takes a lock at commit that the whole cluster shares, so writers that notify are
-- serialised. The publisher holds the advisory lock (20599, 1) exclusively while it leads, and
-- (20599, 2) while it is awake; only one who leads and is not awake has to be woken. Callers insert
-- their event before they probe: then the transaction has an id, and a publisher that begins to lead
-- or is about to sleep waits for it.
create or replace function wamp.wake() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_try_advisory_lock_shared(20599, 2) then
        perform pg_advisory_unlock_shared(20599, 2);
        if pg_try_advisory_lock_shared(20599, 1) then
            perform pg_advisory_unlock_shared(20599, 1);
        else
            perform pg_notify('pgwamp', '');
        end if;
    end if;
end
$$;
