"""A database with the schema of before its revisions began anew: told what to do, or moved."""

from __future__ import annotations

from contextlib import closing

import pytest

from pgwamp import migrations
from pgwamp.errors import StartError

from .conftest import Database, Server, connect, query

#: In the shape of revision 0010, as far as it matters.
OLD_SCHEMA = (
    "create schema wamp",
    "create table wamp.alembic_version (version_num varchar(32) primary key)",
    "insert into wamp.alembic_version values ('0010')",
    "create table wamp.event (id bigserial, slot smallint, topic text)",
    "create table wamp.publisher (single boolean primary key)",
    "create table wamp.kept (relation regclass, key_columns text[], options jsonb)",
    "create function wamp.capture_1() returns trigger language plpgsql as "
    "$$ begin insert into wamp.event (topic) values (tg_op); return null; end $$",
    "create view wamp.watched as select w.relation, n.nspname::text as relation_schema, "
    "c.relname::text as relation_name, w.key_columns, w.options from wamp.kept as w "
    "join pg_class as c on c.oid = w.relation join pg_namespace as n on n.oid = c.relnamespace",
    "create table item (id int primary key, v text)",
    'create schema "S\'hop"',
    'create table "S\'hop"."Or""ders" (id int primary key, v text)',
    "create table log (n int)",
    "alter table log replica identity full",
)
WATCHES = """
insert into wamp.kept values
    ('item', '{id}', '{}'),
    ('"S''hop"."Or""ders"', '{id}', '{"old": "full", "when": "v <> ''it''''s''"}'),
    ('log', null, '{}')
"""
AGAIN = [
    """select wamp.watch('"S''hop"."Or""ders"', """
    """'{"old": "full", "when": "v <> ''it''''s''"}');""",
    "select wamp.watch('public.item');",
    """select wamp.watch('public.log', '{"old": "full"}');""",
]


@pytest.fixture
def old_database(empty_database: Database) -> Database:
    """A database at revision 0010, whose watched tables have triggers."""
    for statement in (*OLD_SCHEMA, WATCHES):
        empty_database.query(statement)
    for table in ("item", '"S\'hop"."Or""ders"', "log"):
        empty_database.query(
            f"create trigger wamp_insert after insert on {table} "
            "for each statement execute function wamp.capture_1()"
        )
    return empty_database


def refusal(database: Database) -> str:
    """The one line of an upgrade that is refused."""
    with pytest.raises(StartError) as caught:
        migrations.upgrade(database.url)
    line = str(caught.value)
    assert "\n" not in line
    return line


def removed(database: Database) -> list[str]:
    """The statements of the script that the removal of the schema tells."""
    script: list[str] = []
    migrations.downgrade(database.url, "base", script=script.append)
    return [line for line in script if not line.startswith("-- ")]


def test_an_old_schema_is_told_in_one_line_what_to_do_and_the_line_does_it(
    old_database: Database,
) -> None:
    line = refusal(old_database)
    assert "at revision 0010" in line
    assert "run 'pgwamp db downgrade base', which prints a script" in line
    assert "events that are not published yet are lost, and subscribers start over" in line
    assert "wamp.watch" not in line
    assert migrations.current(old_database.url) == "0010"

    statements = removed(old_database)
    assert statements == AGAIN
    old_database.query("insert into item values (1)")
    migrations.upgrade(old_database.url)
    for statement in statements:
        old_database.query(statement)
    assert old_database.query(
        "select relation_name, options from wamp.watched order by relation_name"
    ) == [
        ('Or"ders', {"old": "full", "when": "v <> 'it''s'"}),
        ("item", {}),
        ("log", {"old": "full"}),
    ]


def test_no_watch_of_an_old_schema_is_cut(old_database: Database) -> None:
    condition = "v <> '" + "x" * 2_500 + "'"
    old_database.query(
        "update wamp.kept set options = jsonb_build_object('when', %s::text) "
        "where key_columns is not null",
        condition,
    )
    statements = removed(old_database)
    migrations.upgrade(old_database.url)
    for statement in statements:
        old_database.query(statement)
    assert old_database.query("select options ->> 'when' from wamp.watch order by 1") == [
        (condition,),
        (condition,),
        (None,),
    ]


@pytest.mark.parametrize("revision", ["0001", "0006", "0010"])
def test_every_old_revision_is_known(old_database: Database, revision: str) -> None:
    old_database.query("update wamp.alembic_version set version_num = %s", revision)

    assert f"at revision {revision}" in refusal(old_database)
    with pytest.raises(StartError, match="pgwamp db downgrade base"):
        migrations.pending(old_database.url)
    with pytest.raises(StartError, match="pgwamp db downgrade base"):
        migrations.downgrade(old_database.url, "-1")


def test_a_view_of_before_there_were_options_is_read_too(old_database: Database) -> None:
    old_database.query("drop view wamp.watched")
    old_database.query(
        "create view wamp.watched as select relation, key_columns from wamp.kept "
        "where key_columns is not null"
    )

    assert len(removed(old_database)) == 2


def test_an_old_schema_is_replaced_where_that_is_asked_for(old_database: Database) -> None:
    lines: list[str] = []
    migrations.upgrade(old_database.url, replaced=lines.append)

    assert migrations.current(old_database.url) == migrations.head()
    [line] = lines
    assert "without its events, and watches 3 tables again" in line
    old_database.query("insert into item values (1, 'a')")
    old_database.query('insert into "S\'hop"."Or""ders" values (2)')
    assert old_database.changes() == [("i", None, "(1,a)"), ("i", None, "(2,)")]

    migrations.upgrade(old_database.url, replaced=lines.append)
    assert len(lines) == 1


def test_a_table_that_cannot_be_watched_any_more_is_named(old_database: Database) -> None:
    old_database.query("""update wamp.kept set options = '{"when": "v > now()::text"}'
        where relation = 'item'::regclass""")
    lines: list[str] = []
    migrations.upgrade(old_database.url, replaced=lines.append)

    [line, refused] = lines
    assert line.endswith("watches 2 tables again")
    assert refused.startswith("not watched any more (when: ")
    assert "IMMUTABLE" in refused
    assert refused.endswith(
        """): select wamp.watch('public.item', '{"when": "v > now()::text"}');"""
    )
    assert old_database.value("select count(*) from wamp.watched") == 2


def test_a_replacement_that_fails_leaves_the_old_schema(
    old_database: Database, server: Server
) -> None:
    with closing(connect(server.url(old_database.name))) as administrator:
        query(administrator, "revoke execute on function gen_random_uuid() from public")
        lines: list[str] = []
        with pytest.raises(StartError, match="gen_random_uuid"):
            migrations.upgrade(old_database.url, replaced=lines.append)
    assert lines == []
    assert migrations.current(old_database.url) == "0010"
    old_database.query("insert into item values (1)")
    assert old_database.query("select topic from wamp.event") == [("INSERT",)]
