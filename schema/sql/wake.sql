-- Wake the publisher, but only if there is one and it sleeps, and hand it the event.
--
-- pg_notify takes a lock at commit that the whole cluster shares, so writers that notify are
-- serialised. The publisher holds the advisory lock (20599, 3) exclusively while it sleeps, and loses
-- it with its connection; so whoever cannot share it has one to wake. Callers insert their event before
-- they probe: then they hold a lock on wamp.event, and a publisher that begins to sleep waits for them.
-- Who else takes the advisory lock makes writers notify in vain, or the publisher stay awake.
--
-- A probe locks and unlocks in one expression. Between two statements the writer could be cancelled,
-- and its session would keep a lock that lets no publisher sleep again.
--
-- Notifications come in the order of commits, so that a sleeping publisher may publish what they
-- carry: the first event of a transaction, with what the transaction saw, if that is all that was
-- committed before. Of whatever else there is it is only told, and reads for itself; so a long
-- transaction does not fill the queue of notifications. Everybody can listen to a channel, and notify:
-- therefore that of the events has a name that only the owner of this schema can read.
create or replace function wamp.wake(event_id bigint, current_slot smallint, secret text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- Planning takes longer than all the rest; a plan that was made while there was little has to find the
-- event also among many.
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
    event text;
    xid constant text := pg_current_xact_id()::text;
begin
    if (case when pg_try_advisory_lock_shared(20599, 3) then pg_advisory_unlock_shared(20599, 3) end)
        is null
    then
        if event_id is not null
            and current_setting('wamp.announced', true) is distinct from xid
            and current_setting('transaction_isolation') = 'read committed'
        then
            -- The columns are those of a page: events.sql in the component.
            select row_to_json(a)::text into event
            from (
                select id, e.xid::text, created_at at time zone 'UTC' as created_at,
                    topic, relation_schema, relation, op, options::text, changed, args::text,
                    kwargs::text, key::text, new::text, old::text, false as truncated,
                    pg_current_snapshot()::text as snapshot
                from wamp.event as e
                where id = event_id and slot = current_slot and deferred is null
                    and coalesce(size, 0) < 8000
            ) as a;
        end if;
        -- A notification holds less than 8000 octets.
        if octet_length(event) < 8000 then
            perform pg_notify(secret, event);
        else
            perform pg_notify('pgwamp', '');
        end if;
        perform set_config('wamp.announced', xid, true);
    end if;
end
$$;
