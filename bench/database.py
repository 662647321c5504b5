"""The tables of the benchmark, the same for every side."""

from __future__ import annotations

import psycopg2

ROWS, ARTISTS, BULK = 10_000, 1_000, 1_000
TABLES = f"""
create table item (
    id int primary key, name text not null, kind text not null, quantity int not null,
    price numeric(10, 2) not null, active bool not null, created timestamptz not null, note text
);
insert into item
select n, 'item ' || n, 'kind ' || n % 7, n % 100, n / 7.0, n % 2 = 0,
    '2024-01-01 10:00:00+00'::timestamptz + n * interval '1 second', null
from generate_series(1, {ROWS}) as n;

create table artist (id int primary key, name text not null);
create table album (
    id int primary key, artist_id int not null references artist, title text not null
);
create table track (
    id int primary key, album_id int not null references album, name text not null,
    milliseconds int not null
);
insert into artist select n, 'artist ' || n from generate_series(1, {ARTISTS}) as n;
insert into album
select n, (n - 1) / 3 + 1, 'album ' || n from generate_series(1, {ARTISTS * 3}) as n;
insert into track
select n, (n - 1) / 8 + 1, 'track ' || n, n % 1000 from generate_series(1, {ARTISTS * 24}) as n;
create index on album (artist_id);
create index on track (album_id);

create table entry (
    id bigint primary key generated always as identity, name text not null, quantity int not null,
    price numeric(10, 2) not null, created timestamptz not null
)
"""


def create(url: str) -> None:
    """Make and fill the tables."""
    run(url, TABLES, "vacuum analyze")


def empty(url: str) -> None:
    """Forget what was inserted: every round begins alike."""
    run(url, "truncate entry")


def run(url: str, *statements: str) -> None:
    """Run statements, each in its own transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()
