"""The procedures of the specification's database, called as a caller would, without a router."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from pgwamp.access import Caller
from pgwamp.catalog import load_catalog
from pgwamp.database import Database
from pgwamp.database.pools import Kind
from pgwamp.errors import CallError
from pgwamp.exposure import build_exposure
from pgwamp.session import Call, Result
from pgwamp.settings import Settings
from tests.pooled import lent
from tests.servers import Addresses, execute
from tests.spec.cases import Case, Refusal

Answer = TypeVar("Answer")
SCHEMA = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
#: What no error may show.
SECRETS = re.compile(r"select .* from |insert into|cast\(|traceback|\$1", re.DOTALL)
#: What is sent beside a call's statement: its transaction and claims, and what asyncpg asks the
#: first time that a connection meets a type.
BESIDE = re.compile(r"set_config\(|^begin|^rollback|typeinfo_tree|'jit'|'search_path'")
ran: Counter[str] = Counter()


class Desk:
    """The procedures of a database, and a loop to call them on.

    :ivar statements: what the last call sent to the server, without what goes beside it.
    """

    def __init__(self, url: str, **expose: Any):
        self.url = url
        self._runner = asyncio.Runner()
        self.statements: list[str] = []
        self._settings = Settings.load(
            None,
            database={"url": url, "pool_min": 1, "pool_max": 1},
            expose={"prefix": "com.example", "schemas": ["public"], **expose},
        )
        self._database = Database(self._settings.database, self._settings.access, ["public"])
        self.run(self._open())

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run to its end on the desk's loop."""
        return self._runner.run(coroutine)

    async def _open(self) -> None:
        await self._database.start()
        async with self._database.own() as connection:
            catalog = await load_catalog(connection, ["public"], watched=False)
            exposure = await build_exposure(self._settings, catalog, self._database, connection)
        kinds: tuple[Kind, ...] = ("read", "write")
        for kind in kinds:
            # Pools of one connection each: whatever is sent, is sent by these.
            async with lent(self._database, kind) as connection:
                connection.add_query_logger(self._log)
        self._procedures = exposure.procedures

    def _log(self, query: Any) -> None:
        if not BESIDE.search(query.query):
            self.statements.append(query.query)

    async def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        uri = f"com.example.{name}"
        call = Call(args, kwargs, Caller("realm1", uri))
        answer: Any = self._procedures[uri].handler(call)
        assert isinstance(answer, Awaitable)
        self.statements.clear()
        try:
            return await answer
        finally:
            # Loggers are called in the loop's next turn.
            await asyncio.sleep(0)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """What a procedure answers, with its keyword results if it has any."""
        ran["calls"] += 1
        return _plain(self.run(self._call(name, args, kwargs)))

    def verbs(self, relation: str) -> set[str]:
        """What can be done to a relation."""
        start = f"com.example.{relation}."
        return {uri.removeprefix(start) for uri in self._procedures if uri.startswith(start)}

    def tried(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`call`, and then all is as it was before."""

        ran["calls"] += 1

        async def run() -> Any:
            async with self._database.batch(Caller("realm1", "batch"), "read committed"):
                raise _Enough(await self._call(name, args, kwargs))

        try:
            self.run(run())
        except _Enough as enough:
            return _plain(enough.answer)

    def check(self, case: Case | Refusal, *, undo: bool = False) -> None:
        """Call, and compare with what the case expects.

        :param undo: leave the database as it was.
        """
        ran[type(case).__name__] += 1
        call = self.tried if undo else self.call
        if isinstance(case, Refusal):
            with pytest.raises(CallError) as caught:
                call(case.call, *case.args, **case.kwargs)
            refused(caught.value, case)
            return
        answer = call(case.call, *case.args, **case.kwargs)
        expected = (case.expected, case.also) if case.also else case.expected
        assert exact(answer) == exact(expected)

    def close(self) -> None:
        """Disconnect."""
        self.run(self._database.stop())
        self._runner.close()


def _plain(answer: Any) -> Any:
    return (answer.value, dict(answer.kwargs)) if isinstance(answer, Result) else answer


class _Enough(Exception):
    def __init__(self, answer: Any):
        super().__init__()
        self.answer = answer


def refused(error: CallError, case: Refusal) -> None:
    """Check that an error is the one expected, and shows nothing of the SQL."""
    assert error.uri == case.uri, error
    assert error.details.get("argument", "") == case.argument, error
    assert case.says in error.message
    shown = f"{error.message} {error.details}".lower()
    assert not SECRETS.search(shown)


def exact(value: Any) -> Any:
    """A value that tells 1 from 1.0 and from True, which Python's own comparison does not."""
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return (type(value).__name__, value)


@contextmanager
def fresh_database(addresses: Addresses) -> Iterator[str]:
    """The URL of a new database with the specification's schema."""
    name = f"s_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    execute(admin, f"create database {name}")
    url = addresses.database(name)
    execute(url, SCHEMA)
    try:
        yield url
    finally:
        execute(admin, f"drop database {name} with (force)")


@contextmanager
def desk_with(addresses: Addresses, *statements: str) -> Iterator[Desk]:
    """A desk on a database that has more than the specification's schema."""
    with fresh_database(addresses) as url:
        execute(url, *statements)
        opened = Desk(url)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def desk(addresses: Addresses) -> Iterator[Desk]:
    """A desk on a database of the module's own."""
    with fresh_database(addresses) as url:
        opened = Desk(url)
        ran.clear()
        yield opened
        opened.close()
    print(f"\ncases of the specification: {dict(ran)}")


@pytest.fixture(scope="module")
def sql(desk: Desk) -> Iterator[Any]:
    """Plain SQL beside the desk: what is fetched, as a list of lists."""
    connection = desk.run(asyncpg.connect(desk.url))

    def fetch(text: str) -> list[list[Any]]:
        return [list(row.values()) for row in desk.run(connection.fetch(text))]

    yield fetch
    desk.run(connection.close())
