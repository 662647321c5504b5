"""The statement log of a server holds no text of a caller, whatever way the call takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgwamp import migrations
from pgwamp.access import Caller
from pgwamp.checks import Finding, check_all
from pgwamp.component import Component
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import CallError
from pgwamp.session import Call
from pgwamp.settings import Settings
from tests.servers import FAST, Addresses, execute, postgres_bin, server_folder

#: In every text of the callers here, and in nothing else.
MARK = "¤"
OPTIONS = {
    **FAST,
    "log_statement": "all",
    # Values travel beside the statement.
    "log_parameter_max_length": "0",
    # Errors name the values that were wrong.
    "log_min_messages": "log",
}
SCHEMA = (
    "create type mood as enum ('ok', 'happy')",
    "create type place as (street text, zip int)",
    "create domain code as text check (value <> 'x')",
    "create table shelf (id int primary key, name text)",
    "create table item (id int primary key, name text, mood mood, home place, code code, "
    "facts jsonb, tags text[], made timestamptz, span int4range, data bytea, "
    "price numeric, words tsvector, shelf_id int references shelf)",
    "create function label(item) returns text language sql stable as $$ select $1.name $$",
    "create function echo(a text, b text default 'b') returns text language sql stable as "
    "$$ select a || b $$",
    "create function rows_of(a text) returns setof item language sql as 'select * from item'",
    "create procedure proceed(a text, inout b text) language plpgsql as $$ begin b := a; end $$",
    "create function nothing() returns void language sql as ''",
    "insert into shelf values (1, 'a')",
    "insert into item (id, name, shelf_id) values (1, 'a', 1), (2, 'b', null)",
    "select wamp.watch('item')",
)
QUERIES = """
-- name: named(a, b)
select :a as a, :b as b from item

