-- Raw rows: triggers write them in the transaction of the change.
--
-- They are partitioned by turn, so that one partition can be emptied by TRUNCATE while writers use
-- another. The turn is part of the value of a sequence that nobody else may set; its other part says
-- whether the sequencer sleeps: turn * 2 + asleep. A sequence is outside of transactions: a writer with an
-- old snapshot reads it as it is. Where it was never set, in a copy of the schema without data, nothing is
-- captured.
create sequence wamp.signal minvalue 0;

-- op: i u d t (insert, update, delete, truncate); I U D where the rows could not be written; p (publish);
-- w l x f (watch, layout, unwatch, forget), with what they say in new, as JSON. A layout is of a watched table, or of
-- a relation whose rows can be values of one; null if it could not be had.
create table wamp.raw (
    turn smallint not null,
    xid xid8 not null,
    at timestamptz not null default clock_timestamp(),
    -- When the client has sent its statement, and how many rows of the relation the transaction had changed by the
    -- end of the query. Where either differs, two statements are of two queries. So does the command tell, but it is
    -- not in the WAL: after a crash, on a standby and in a dump there are only these. Partitions are counted for
    -- themselves, so that of a table that has some only the first one differs.
    sent timestamptz not null default statement_timestamp(),
    place pg_lsn not null,
    n integer not null,
    depth integer not null,
    relation regclass not null,
    changed integer,
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
