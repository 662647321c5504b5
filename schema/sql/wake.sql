-- Wake the publisher, but only if there is one and it sleeps.
--
-- pg_notify takes a lock at commit that the whole cluster shares, so writers that notify are
-- serialised. The publisher holds the advisory lock (20599, 1) exclusively while it leads, and
-- (20599, 2) while it is awake; only one who leads and is not awake has to be woken. Callers insert
-- their event before they probe: then the transaction has an id, and a publisher that begins to lead
-- or is about to sleep waits for it.
--
-- A probe locks and unlocks in one expression. Between two statements the writer could be cancelled,
-- and its session would keep a lock that lets no publisher lead or be awake again.
create or replace function wamp.wake() returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (case when pg_try_advisory_lock_shared(20599, 2) then pg_advisory_unlock_shared(20599, 2) end)
        and not (case when pg_try_advisory_lock_shared(20599, 1)
            then pg_advisory_unlock_shared(20599, 1) else false end)
    then
        perform pg_notify('pgwamp', '');
    end if;
end
$$;
