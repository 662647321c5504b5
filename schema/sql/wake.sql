-- Wake the publisher who sleeps, and hand it the event.
--
-- pg_notify takes a lock at commit that the whole cluster shares, so writers that notify are
-- serialised. The publisher holds the advisory lock (20599, 3) exclusively while it sleeps, and loses
-- it with its connection; so whoever cannot share it has one to wake, and calls this. Callers insert their
-- event before they probe: then they hold a lock on wamp.event, and a publisher that begins to sleep
-- waits for them.
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
--
-- An event that is handed over has the members of one that is read (events.sql in the component) and
-- pg_current_snapshot(), as text, separated by the control character 1F, which is in no JSON; null
-- is empty. To make JSON of it would take as long as to write it.
create or replace function wamp.wake(event text, secret text) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- It would tell the caller the channel of the events.
set trace_notify = off
as $$
declare
    xid constant text := pg_current_xact_id()::text;
begin
    -- A session that listens and does not end its transaction can fill the queue; then NOTIFY fails at
    -- commit, and with it the write. The publisher looks for itself every few seconds.
    if pg_notification_queue_usage() > 0.5 then
        return;
    end if;
    -- A notification holds less than 8000 octets.
    if octet_length(event) < 8000
        and current_setting('wamp.announced', true) is distinct from xid
        and current_setting('transaction_isolation') = 'read committed'
    then
        perform pg_notify(secret, event);
    else
        perform pg_notify('pgwamp', '');
    end if;
    perform set_config('wamp.announced', xid, true);
end
$$;
