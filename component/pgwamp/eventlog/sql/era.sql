-- This history of the database, and the one that the log was last written by.
select
    (select system_identifier from pg_control_system()) as system_identifier,
    -- Just after a promotion pg_control_checkpoint() still tells the old timeline.
    ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer as timeline,
    'wamp.log'::regclass::oid::bigint as log_oid,
    e.system_identifier as last_system_identifier, e.timeline as last_timeline, e.log_oid as last_log_oid
from wamp.era as e
order by e.began desc
limit 1
