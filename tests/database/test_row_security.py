"""Row level security: generated calls of two roles, at a time, never meet each other's rows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgwamp.access import Caller
from pgwamp.catalog import load_catalog
from pgwamp.database import Database
from pgwamp.errors import CallError
from pgwamp.exposure import Exposure, build_exposure
from pgwamp.session import Call
from pgwamp.settings import Settings
from tests.pooled import lent
from tests.servers import Addresses, execute

PREFIX = "com.example"
#: Who may see a row is said by the role in one table, by a claim in the other.
POLICIES = {"by_role": "owner = current_user", "by_claim": "owner = current_setting('wamp.authid')"}
TABLE = """
create table {table} (id int primary key, owner text not null, body text not null);
alter table {table} enable row level security;
create policy own on {table} using ({policy}) with check ({policy});
create function read_{table}() returns setof {table} language sql stable as 'table {table}';
create function scrub_{table}(body text) returns bigint language sql as
    'with changed as (update {table} set body = $1 returning 1) select count(*) from changed';
grant select, insert, update, delete on {table} to {anna}, {ben};
"""
#: id -> (owner, body); the owners are 0 and 1 until the roles' names are known.
Rows = dict[int, tuple[int, str]]


@dataclass(frozen=True)
class Condition:
    """A ``where``, and what it means."""

    where: dict[str, Any]
    holds: Callable[[int, int, str], bool]


@dataclass(frozen=True)
class Operation:
    """One call, for a table and an owner that are filled in when it is made."""

    verb: Literal["select", "count", "read", "scrub", "update", "delete", "insert", "upsert"]
    table: str
    condition: Condition
    body: str
    rows: tuple[tuple[int, int, str], ...]
    give_to: int | None


ids = st.integers(0, 9)
owners = st.integers(0, 1)
bodies = st.sampled_from(["a", "b", "c"])
leaves = st.one_of(
    st.just(Condition({}, lambda *_: True)),
    ids.map(lambda n: Condition({"id": {"lt": n}}, lambda i, o, b: i < n)),
    bodies.map(lambda s: Condition({"body": s}, lambda i, o, b: b == s)),
    owners.map(lambda w: Condition({"owner": w}, lambda i, o, b: o == w)),
)
conditions = st.one_of(
    leaves,
    st.tuples(leaves, leaves).map(
        lambda p: Condition(
            {"or": [p[0].where, p[1].where]},
            lambda *row: p[0].holds(*row) or p[1].holds(*row),
        )
    ),
    leaves.map(lambda c: Condition({"not": c.where}, lambda *row: not c.holds(*row))),
)
operations = st.builds(
    Operation,
    st.sampled_from(["select", "count", "read", "scrub", "update", "delete", "insert", "upsert"]),
    st.sampled_from(sorted(POLICIES)),
    conditions,
    bodies,
    st.lists(st.tuples(ids, owners, bodies), min_size=1, max_size=3).map(tuple),
    st.none() | owners,
)
#: One call, or several in a batch.
turns = operations.map(lambda o: (o,)) | st.lists(operations, min_size=2, max_size=3).map(tuple)
tables = st.dictionaries(ids, st.tuples(owners, bodies), max_size=8)


class Server:
    """A component without a router, whose own role owns nothing and sees nothing."""

    def __init__(self, admin: str, url: str, names: list[str]):
        self.names = names
        self._runner = asyncio.Runner()
        self._admin: asyncpg.Connection[Any] = self.run(asyncpg.connect(admin))
        configured = Settings.load(
            None,
            database={"url": url, "pool_min": 1, "pool_max": 2},
            expose={"prefix": PREFIX, "schemas": ["public"]},
            access={"roles": {name: name for name in names}},
        )
        self.database = Database(configured.database, configured.access, ["public"])
        self._exposure = self.run(self._expose(configured))

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    async def _expose(self, configured: Settings) -> Exposure:
        await self.database.start()
        async with self.database.own() as connection:
            catalog = await load_catalog(connection, ["public"], watched=False)
            return await build_exposure(configured, catalog, self.database, connection)

    def close(self) -> None:
        self.run(self.database.stop())
        self.run(self._admin.close())
        self._runner.close()

    async def write(self, table: str, rows: Rows) -> None:
        await self._admin.execute(f"truncate {table}")
        await self._admin.executemany(
            f"insert into {table} values ($1, $2, $3)",
            [(key, self.names[owner], body) for key, (owner, body) in rows.items()],
        )

    async def read(self, table: str) -> Rows:
        return {
            row["id"]: (self.names.index(row["owner"]), row["body"])
            for row in await self._admin.fetch(f"table {table}")
        }

    async def call(self, who: int, turn: tuple[Operation, ...]) -> list[Any] | CallError:
        steps = [self._step(operation) for operation in turn]
        try:
            if len(steps) > 1:
                return list(await self._call(who, "batch", steps=steps))
            return [await self._call(who, steps[0]["procedure"], **steps[0]["kwargs"])]
        except CallError as error:
            return error

    async def _call(self, who: int, name: str, **kwargs: Any) -> Any:
        uri, authid = f"{PREFIX}.{name}", self.names[who]
        caller = Caller("realm1", uri, who, authid, authid)
        answer: Any = self._exposure.procedures[uri].handler(Call((), kwargs, caller))
        return await answer

    def _step(self, operation: Operation) -> dict[str, Any]:
        table, where = operation.table, self._named(operation.condition.where)
        # A write says that it means every row.
        written = "all" if not where or {} in where.get("or", ()) else where
        rows = [
            {"id": key, "owner": self.names[owner], "body": body}
            for key, owner, body in operation.rows
        ]
        values = {"body": operation.body}
        if operation.give_to is not None:
            values["owner"] = self.names[operation.give_to]
        name, kwargs = {
            "select": (f"{table}.select", {"where": where}),
            "count": (f"{table}.count", {"where": where}),
            "read": (f"read_{table}", {}),
            "scrub": (f"scrub_{table}", {"body": operation.body}),
            "update": (f"{table}.update", {"values": values, "where": written}),
            "delete": (f"{table}.delete", {"where": written}),
            "insert": (f"{table}.insert", {"rows": rows}),
            "upsert": (f"{table}.upsert", {"rows": rows}),
        }[operation.verb]
        return {"procedure": name, "kwargs": kwargs}

    def _named(self, where: Any) -> Any:
        if isinstance(where, list):
            return [self._named(item) for item in where]
        if not isinstance(where, dict):
            return where
        return {
            key: self.names[value] if key == "owner" else self._named(value)
            for key, value in where.items()
        }

    def expected(self, who: int, operation: Operation, rows: Rows) -> tuple[Any, Rows]:
        """What a call that succeeds answers about the caller's own ``rows``, and leaves."""
        verb = operation.verb
        every = verb in ("read", "scrub")
        chosen = {
            key: row for key, row in rows.items() if every or operation.condition.holds(key, *row)
        }
        if verb in ("select", "read"):
            return self._answer(chosen), rows
        if verb == "count":
            return len(chosen), rows
        if verb == "delete":
            return self._answer(chosen), {k: r for k, r in rows.items() if k not in chosen}
        if verb in ("update", "scrub"):
            changed = dict.fromkeys(chosen, (who, operation.body))
            return len(chosen) if verb == "scrub" else self._answer(changed), {**rows, **changed}
        new: Rows = {key: (owner, body) for key, owner, body in operation.rows}
        return self._answer(new), {**rows, **new}

    def _answer(self, rows: Rows) -> set[tuple[int, str, str]]:
        return {(key, self.names[owner], body) for key, (owner, body) in rows.items()}


