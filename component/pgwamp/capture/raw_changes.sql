-- Raw changes: what the triggers of watched tables have written, until events are made of it.
--
-- One table of changes is partitioned by turn, so that one partition can be emptied by TRUNCATE while writers
-- use another. The turn is part of the value of a sequence that nobody else may set; its other part says
-- whether the sequencer sleeps. A sequence is outside of transactions: a writer with an old snapshot reads it
-- as it is. Where it was never set, in a copy of the schema without data, nothing is captured.
create sequence wamp.signal minvalue 0;
create table wamp.raw (
    turn smallint not null,
    xid xid8 not null,
    place pg_lsn not null,
    n integer not null,
    depth integer not null,
    relation oid not null,
    op "char" not null,
    old text,
    new text
) partition by list (turn);
create table wamp.raw_0 partition of wamp.raw for values in (0);
create table wamp.raw_1 partition of wamp.raw for values in (1);
create table wamp.raw_2 partition of wamp.raw for values in (2);
create index on wamp.raw (xid);
