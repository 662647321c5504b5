-- The log: events in the order in which they have happened. Only the sequencer writes it, and no position
-- is given twice. Six partitions are written in turn, and the oldest one is emptied.
--
-- op     insert, update, delete, truncate; publish; era (a marker, see wamp.era); watched (a marker, see
--        wamp.layout); forgotten
-- topic  of wamp.publish, or made by a template; null where the name of the table makes it
-- body   of a change: key, new, old, changed, truncated; of wamp.publish: args and kwargs; as they travel
-- mark   a keyed hash of the event: a cursor has it, to know the event again
-- silent whether the event is for those who read the log, and for no topic
-- seen   and what follows: as in wamp.sequencer, with the last event that was appended with others
create table wamp.log (
    slot smallint not null,
    position bigint not null,
    at timestamptz not null,
    xid xid8 not null,
    relation regclass not null,
    relation_schema text,
    relation_name text,
    op text not null,
    topic text,
    options text,
    body text,
    mark bytea not null,
    silent boolean not null default false,
    batched boolean not null default false,
    seen pg_snapshot,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint,
    constraint log_pkey primary key (position, slot)
) partition by list (slot);
create table wamp.log_0 partition of wamp.log for values in (0);
create table wamp.log_1 partition of wamp.log for values in (1);
create table wamp.log_2 partition of wamp.log for values in (2);
create table wamp.log_3 partition of wamp.log for values in (3);
create table wamp.log_4 partition of wamp.log for values in (4);
create table wamp.log_5 partition of wamp.log for values in (5);
create index log_relation_position_idx on wamp.log (relation, position);
comment on table wamp.log is 'Events in the order in which they have happened';

-- How far raw rows were made into events: of all that seen shows, and of what taking shows beyond it the
-- transactions before taken_xid, which ends at taken_place, and of that one the raw rows up to taken_after and
-- taken_number, and so many changes of those that follow. It stands with the last event of the log, unless
-- nothing was appended since this row was written: PostgreSQL keeps every version of a row while anybody's
-- snapshot is older, and a row that changes with each event would get slower and slower. See wamp.progress.
create table wamp.sequencer (
    single boolean not null default true,
    seen pg_snapshot not null,
    taking pg_snapshot,
    taken_place pg_lsn,
    taken_xid xid8,
    taken_after pg_lsn,
    taken_number integer,
    taken_rows bigint,
    position bigint not null default 0,
    mark bytea not null default '',
    slot smallint not null default 0,
    rotated_at timestamptz not null default now(),
    -- Of the last event that retention has removed: a cursor at it is still good.
    removed_position bigint not null default 0,
    removed_mark bytea not null default '',
    constraint sequencer_pkey primary key (single),
    constraint sequencer_single_check check (single)
);
comment on table wamp.sequencer is 'One row: how far raw rows were made into events';

-- A stretch of the log that was written by one history of the database: another one begins when the system
-- identifier, the timeline or the oid of wamp.log is another, as it is in a dump that was restored. Its first
-- event marks it.
create table wamp.era (
    began bigint not null,
    name uuid not null default gen_random_uuid(),
    system_identifier bigint not null,
    timeline integer not null,
    log_oid bigint not null,
    at timestamptz not null default now(),
    constraint era_pkey primary key (began)
);
comment on table wamp.era is 'Histories of this database that the log was written by';

-- The key of the marks. Who can read it can tell an event by its mark.
create table wamp.secret (
    single boolean not null default true,
    key bytea not null,
    constraint secret_pkey primary key (single),
    constraint secret_single_check check (single)
);
comment on table wamp.secret is 'The key of the hashes in cursors';
