-- The watched tables, as wamp.watch was called last; with the condition of each as PostgreSQL has understood it,
-- and the columns that it names.
create table wamp.watch (
    relation regclass not null,
    -- Another one when a table is watched again after it was not: what has changed in between is in no event.
    id uuid not null default gen_random_uuid(),
    options jsonb not null,
    condition text,
    condition_columns text[],
    constraint watch_pkey primary key (relation)
);
comment on table wamp.watch is 'Watched tables and the options that they are watched with';

-- The same as it was at the position of the sequencer, with the columns and types of each table. By this watch, it has
-- been watched under this name since position began of the log, where a marker is: cursors from before are of what
-- had the name then, or know nothing of what has changed while it was not watched. Transactions have altered it, and
-- composites among its values, last.
create table wamp.layout (
    relation regclass not null,
    layout text not null,
    options text not null,
    watch uuid,
    began bigint not null,
    relation_schema text not null,
    relation_name text not null,
    altered_by text,
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