-- name: change!
update item set name = :a where id = 1
"""
ROW = {"id": 9, "name": "a", "mood": "ok", "home": {"street": "b"}, "code": "c",
       "facts": {"d": "e"}, "tags": ["f"], "made": "2020-01-01T00:00:00Z", "span": {"lower": 1},
       "price": "1.5"}  # fmt: skip
WHERE: list[dict[str, Any]] = [
    {"name": "a", "mood": ["ok"], "facts->a->>b": "c", "home->street": "d"},
    {"name": {"like": "a", "ilike": "b", "match": "c", "imatch": "d", "in": ["e"], "neq": "f"}},
    {"name": {"between": ["a", "b"]}, "code": {"is": "null"}, "label": "c"},
    {"facts": {"contains": {"a": "b"}, "has_key": "c"}, "tags": {"overlaps": ["d"]}},
    {"words": {"fts": "a"}, "span": {"contains": "1"}},
    {"or": [{"name": "a"}, {"not": {"name": "b"}}], "shelf": {"name": "c"}},
]
CHOICES = [
    *({"where": where} for where in WHERE),
    {"columns": ["name", "x:name", "z:name::text", "facts->a", "y:facts->>b", "label"]},
    {"columns": ["mood", "n:count()", "price.sum()"]},
    {"order": ["name.desc", "facts->a.asc.nullslast"], "limit": 1, "offset": 2},
    {"include": {"s:shelf": {"columns": ["name"], "where": {"name": "a"}, "order": ["name"]}}},
]
#: Procedure, arguments; each text in them is one place for the text of a caller.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    *(("item.select", choice) for choice in CHOICES),
    *(("item.select", {**choice, "format": "csv"}) for choice in CHOICES),
    *(("item.select", {**choice, "progress": True}) for choice in CHOICES),
    *(("item.select", {**choice, "format": "csv", "progress": True}) for choice in CHOICES),
    *(("rows_of", {"a": "b", **choice}) for choice in CHOICES),
    *(("rows_of", {"a": "b", **choice, "format": "csv"}) for choice in CHOICES),
    *(("item.delete", {"where": where, "returning": ["name", "x:name"]}) for where in WHERE),
    ("item.select", {"order": ["name"], "count": "planned"}),
    ("item.select", {"include": {"s:shelf!shelf_id": {"columns": ["s:name"], "spread": True}}}),
    ("item.get", {"key": "1", "columns": ["name"]}),
    ("item.get", {"key": {"id": "1"}, "include": {"shelf": {}}}),
    *(("item.count", {"where": where, "mode": "planned"}) for where in WHERE),
    ("item.insert", {"rows": ROW, "returning": ["x:name", "facts->d"]}),
    ("item.insert", {"rows": [{**ROW, "id": 10}, {**ROW, "id": 12}], "missing": "default"}),
    ("item.insert", {"csv": "id,name,code\n11,a,b\n"}),
    ("item.update", {"values": {k: v for k, v in ROW.items() if k != "id"}, "where": {"id": "1"}}),
    ("item.update", {"rows": [{"id": 1, "name": "a"}], "returning": ["name"]}),
    ("item.upsert", {"rows": ROW, "conflict": ["id"], "update": ["name"], "resolution": "merge"}),
    ("item.upsert", {"csv": "id,name\n1,a\n", "conflict": ["id"]}),
    ("echo", {"a": "x", "b": "y"}),
    ("proceed", {"a": "x", "b": "y"}),
    ("named", {"a": "x", "b": "y"}),
    ("named", {"a": "x", "b": "y", "progress": True}),
    ("named.live", {"a": "x", "b": "y", "progress": True}),
    ("change", {"a": "x"}),
    ("batch", {"isolation": "serializable", "steps": [
        {"procedure": "echo", "args": ["a"]},
        {"procedure": "item.select", "kwargs": {"where": {"name": {"$ref": [0]}}}},
        {"procedure": "named", "args": [{"$ref": [0]}], "kwargs": {"b": "c"}},
    ]}),
    ("item.changes", {"limit": 1}),
    ("item.follow", {"snapshot": True, "progress": True}),
    ("changes", {"topic": "com.example.item.inserted"}),
    ("describe", {"status": True}),
]  # fmt: skip
#: Those in which the texts are refused as they stand.
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("item.select", {"order": ["name"], "after": "a"}),
    ("item.select", {"limit": "a", "offset": "b", "format": "c"}),
    ("item.changes", {"since": "a", "limit": "b"}),
    ("item.follow", {"since": "a", "snapshot": "b", "progress": True}),
    ("changes", {"since": "a"}),
    ("describe", {"status": "a"}),
    ("nothing", {"a": "b"}),
]
#: A way to put a text where another one stands.
PLACED = ("{text}", "{old}{text}", "{text}{old}", "{old}::{text}", "{text}:{old}", "{old}->{text}")
EVIL = (
    f"'; drop table item; --{MARK}",
    f'{MARK}" from shelf; reset role; --',
    f"{MARK}$1",
    f"${MARK}$",
    f"x$1:id{MARK}",
    f"\\'{MARK}",
    f"{MARK}%s%(x)s:p0",
    f"/*{MARK}",
    f"{MARK}\nselect 1",
    f"a,{MARK}",
    f"U&'{MARK}'",
    f"E'{MARK}",
)


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand: the path to each, which ends with None where it is a key."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield (*path, key, None)
            yield from texts_in(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_in(item, (*path, index))


def replaced(value: Any, path: tuple[Any, ...], form: str, text: str) -> Any:
    """The value with a text put in one place."""
    if not path:
        return form.format(old=value, text=text)
    first, rest = path[0], path[1:]
    if isinstance(value, list):
        return [replaced(v, rest, form, text) if i == first else v for i, v in enumerate(value)]
    if rest == (None,):
        new = form.format(old=first, text=text)
        return {new if key == first else key: item for key, item in value.items()}
    return {k: replaced(v, rest, form, text) if k == first else v for k, v in value.items()}


PLACES = [
    (name, kwargs, path)
    for name, kwargs in (*REQUESTS, *REFUSED)
    for path in texts_in({k: v for k, v in kwargs.items() if k != "progress"})
]


async def _tell(told: asyncio.Event, _: Any) -> None:
    told.set()


async def _first(answer: asyncio.Future[Any], told: asyncio.Event) -> None:
    """Wait until a call has answered, or sent its first progressive result."""
    telling = asyncio.ensure_future(told.wait())
    await asyncio.wait({answer, telling}, return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if answer.done():
        answer.result()
        return
    answer.cancel()
    with suppress(asyncio.CancelledError):
        await answer


class Bench:
    """A component on a server that logs every statement, with a loop of its own."""

    def __init__(self, server: Postgres, component: Component, runner: asyncio.Runner):
        self._server, self._component, self._runner = server, component, runner

    def call(self, name: str, kwargs: dict[str, Any], who: str) -> CallError | None:
        """Call as somebody of this name and role; only an error of a call is an answer too."""
        return self._runner.run(self._call(name, dict(kwargs), who))

    async def _call(self, name: str, kwargs: dict[str, Any], who: str) -> CallError | None:
        told = asyncio.Event()
        progress = partial(_tell, told) if kwargs.pop("progress", False) else None
        uri = f"com.example.{name}"
        caller = Caller(f"realm1{who}", f"{uri}{who}", 7, who, who)
        handler = self._component.exposure.procedures[uri].handler
        try:
            async with asyncio.timeout(5):
                answer = handler(Call((), kwargs, caller, progress))
                if isinstance(answer, AsyncIterator):
                    # The first part, or all of it.
                    await anext(answer, None)
                    await answer.aclose()  # type: ignore[attr-defined]
                else:
                    await _first(asyncio.ensure_future(answer), told)
        except CallError as error:
            return error
        return None

    def check(self, hostile: Settings) -> list[Finding]:
        """Look at a set-up, in the one loop that Autobahn knows."""
        return self._runner.run(check_all(hostile))

    def marked(self) -> list[str]:
        """Lines of the log that hold a text of a caller."""
        log = self.log()
        assert 'FROM "public"."item"' in log, "statements are logged"
        return [line for line in log.splitlines() if MARK in line]

    def log(self) -> str:
        """All of the log."""
        return Path(self._server.log).read_text(errors="replace")


@pytest.fixture(scope="module")
def bench(addresses: Addresses) -> Iterator[Bench]:
    with server_folder() as folder:
        server = Postgres(folder / "data", bin=postgres_bin(), options=OPTIONS, trust=True)
        (folder / "queries").mkdir()
        (folder / "queries" / "q.sql").write_text(QUERIES)
        with server, asyncio.Runner() as runner:
            migrations.upgrade(server.url())
            execute(server.url(), *SCHEMA)
            loaded = Settings.load(
                None,
                database={"url": server.url(), "pool_min": 1, "pool_max": 2},
                router={"url": addresses.component},
                expose={
                    "prefix": "com.example",
                    "schemas": ["public"],
                    "queries": str(folder / "queries"),
                },
                # So that every call brings its claims.
                access={"before": "nothing"},
            )
            component = Component(loaded, patience=5)
            runner.run(component.__aenter__())
            yield Bench(server, component, runner)
            runner.run(component.stop())


def test_the_requests_are_answered_as_they_stand(bench: Bench) -> None:
    """Otherwise they would not come as far as a statement."""
    for name, kwargs in REQUESTS:
        assert bench.call(name, kwargs, who="anna") is None, (name, kwargs)
    for name, kwargs in REFUSED:
        assert bench.call(name, kwargs, who="anna") is not None, (name, kwargs)


def test_no_text_reaches_a_statement_from_any_place_of_any_request(bench: Bench) -> None:
    for number, (name, kwargs, path) in enumerate(PLACES):
        for form in PLACED:
            text = EVIL[number % len(EVIL)]
            bench.call(name, replaced(kwargs, path, form, text), who="anna")
    assert bench.marked() == []


hostile = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.sampled_from(PLACES),
    form=st.sampled_from(PLACED),
    text=st.builds("{}{}{}".format, hostile, st.sampled_from(EVIL), hostile),
    who=st.builds("{}{}{}".format, hostile, st.sampled_from(EVIL), hostile),
)
def test_no_text_and_no_claim_reaches_a_statement(
    bench: Bench, place: Any, form: str, text: str, who: str
) -> None:
    name, kwargs, path = place
    bench.call(name, replaced(kwargs, path, form, text), who=who)
    assert bench.marked() == []


def test_a_plain_label_is_an_alias(bench: Bench) -> None:
    bench.call("item.select", {"columns": ["label_of_a_caller:name"]}, who="anna")
    lines = [line for line in bench.log().splitlines() if "label_of_a_caller" in line]
    assert lines
    for line in lines:
        assert line.count("label_of_a_caller") == line.count('AS "label_of_a_caller"')


def test_an_uncommon_label_is_none(bench: Bench) -> None:
    for label in (f"a{MARK}", 'a"b', "a b", "a$1", "é"):
        bench.call("item.select", {"columns": [f"{label}:name"], "limit": 1}, who="anna")
        bench.call("item.select", {"columns": [f"{label}:name"], "format": "csv"}, who="anna")
    assert "a$1" not in bench.log()
    assert 'a"b' not in bench.log()
    assert bench.marked() == []


@pytest.mark.parametrize("text", ['"; create table pwned (); --', "'; create table pwned (); --"])
def test_check_executes_no_setting(bench: Bench, addresses: Addresses, text: str) -> None:
    url = bench._server.url()
    hostile_settings = Settings.load(
        None,
        database={"url": url},
        router={"url": addresses.component},
        expose={"prefix": "com.example", "schemas": [text], "search_path": [text]},
        access={"roles": {"anonymous": text}, "before": text},
        events={"publish_roles": [text]},
    )
    findings = bench.check(hostile_settings)
    assert [finding for finding in findings if finding.level == "wrong"]
    execute(url, "create table pwned ()", "drop table pwned")