def as_set(result: Any) -> Any:
    if isinstance(result, list):
        return {(row["id"], row["owner"], row["body"]) for row in result}
    return result


@pytest.fixture(scope="module")
def server(addresses: Addresses) -> Iterator[Server]:
    mark = uuid.uuid4().hex[:8]
    anna, ben, app = (f"{name}_{mark}" for name in ("anna", "ben", "app"))
    admin, url = addresses.database("postgres"), addresses.database(f"rls_{mark}")
    execute(
        admin,
        f"create role {anna}",
        f"create role {ben}",
        f"create role {app} login noinherit",
        f"grant {anna}, {ben} to {app}",
        f"create database rls_{mark}",
    )
    for table, policy in POLICIES.items():
        execute(url, TABLE.format(table=table, policy=policy, anna=anna, ben=ben))
    opened = Server(url, url.replace("postgres@", f"{app}@", 1), [anna, ben])
    yield opened
    opened.close()
    execute(admin, f"drop database rls_{mark} with (force)", f"drop role {app}, {anna}, {ben}")


def test_the_components_own_role_sees_nothing(server: Server) -> None:
    async def look() -> None:
        async with lent(server.database, "read") as connection:
            assert await connection.fetchval(
                "select not rolsuper and not rolbypassrls and not rolinherit "
                "from pg_roles where rolname = current_user"
            )
            assert not await connection.fetchval("select has_table_privilege('by_role', 'select')")

    server.run(look())


@given(st.fixed_dictionaries(dict.fromkeys(POLICIES, tables)), st.lists(st.tuples(turns, turns),
       min_size=1, max_size=4))  # fmt: skip
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.timeout(300)
def test_no_call_meets_the_rows_of_another(
    server: Server, start: dict[str, Rows], rounds: list[tuple[Any, Any]]
) -> None:
    async def run() -> None:
        for table, rows in start.items():
            await server.write(table, rows)
        model = {table: dict(rows) for table, rows in start.items()}
        for both in rounds:
            # Both at a time, so that they change connections with each other.
            results = await asyncio.gather(*(server.call(who, both[who]) for who in (0, 1)))
            after = {table: await server.read(table) for table in model}
            for who in (0, 1):
                check(server, who, both[who], results[who], model, after)
            model = after

    server.run(run())


def check(
    server: Server,
    who: int,
    turn: tuple[Operation, ...],
    result: list[Any] | CallError,
    before: dict[str, Rows],
    after: dict[str, Rows],
) -> None:
    """The caller's own rows are what its own call makes of them; all others are the other's."""
    mine = {table: own(rows, who) for table, rows in before.items()}
    if isinstance(result, CallError):
        # Only a write can have been refused: for the other's row, or for a key that is taken.
        assert any(o.verb in ("insert", "upsert", "update") for o in turn), result
        assert result.details.get("sqlstate") in ("42501", "23505", "21000", "40P01"), result
    else:
        for operation, answer in zip(turn, result, strict=True):
            expected, mine[operation.table] = server.expected(who, operation, mine[operation.table])
            assert as_set(answer) == expected
            assert all(owner == who for owner, _ in mine[operation.table].values())
    assert mine == {table: own(rows, who) for table, rows in after.items()}


def own(rows: Rows, who: int) -> Rows:
    return {key: row for key, row in rows.items() if row[0] == who}
