"""No text of a caller gets into a statement, and every name in it has its schema.

Hostile strings stand at every place that takes one. Each statement is taken apart. What is left
between quoted names must be words that harmless requests use too; quoted names are
those of the catalog, or an alias that was checked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwamp.catalog import Graph, load_catalog
from pgwamp.errors import InvalidArgument
from pgwamp.query.bounds import TOO_MANY_ROWS
from pgwamp.query.keyset import fingerprint
from pgwamp.query.loads import Load
from pgwamp.query.reads import Page, Reads
from pgwamp.query.routines import RoutineCall, RoutineCalls
from pgwamp.query.scope import Scopes
from pgwamp.query.statement import Bound
from pgwamp.query.writes import Writes
from tests.query.conftest import Bench
from tests.query.test_injection import hostile

SCHEMA = """
create table owner (id int primary key, name text);
create table victim (
    id int primary key, name text, doc jsonb, tags text[], owner_id int references owner,
    other_id int references owner, span int4range, at timestamptz
);
create function shout(victim) returns text language sql stable as 'select upper($1.name)';
create function found(low int default 0, label text default '') returns setof victim
    language sql stable as 'select * from victim where id > low';
insert into owner values (1, 'o');
insert into victim values (1, 'one', '{"a": {"b": 1}}', '{x}', 1, 1, '[1,5)', now()),
    (2, 'two', null, null, null, null, null, null)
