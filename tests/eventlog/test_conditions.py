"""Conditions and virtual columns say of rows as they were what they say on the table."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence

import asyncpg
import pytest

from pgwamp.eventlog import conditions, evaluator
from pgwamp.eventlog.body import read_body
from pgwamp.values import record_texts
from tests.eventlog.conftest import Log, require_virtual_columns

TYPES = (
    "create schema app",
    "grant usage on schema app to pgwamp_evaluator",
    """create type app."Mo""od" as enum ('ok', 'b "ad')""",
    "create domain app.document as jsonb",
    "create domain app.letter as app.document",
    "create domain app.code as char(3) check (value <> 'xxx')",
    "create domain app.raw as text",
    "create type app.pair as (a int, b text, j jsonb, c app.code)",
    "create domain app.twins as app.pair",
    "create type app.span as range (subtype = float8)",
    """create collation app."byte ""wise" from "C" """,
    # On the table the one is called that has the type itself.
    "create function app.kind(app.raw) returns text language sql immutable as $$select 'domain'$$",
    "create function app.kind(text) returns text language sql immutable as $$select 'base'$$",
)
JSON = ["'{}'", "'null'", "null", "'\"x\"'", "'[1, null]'", "'5'"]
PAIR = ["(1, 'x,\"y', 'null', 'ab')", "(1, '', null, null)", "null", "(null, null, null, null)"]
#: Type of the column "v", values of its rows, and conditions.
CASES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "json": (
        [*JSON, r"""'{"a": "\u0000"}'"""],
        ["v is not null", "v::text = 'null'", "json_typeof(v) = 'string'"],
    ),
    "jsonb": (JSON, ["v is not null", "v = 'null'", "v = '\"x\"'", "jsonb_typeof(v) = 'null'"]),
    "app.document": (JSON, ["v is not null", "v = 'null'", "v = '\"x\"'"]),
    "app.letter": (JSON, ["v is not null", "v = 'null'", "jsonb_typeof(v) = 'string'"]),
    "jsonb[]": (["array['null', null]::jsonb[]", "'{}'"], ["v[1] = 'null'", "v[2] is null"]),
    "json[]": (["array['null', null]::json[]"], ["v[1]::text = 'null'", "v[2] is null"]),
    "app.letter[]": (["array['null', '\"x\"']::app.letter[]"], ["v[1] = 'null'", "v[2] = '\"x\"'"]),
    "app.pair": (
        [value if value == "null" else f"row{value}" for value in PAIR],
        ["v is null", "(v).j is not null", "(v).b = 'x,\"y'", "octet_length((v).c) = 3"],
    ),
    "app.twins": (
        [value if value == "null" else f"row{value}::app.pair" for value in PAIR],
        ["v is null", "(v).j = 'null'", "(v).b = ''"],
    ),
    "app.pair[]": (
        ["array[row(1, 'x,\"y', 'null', 'ab')::app.pair, null]", "'{}'", "null"],
        ["(v[1]).j = 'null'", "v[2] is null", "(v[1]).b = 'x,\"y'"],
    ),
    'app."Mo""od"': (["'ok'", "'b \"ad'", "null"], ["v = 'b \"ad'", "v > 'ok'"]),
    'app."Mo""od"[]': (["'{ok}'", 'array[\'b "ad\']::app."Mo""od"[]'], ["v[1] = 'ok'"]),
    "app.span": (["'[1,2)'", "'empty'"], ["isempty(v)", "upper(v) = 2"]),
    "int4multirange": (["'{[1,2),[5,6)}'", "'{}'"], ["v @> 5"]),
    "app.raw": (["'a'"], ["app.kind(v) = 'domain'", "app.kind(v) = 'base'"]),
    "app.code": (["'a'", "'abc'"], ["octet_length(v) = 3", "v = 'a'"]),
    "char(3)": (["'a'", "'abc'"], ["octet_length(v) = 3", "v = 'a'", "v like 'a'"]),
    "varchar(3)": (["'a '", "'a'"], ["v = 'a'"]),
    '"char"': (["'a'", "''"], ["v = 'a'"]),
    "name": (["'a'"], ["v = 'a'"]),
    "text": (["'É'", "'NULL'", "''", "E'a\\\\b\\n'"], ["lower(v) = 'é'", "v = 'NULL'", "v = ''"]),
    'text collate "C"': (["'É'", "'é'"], ["lower(v) = 'é'", "v > 'z'", "upper(v) = 'é'"]),
    'text collate app."byte ""wise"': (["'É'"], ["lower(v) = 'é'", "lower(v) = 'É'"]),
    "numeric(5, 2)": (["1.5", "'NaN'", "-0.004"], ["scale(v) = 2", "v = 0", "v = 'NaN'"]),
    "float8": (["'-0'", "1e300", "0.1"], ["v = 0.1::float8", "v::text = '-0'"]),
    "timestamp(0)": (["'2020-01-01 00:00:00.6'"], ["v = '2020-01-01 00:00:01'"]),
    "timestamptz": (["'infinity'", "'2020-01-01Z'"], ["v = 'infinity'"]),
    "interval day": (["'1 day 2 hours'"], ["v = '1 day'"]),
    "bit(3)": (["'101'", "'001'"], ["length(v) = 3", "v = '101'"]),
    "bytea": (["'\\x00ff'", "''"], ["length(v) = 2"]),
    "int[]": (["'[2:3]={1,2}'", "'{1,null}'"], ["v[2] = 1", "v[2] is null"]),
}


async def _visible(
    log: Log, condition: str, table: str = "item"
) -> tuple[list[int | None], list[int]]:
    """The rows that the events tell, None for one without values, and those of the table."""
    await log.take()
    bodies = [read_body(event.body or "{}") for event in await log.events() if event.table == table]
    where = f"select id from {table} where ({condition}) is true order by id"
    there = [row["id"] for row in await log.connection.fetch(where)]
    return [body.get("new", {}).get("id") for body in bodies], there


def _watch(condition: str, table: str = "item") -> str:
    options = json.dumps({"when": condition}).replace("'", "''")
    return f"select wamp.watch('{table}', '{options}')"


@pytest.mark.parametrize("kind", CASES)
async def test_a_condition_says_the_same_as_on_the_table(log: Log, kind: str) -> None:
    values, conditions = CASES[kind]
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(values))
    await log.execute(*TYPES)
    for number, condition in enumerate(conditions):
        table = f"item{number}"
        await log.execute(
            f"create table {table} (id int primary key, v {kind})",
            _watch(condition, table),
            f"insert into {table} values {rows}",
        )
    for number, condition in enumerate(conditions):
        told, there = await _visible(log, condition, f"item{number}")
        assert told == there, condition


async def test_conditions_read_what_else_the_table_has_by_no_means(log: Log) -> None:
    await log.execute(
        *TYPES,
        "create schema hidden; create type hidden.mood as enum ('ok')",
        'create table item (id int primary key, m hidden.mood, "n ""x" int, n int)',
        _watch('"n ""x" = n'),
        "insert into item values (1, 'ok', 2, 2), (2, 'ok', 2, 3)",
    )
    assert await _visible(log, '"n ""x" = n') == ([1], [1])
    await log.execute(_watch("1 = 1"), "insert into item values (3, 'ok')")
    assert [body["new"]["id"] for _, body in await log.told()] == [1, 3]


async def test_a_condition_does_not_know_of_names_that_are_not_its_table_s(log: Log) -> None:
    """The position of a row in an evaluation is called n, and its record x.record."""
    await log.execute(
        "alter event trigger wamp_ddl_command_end disable",
        "alter event trigger wamp_sql_drop disable",
        "create table item (id int primary key, n int)",
        _watch("n > 0"),
        "alter table item drop column n",
        "select wamp.refresh('item')",
        "insert into item values (1)",
    )
    assert await log.told() == [("insert", {"key": {"id": 1}, "truncated": True})]


RENAMES = {
    "enum": ("""alter type app."Mo""od" rename to "hu'mor" """, 'app."Mo""od"', "'ok'"),
    "schema of an enum": ("""alter type app."Mo""od" set schema public""", 'app."Mo""od"', "'ok'"),
    "schema": ("alter schema app rename to own", 'app."Mo""od"', "'ok'"),
    "array": ("""alter type app."Mo""od" rename to humor""", 'app."Mo""od"[]', "'{ok}'"),
    "composite": ("alter type app.pair rename to two", "app.pair", "row(1, '', 'null', 'a')"),
    "domain": ("alter domain app.letter rename to post", "app.letter", "'null'"),
    "range": ("alter type app.span rename to reach", "app.span", "'[1,2)'"),
    "collation": (
        'alter collation app."byte ""wise" rename to bytes',
        'text collate app."byte ""wise"',
        "'b'",
    ),
}


@pytest.mark.parametrize("rename", RENAMES)
async def test_a_type_may_have_another_name_by_now(log: Log, rename: str) -> None:
    change, kind, value = RENAMES[rename]
    await log.execute(
        *TYPES,
        f"create table item (id int primary key, v {kind})",
        _watch("v is not null"),
        f"insert into item values (1, {value}), (2, null)",
        change,
        f"insert into item values (3, {value}), (4, null)",
    )
    assert await _visible(log, "v is not null") == ([1, 3], [1, 3])


async def test_types_that_exchange_their_names_stay_what_they_are(log: Log) -> None:
    await log.execute(
        "create type a as enum ('x', 'y'); create type b as enum ('y', 'x')",
        "create table item (id int primary key, v a)",
        _watch("v > 'x'"),
        "insert into item values (1, 'x'), (2, 'y')",
        "alter type a rename to c; alter type b rename to a; alter type c rename to b",
        "insert into item values (3, 'x'), (4, 'y')",
    )
    assert await _visible(log, "v > 'x'") == ([2, 4], [2, 4])


async def test_a_type_that_is_gone_costs_the_values_alone(log: Log) -> None:
    await log.execute(
        "create type mood as enum ('ok')",
        "create table item (id int primary key, v mood)",
        _watch("v is not null"),
        "insert into item values (1, 'ok')",
        "alter table item alter v type text; drop type mood",
        "insert into item values (2, 'ok')",
    )
    assert await log.told() == [
        ("insert", {"key": {"id": 1}, "truncated": True}),
        ("insert", {"key": {"id": 2}, "new": {"id": 2, "v": "ok"}}),
    ]


#: Declaration of a virtual column over the columns below.
VIRTUAL = (
    "numeric(6, 2) generated always as (n * 1.19) virtual",
    "int generated always as (f) virtual",
    "char(5) generated always as (name) virtual",
    "numeric generated always as (id) virtual",
    "timestamp(0) generated always as (moment) virtual",
    "text generated always as (jsonb_typeof(data)) virtual",
    "boolean generated always as (raw::text = 'null') virtual",
    'text generated always as (upper("c ""c")) virtual',
    'text collate "C" generated always as (name) virtual',
    "boolean generated always as (name < 'a') virtual",
    "jsonb generated always as (data) virtual",
    "int generated always as (5) virtual",
    "date generated always as (null) virtual",
)
READERS = {
    "int": json.loads,
    "jsonb": json.loads,
    "boolean": {"t": True, "f": False}.get,
    "timestamp(0)": lambda text: text.replace(" ", "T"),
}


async def test_virtual_columns_are_those_of_the_table(log: Log) -> None:
    if log.connection.get_server_version().major < 18:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    names = [f'v "{number}' for number in range(len(VIRTUAL))]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    virtual = ", ".join(f"{name} {kind}" for name, kind in zip(quoted, VIRTUAL, strict=True))
    await log.execute(
        "create table item (id int primary key, n numeric, f float8, name text, moment timestamp, "
        f'data jsonb, raw json, "c ""c" text collate "C", {virtual})',
        "select wamp.watch('item')",
        "insert into item values "
        "(1, 1.555, 2.5, 'é', '2020-01-01 00:00:00.6', 'null', 'null', 'é')",
        r"""insert into item values (2, 'NaN', 0, 'B', null, '"x"', '{"a": "\u0000"}', '')""",
        "insert into item (id) values (3)",
    )
    # As their output functions write them, numbers and truth values too.
    texts = ", ".join(f"textin(record_out(row({name}))) as {name}" for name in quoted)
    there = await log.connection.fetch(f"select {texts} from item order by id")
    told = [body["new"] for _, body in await log.told()]
    for name, kind in zip(names, VIRTUAL, strict=True):
        read = READERS.get(kind.partition(" ")[0], str)
        written = [record_texts(row[name])[0] for row in there]
        expected = [None if text is None else read(text) for text in written]
        assert [row[name] for row in told] == expected, kind


async def test_a_condition_over_virtual_columns_has_their_values_and_collations(log: Log) -> None:
    if log.connection.get_server_version().major < 18:
        pytest.skip("virtual columns exist from PostgreSQL 18")
    await log.execute(
        'create table item (id int primary key, name text, plain text collate "C" '
        "generated always as (name) virtual, price numeric(5, 1) generated always as (id / 3.0) "
        "virtual)",
        _watch("lower(plain) = 'É' and scale(price) = 1"),
        "insert into item values (1, 'É'), (2, 'E')",
    )
    assert await _visible(log, "lower(plain) = 'É' and scale(price) = 1") == ([1], [1])


@pytest.mark.parametrize(
    ("condition", "denied"),
    [
        ("v is not null", "schema hidden"),
        ("c = 'x'", "schema hidden"),
        ("hidden.f(id)", "schema hidden"),
        ("own.f(id)", "function f"),
    ],
)
async def test_a_condition_that_the_evaluator_may_not_evaluate_is_refused(
    log: Log, condition: str, denied: str
) -> None:
    await log.execute(
        "create schema hidden; create schema own; grant usage on schema own to public",
        "create type hidden.mood as enum ('ok'); create collation hidden.bytes from \"C\"",
        "create function hidden.f(int) returns bool immutable language sql as 'select true'",
        "create function own.f(int) returns bool immutable language plpgsql as "
        "'begin return true; end'",
        "revoke execute on function own.f(int) from public",
        "create table item (id int primary key, v hidden.mood, c text collate hidden.bytes)",
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await log.execute(_watch(condition))
    assert str(caught.value.args[0]) == f"when: permission denied for {denied}"
    assert "as the role pgwamp_evaluator, which needs USAGE" in str(caught.value.hint)
    assert await log.connection.fetch("select from wamp.watched") == []
    # The cure.
    await log.execute(
        "grant usage on schema hidden to pgwamp_evaluator",
        "grant execute on function own.f(int) to pgwamp_evaluator",
        _watch(condition),
        "insert into item values (1, 'ok', 'x')",
    )
    assert await _visible(log, condition) == ([1], [1])


@pytest.mark.parametrize("is_told_again", [False, True])
async def test_another_server_may_have_other_numbers(log: Log, is_told_again: bool) -> None:
    """pg_upgrade gives collations other numbers, and a restored dump types too."""
    condition = "lower(v) = 'É'"
    await log.execute('create table item (id int primary key, v text collate "C")')
    await log.execute(_watch(condition), "insert into item values (1, 'É')")
    await log.take()
    if is_told_again:
        await log.execute(_watch(condition))
    renumbered = "replace({}, '\"C\"'::regcollation::oid::text, '7')"
    await log.execute(
        "insert into item values (2, 'É')",
        f"update wamp.raw set new = {renumbered.format('new')} where op = 'w'",
        f"update wamp.layout set layout = {renumbered.format('layout')}",
        "update wamp.era set system_identifier = 7",
    )
    assert await _visible(log, condition) == ([1, 2], [1, 2])


async def test_conditions_that_take_too_much_of_a_minute_rest(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "BUDGET_SECONDS", 0.0)
    await log.execute(
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
    )
    async with log.sequencing() as sequencing:
        for number in (1, 2):
            await log.execute(f"insert into item values ({number})")
            await sequencing.look()
    assert [body for _, body in await log.told()] == [
        {"key": {"id": 1}, "new": {"id": 1}},
        {"key": {"id": 2}, "truncated": True},
    ]


async def test_a_row_too_long_for_a_condition_comes_as_its_key_and_costs_no_other_its_values(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "MOST_CHARACTERS", 100)
    await log.execute(
        "create table item (id int primary key, v text, unread text)",
        """select wamp.watch('item', $${"when": "v <> 'x'", "columns": ["id"]}$$)""",
        "insert into item values (1, 'a', repeat('u', 200)), (2, repeat('b', 101), null), "
        "(3, repeat('c', 60), null), (4, repeat('d', 60), null), (5, 'x', null)",
    )
    assert [body for _, body in await log.told()] == [
        {"key": {"id": 1}, "new": {"id": 1}},
        {"key": {"id": 2}, "truncated": True},
        {"key": {"id": 3}, "new": {"id": 3}},
        {"key": {"id": 4}, "new": {"id": 4}},
    ]


async def test_a_session_that_was_lost_while_it_waited_costs_no_event_its_values(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "BEGIN_SECONDS", 0.2)
    await log.execute(
        "create table item (id int primary key)",
        """select wamp.watch('item', '{"when": "id > 0"}')""",
        "insert into item values (1)",
    )
    async with log.sequencing() as sequencing:
        await sequencing.look()
        pid = await log.connection.fetchval(
            "select pid from pg_stat_activity "
            "where application_name = 'pgwamp conditions' and datname = current_database()"
        )
        # As when a firewall has forgotten the connection: nothing answers, and nothing ends it.
        os.kill(pid, signal.SIGSTOP)
        try:
            await log.execute("insert into item values (2)")
            await sequencing.look()
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [body for _, body in await log.told()] == [
        {"key": {"id": 1}, "new": {"id": 1}},
        {"key": {"id": 2}, "new": {"id": 2}},
    ]


async def test_computed_columns_have_a_bound(log: Log) -> None:
    await require_virtual_columns(log)
    await log.execute(
        "create table item (id int primary key, v text, "
        "long text generated always as (repeat(v, 40000000)) virtual)",
        "select wamp.watch('item')",
        "insert into item values (1, ''), (2, 'x')",
    )
    assert [body for _, body in await log.told()] == [
        {"key": {"id": 1}, "new": {"id": 1, "v": "", "long": ""}},
        {"key": {"id": 2}, "truncated": True},
    ]


async def test_a_date_in_a_condition_says_the_same_for_ever(log: Log) -> None:
    await log.execute(
        "create table item (id int primary key, v timestamptz)",
        "set datestyle = 'SQL, DMY'; set timezone = 'America/New_York'",
    )
    for condition in ("v > 'now'", "v > '05/02/2020 00:00'", "v > 'today' or v < 'yesterday'"):
        await log.execute(_watch(condition))
        written = await log.connection.fetchval("select condition from wamp.watch")
        assert not {"now", "day", "05/02"} & set(written.replace("'", " ").split())
    await log.execute(
        "reset datestyle; reset timezone",
        _watch("v >= '05/02/2020 00:00'"),
        "set datestyle = 'SQL, DMY'; set timezone = 'America/New_York'",
        "insert into item values (1, '2020-05-02 00:00+00'), (2, '2020-05-01 23:59:59+00')",
    )
    assert [body["key"]["id"] for _, body in await log.told()] == [1]


async def test_options_stay_as_they_were_given(log: Log) -> None:
    await log.execute("create table item (id int primary key, v date)", _watch("v > '2020-01-01'"))
    options = await log.connection.fetchval("select options ->> 'when' from wamp.watch")
    assert options == "v > '2020-01-01'"


@pytest.mark.parametrize(
    "condition",
    [
        r"v <> 'a\nb'",
        # It stands as PostgreSQL has read it, because of the type of the second constant.
        r"v <> 'a\nb' and raw is distinct from ''",
    ],
)
async def test_a_session_that_escapes_in_strings_changes_no_condition(
    log: Log, condition: str
) -> None:
    await log.execute(
        "create table item (id int primary key, v text, raw bytea)",
        "set standard_conforming_strings = off; set escape_string_warning = off",
    )
    options = json.dumps({"when": condition})
    await log.connection.execute("select wamp.watch('item', $1::text::jsonb)", options)
    await log.execute(
        r"insert into item values (1, E'a\nb'), (2, E'a\\nb'), (3, 'c')",
        "reset standard_conforming_strings",
        "insert into item values (4, 'a\\nb'), (5, 'd')",
    )
    # A backslash and an n, as in every other session.
    assert [body["key"]["id"] for _, body in await log.told()] == [1, 3, 5]


async def test_a_session_that_quotes_all_names_changes_nothing(log: Log) -> None:
    options = {"topic": "com.example.{v}.{op}", "eligible_authid": "v", "eligible_authrole": "w"}
    await log.execute(
        "create table item (id int primary key, v char(8), w char(4)[])",
        "set quote_all_identifiers = on",
        f"select wamp.watch('item', '{json.dumps(options)}')",
        "alter table item add column more int",
        "insert into item values (1, 'bob', '{al,joe}')",
    )
    await log.take()
    (event,) = await log.events()
    assert event.topic == "com.example.bob.inserted"
    assert json.loads(event.options or "") == {
        "eligible_authid": ["bob"],
        "eligible_authrole": ["al", "joe"],
    }


@pytest.mark.parametrize(
    "body",
    [
        "raise exception '%', repeat('x', 3000000);",
        "perform set_config('client_min_messages', 'notice', true); "
        "raise notice '%', repeat('x', 3000000); return true;",
    ],
    ids=["error", "notice"],
)
async def test_a_condition_that_says_too_much_ends_its_session_and_no_other_event_waits(
    log: Log, body: str
) -> None:
    function = (
        "create or replace function public.loud(int) returns boolean immutable language plpgsql as"
    )
    await log.execute(
        f"{function} 'begin return true; end'",
        "create table item (id int primary key)",
        "create table other (id int primary key)",
        """select wamp.watch('item', '{"when": "public.loud(id)"}'), wamp.watch('other')""",
        f"{function} $${'begin ' + body + ' end'}$$",
    )
    async with log.sequencing() as sequencing:
        await log.execute("insert into item values (1)", "insert into other values (2)")
        await sequencing.look()
    assert [body for _, body in await log.told()] == [
        {"key": {"id": 1}, "truncated": True},
        {"key": {"id": 2}, "new": {"id": 2}},
    ]
