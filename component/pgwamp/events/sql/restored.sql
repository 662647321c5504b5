-- Go on in another database, after a restore or pg_upgrade: transaction ids of before mean nothing here.
--
-- What was published is removed. The rest is taken for written now, that of before the restore and what
-- was written since: that is younger than the stored position.
begin;
set local synchronous_commit = on;
delete from wamp.event as e
using wamp.publisher as p
where e.created_at <= p.published_at and pg_visible_in_snapshot(e.xid, p.published);
update wamp.event set xid = pg_current_xact_id();
update wamp.retention set pruned = null;
update wamp.publisher
set published = pg_current_snapshot(), polled = null, last_id = null, cluster = wamp.cluster(),
    published_at = now();
commit
