-- The tables of pgwamp.
--
-- A change goes from raw to log: triggers write raw rows in the transaction of the change, the
-- sequencer makes events of them and appends these to the log, everybody else reads the log.

-- Raw rows are partitioned by turn, so that one partition can be emptied by TRUNCATE while writers use
-- another. The turn is part of the value of a sequence that nobody else may set; its other part says
-- whether the sequencer sleeps: turn * 2 + asleep. A sequence is outside of transactions: a writer with an
-- old snapshot reads it as it is. Where it was never set, in a copy of the schema without data, nothing is
-- captured.
create sequence wamp.signal minvalue 0;

-- op: i u d t (insert, update, delete, truncate); I U D where the rows could not be written; p (publish);
-- w l x f (watch, layout, unwatch, forget), with what they say in new, as JSON.
create table wamp.raw (
    turn smallint not null,
    xid xid8 not null,
    at timestamptz not null default clock_timestamp(),
    place pg_lsn not null,
    n integer not null,
    depth integer not null,
    relation regclass not null,
    -- A hash of the columns of the relation, where no event trigger tells that they have changed.
    stamp integer,
    op "char" not null,
    old text,
    new text
) partition by list (turn);
create table wamp.raw_0 partition of wamp.raw for values in (0);
create table wamp.raw_1 partition of wamp.raw for values in (1);
create table wamp.raw_2 partition of wamp.raw for values in (2);
create index raw_xid_idx on wamp.raw (xid);
comment on table wamp.raw is 'What has changed, as triggers have written it; emptied by turns';

-- The log: events in the order in which they have happened. Only the sequencer writes it, and no position
-- is given twice. Six partitions are written in turn, and the oldest one is emptied.
--
-- op     insert, update, delete, truncate; publish; era (a marker, see wamp.era); forgotten
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
-- taken_number, and so many changes of those that follow. It stands with the last event of the log, unless nothing was appended since
-- this row was written: PostgreSQL keeps every version of a row while anybody's snapshot is older, and a row that
-- changes with each event would get slower and slower. See wamp.progress.
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
-- identifier or the timeline is another. Its first event marks it.
create table wamp.era (
    began bigint not null,
    name uuid not null default gen_random_uuid(),
    system_identifier bigint not null,
    timeline integer not null,
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

-- The watched tables, as wamp.watch was called last.
create table wamp.watch (
    relation regclass not null,
    options jsonb not null,
    constraint watch_pkey primary key (relation)
);
comment on table wamp.watch is 'Watched tables and the options that they are watched with';

-- The same as it was at the position of the sequencer, with the columns and types of each table.
create table wamp.layout (
    relation regclass not null,
    layout text not null,
    options text not null,
    constraint layout_pkey primary key (relation)
);
comment on table wamp.layout is 'Layouts of rows at the position of the sequencer';

-- How far each component, by its realm and prefix, has published the log, and when one of them last ran: of
-- what it has not published yet nothing is removed, unless it is gone for as long as events are kept.
create table wamp.publication (
    realm text not null,
    prefix text not null,
    position bigint not null,
    mark bytea not null,
    published_at timestamptz not null default now(),
    ran_at timestamptz not null default now(),
    constraint publication_pkey primary key (realm, prefix)
);
comment on table wamp.publication is 'How far each component has published the log';

-- Who leads. A takeover changes the term, which is part of a key: it waits for every transaction that
-- holds the term with FOR KEY SHARE. To renew changes no key, and waits for nobody.
create table wamp.lease (
    name text not null,
    term bigint not null,
    held boolean not null default false,
    renewed_at timestamptz not null default now(),
    constraint lease_pkey primary key (name),
    constraint lease_name_term_key unique (name, term)
);
comment on table wamp.lease is 'Which process leads, and since when that is certain';

-- What each component, by its prefix, lets wamp.publish do; it says so at every start.
create table wamp.component (
    prefix text not null,
    topics text[] not null,
    roles text[] not null,
    constraint component_pkey primary key (prefix)
);
comment on table wamp.component is 'What each component, by its prefix, lets wamp.publish do';