"""


class Server(NamedTuple):
    """What requests are made to."""

    bench: Bench
    reads: Reads
    writes: Writes
    calls: RoutineCalls


@pytest.fixture(scope="module")
def server(bench: Bench) -> Iterator[Server]:
    bench.execute(SCHEMA)
    catalog = bench.run(load_catalog(bench.connection, ["public"], watched=False))
    scopes = Scopes(catalog, Graph(catalog, catalog.relations))
    (victim,) = (scopes.of(r) for r in catalog.relations if r.name == "victim")
    routines = [routine for routine in catalog.routines if routine.name == "found"]
    yield Server(
        bench,
        Reads(victim, max_rows=10),
        Writes(victim),
        RoutineCalls(routines, scopes, max_rows=10),
    )
    assert bench.fetch("select count(*) as n from victim")[0]["n"] == 2
    print(f"\nstatements taken apart: {dict(ran)}")


Ask = Callable[[Server, str], Page | Bound | RoutineCall | Load]


def select(make: Callable[[str], dict[str, Any]]) -> Ask:
    return lambda server, text: server.reads.select(make(text))


def cursor(text: str) -> str:
    """A cursor of the right order that holds ``text``."""
    from base64 import urlsafe_b64encode

    from pgwamp.query.fields import Field
    from pgwamp.query.order import OrderTerm
    from pgwamp.values import TEXT_TYPE

    order = (OrderTerm(Field("name", TEXT_TYPE)), OrderTerm(Field("id", TEXT_TYPE)))
    raw = json.dumps([fingerprint(("public", "victim"), order), text, "1"])
    return urlsafe_b64encode(raw.encode()).decode()


PLACES: dict[str, Ask] = {
    "column": select(lambda t: {"columns": [t]}),
    "alias": select(lambda t: {"columns": [f"{t}:name"]}),
    "cast": select(lambda t: {"columns": [f"name::{t}"]}),
    "cast modifier": select(lambda t: {"columns": [f"name::varchar({t})"]}),
    "path": select(lambda t: {"columns": [f"doc->{t}"]}),
    "quoted key": select(lambda t: {"columns": [f'x:doc->"{_escaped(t)}"->>b']}),
    "aggregate": select(lambda t: {"columns": [f"id.{t}()"]}),
    "aggregate alias": select(lambda t: {"columns": [f"{t}:id.sum()"]}),
    "where column": select(lambda t: {"where": {t: 1}}),
    "where operator": select(lambda t: {"where": {"id": {t: 1}}}),
    "where value": select(lambda t: {"where": {"name": {"eq": t}}}),
    "where list": select(lambda t: {"where": {"name": [t, None]}}),
    "where any": select(lambda t: {"where": {"name": {"like": {"any": [t]}}}}),
    "where path": select(lambda t: {"where": {f"doc->{t}": 1}}),
    "where quoted key": select(lambda t: {"where": {f'doc->>"{_escaped(t)}"': "x"}}),
    "where json": select(lambda t: {"where": {"doc": {"contains": {t: t}}}}),
    "where array": select(lambda t: {"where": {"tags": {"overlaps": [t]}}}),
    "where range": select(lambda t: {"where": {"span": {"contains": t}}}),
    "related": select(lambda t: {"where": {f"owner!{t}": {}}}),
    "related value": select(lambda t: {"where": {"owner!owner_id": {"name": t}}}),
    "has_key": select(lambda t: {"where": {"doc": {"has_key": {"any": [t]}}}}),
    "search": select(lambda t: {"where": {"name": {"plfts": t}}}),
    "search config": select(lambda t: {"where": {"name": {"fts": {"query": "x", "config": t}}}}),
    "order": select(lambda t: {"order": [t]}),
    "order suffix": select(lambda t: {"order": [f"name.{t}"]}),
    "order path": select(lambda t: {"order": [f"doc->{t}.desc"]}),
    "order related": select(lambda t: {"order": [f"owner_id({t})"]}),
    "include": select(lambda t: {"include": {t: {}}}),
    "include alias": select(lambda t: {"include": {f"{t}:owner_id": {}}}),
    "include hint": select(lambda t: {"include": {f"owner!{t}": {}}}),
    "include argument": select(lambda t: {"include": {"owner_id": {t: 1}}}),
    "include column": select(lambda t: {"include": {"o:owner_id": {"columns": [f"{t}:name"]}}}),
    "include value": select(lambda t: {"include": {"o:owner_id": {"where": {"name": t}}}}),
    "after": select(lambda t: {"after": t}),
    "after value": select(lambda t: {"order": ["name"], "after": cursor(t)}),
    "count": select(lambda t: {"count": t}),
    "limit": select(lambda t: {"limit": t}),
    "get key": lambda server, t: server.reads.get({"key": {"id": t}}),
    "csv value": lambda s, t: s.reads.stream({"where": {"name": t}}, plain=True),
    "csv alias": lambda s, t: s.reads.stream({"columns": [f"{t}:name"]}, plain=True),
    "row column": lambda s, t: s.writes.insert({"rows": {t: 1}}),
    "row value": lambda s, t: s.writes.insert({"rows": {"id": 9, "name": t}}),
    "row json": lambda s, t: s.writes.insert({"rows": {"id": 9, "doc": {t: t}}}),
    "missing": lambda s, t: s.writes.insert({"rows": [{"id": 9}], "missing": t}),
    "returning": lambda s, t: s.writes.insert({"rows": {"id": 9}, "returning": [t]}),
    "returning alias": lambda s, t: s.writes.insert(
        {"rows": {"id": 9}, "returning": [f"{t}:name"]}
    ),
    "returning order": lambda s, t: s.writes.insert({"rows": {"id": 9}, "order": [t]}),
    "conflict": lambda s, t: s.writes.upsert({"rows": {"id": 9}, "conflict": [t]}),
    "resolution": lambda s, t: s.writes.upsert({"rows": {"id": 9}, "resolution": t}),
    "update value": lambda s, t: s.writes.update({"values": {"name": t}, "where": {"id": 1}}),
    "update rows": lambda s, t: s.writes.update({"rows": [{"id": 1, "name": t}]}),
    "delete where": lambda s, t: s.writes.delete({"where": {"name": t}}),
    "csv header": lambda s, t: s.writes.load({"csv": f"id,{t}\n"}),
    "csv upsert header": lambda s, t: s.writes.load({"csv": f"id,{t}\n"}, upsert=True),
    "routine argument": lambda s, t: asyncio.run(s.calls.bind((), {t: "x"})),
    "routine value": lambda s, t: asyncio.run(s.calls.bind((1, t), {})),
    "routine where": lambda s, t: asyncio.run(s.calls.bind((), {"where": {"name": t}})),
    "routine columns": lambda s, t: asyncio.run(s.calls.bind((), {"columns": [f"{t}:shout"]})),
}
#: Where the text may become a name of the answer.
ALIASES = {name for name in PLACES if "alias" in name}
#: A value of a path is called after its last key, if that would do as an alias.
ALIASES |= {"include column", "routine columns", "path"}
NAMES = {
    "public", "pg_catalog", "victim", "owner", "id", "name", "doc", "tags", "owner_id", "other_id",
    "span", "at", "shout", "found", "low", "label", "x", "o", "key ...", "count", "pg_temp", "b",
    "a", "sum",
    # Output functions, which CSV is written with.
    "int4out", "textout", "jsonb_out", "array_out", "range_out", "timestamptz_out",
}  # fmt: skip
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_WORD = re.compile(r"[^\W\d]\w*")
_ALIAS = re.compile(r"[^\W\d]\w*")
#: Written like functions and types, and grammar: PostgreSQL looks up nothing for them.
GRAMMAR = {"coalesce", "unnest", "smallint", "integer", "bigint", "real", "boolean", "varying"}
ran: Counter[str] = Counter()


def qualified(sql: str) -> None:
    """Check that every operator, function and type has its schema, or is grammar."""
    rest = re.sub(r"OPERATOR\((pg_catalog\.)[^)\w]+\)", " ", _QUOTED.sub('"', sql))
    assert "OPERATOR" not in rest, sql
    rest = re.sub(r"\(\*\)|\.\*|=>|'\[\]'", " ", rest)
    assert not re.search(r"[-+*/<>~!@#%^&|`?]", rest), sql
    assert "=" not in rest or "UPDATE" in rest, sql
    functions = set(re.findall(r'(?<![\w."])([a-z]\w*) ?\(', rest))
    assert {name for name in functions if not _is_own(name)} <= GRAMMAR, sql
    for name in re.findall(r' AS ([\w.]+|")(?:\[\])?\)', rest):
        known = name.startswith("pg_catalog.") or name in (*GRAMMAR, '"')
        assert known or _is_own(name), (name, sql)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def statements(asked: Page | Bound | RoutineCall | Load) -> list[tuple[str, list[Any]]]:
    """The SQL texts of a request, and their parameters."""
    if isinstance(asked, Load):
        return [(sql, []) for sql in (asked.stage, asked.merge, asked.clear) if sql is not None]
    bound = asked if isinstance(asked, Bound) else asked.bound
    return [(bound.statement.sql, bound.parameters)]


def words(sql: str) -> set[str]:
    """The words of a statement outside of quoted names."""
    return set(_WORD.findall(_QUOTED.sub(" ", sql)))


@pytest.fixture(scope="module")
def vocabulary(server: Server) -> set[str]:
    """The words of harmless requests. A text that begins like a range is cast to one."""
    harmless = ["name", "id", "doc", "eq", "text", "desc", "1", "a", "owner_id", "owner", "sum"]
    harmless.append("[1,5)")
    found: set[str] = set()
    for ask in PLACES.values():
        for text in harmless:
            try:
                asked = ask(server, text)
            except InvalidArgument:
                continue
            for sql, _ in statements(asked):
                found |= words(sql)
    assert len(found) > 30
    return found


@settings(max_examples=600, deadline=None)
@given(
    text=hostile | st.sampled_from(["x y", "A-b", "ünï", "a$"]),
    place=st.sampled_from(sorted(PLACES)),
)
def test_no_text_of_a_caller_stands_in_a_statement(
    server: Server, vocabulary: set[str], text: str, place: str
) -> None:
    try:
        asked = PLACES[place](server, text)
    except InvalidArgument:
        ran["refused"] += 1
        return
    for sql, parameters in statements(asked):
        names = {name.replace('""', '"') for name in _QUOTED.findall(sql)}
        unknown = names - NAMES
        assert unknown <= ({text} if place in ALIASES and _ALIAS.fullmatch(text) else set()), sql
        qualified(sql)
        rest = _QUOTED.sub(" ", sql)
        assert words(sql) <= vocabulary | GRAMMAR | {w for w in words(sql) if _is_own(w)}, sql
        for ours in ("'[]'", f"'{TOO_MANY_ROWS}: '"):
            rest = rest.replace(ours, "")
        assert "'" not in rest, sql
        for sign in (";", "--", "/*", "\\"):
            assert sign not in rest, sql
        _run(server, place, sql, parameters)
    ran["run"] += 1


@settings(max_examples=300, deadline=None)
@given(text=hostile, place=st.sampled_from(sorted(PLACES)))
def test_a_marked_text_stands_in_no_statement(server: Server, text: str, place: str) -> None:
    marked = f"zq{text}qz"
    try:
        asked = PLACES[place](server, marked)
    except InvalidArgument:
        return
    for sql, _ in statements(asked):
        alias = place in ALIASES and _ALIAS.fullmatch(marked)
        assert ("zq" in sql) <= bool(alias), sql


@pytest.mark.parametrize("place", sorted(ALIASES - {"path"}))
@pytest.mark.parametrize(
    "alias", ["x y", "A-b", "a$1", "$1", 'a"b', "a;b", "1a", "a" * 64, "ü" * 32]
)
def test_an_alias_is_letters_digits_and_underscores(server: Server, place: str, alias: str) -> None:
    with pytest.raises(InvalidArgument):
        PLACES[place](server, alias)


def _is_own(word: str) -> bool:
    """An alias of ours, as t1 and r2, or the temporary table of CSV."""
    return re.fullmatch(r"[trwv]\d*_?|\w+_\d+|pgwamp_csv|anon_\d+", word) is not None


def _run(server: Server, place: str, sql: str, parameters: list[Any]) -> None:
    """The statement is one that PostgreSQL understands; nothing of it stays."""
    if "pgwamp_csv" in sql:
        return  # two statements that belong together; tests/procedures runs them
    bench = server.bench
    bench.execute("begin")
    try:
        bench.fetch(sql, *parameters)
    except asyncpg.PostgresSyntaxError as error:
        if "tsquery" not in str(error):  # a text search query is a value
            raise
    except asyncpg.UndefinedTableError:
        raise
    except asyncpg.PostgresError:
        pass  # a value that its type refuses
    finally:
        bench.execute("rollback")
