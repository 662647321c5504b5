"""CSV of a caller who chooses values and labels together: neither becomes a part of SQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.conftest import Database
from tests.database.conftest import Calls, Expose

SCHEMA = (
    "create schema other",
    "create table other.secret (v text)",
    "insert into other.secret values ('SESAME')",
    'create table t (id int primary key, name text, doc jsonb, "n$1" int)',
    "insert into t values (1, 'a', '{\"x$1\": 2}', 3)",
    "create function f(x text default '') returns setof t language sql stable as "
    "'select * from public.t'",
)
#: Each does harm where the first value of a statement is put into its text, for the $1 of a label.
VALUES = (
    '", (select v from other.secret) as "y',
    '"; reset role; grant all on all tables in schema other to public; --',
    "', (select v from other.secret)) --",
    "') to stdout; reset role; create table public.pwned (); --",
    "$1",
    '"$1"',
)
HARM = (
    "select to_regclass('public.pwned') is not null or has_table_privilege('public', "
    "'other.secret', 'select') or not exists (select from other.secret where v = 'SESAME')"
)


async def _sink(_: Any) -> None:
    pass


async def _streamed(call: Calls, name: str, **kwargs: Any) -> str:
    return "".join([piece async for piece in call.streamed(name, _sink, **kwargs)])


async def _batch(call: Calls, **kwargs: Any) -> str:
    (answer,) = await call("batch", [{"procedure": "t.select", "kwargs": kwargs}])
    return str(answer)


WAYS: dict[str, Callable[..., Awaitable[str]]] = {
    "select": lambda call, where, **csv: call("t.select", where=where, **csv),
    "function": lambda call, where, **csv: call("f", where=where, **csv),
    "argument": lambda call, where, **csv: call("f", x=where["name"]["neq"], **csv),
    "batch": lambda call, where, **csv: _batch(call, where=where, **csv),
    "stream": lambda call, where, **csv: _streamed(call, "t.select", where=where, **csv),
    "stream of a function": lambda call, where, **csv: _streamed(call, "f", where=where, **csv),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_value_does_not_take_the_place_of_a_dollar_in_a_label(
    expose: Expose, roles: list[str], database: Database, way: str
) -> None:
    call = await expose(
        *SCHEMA, f"grant all on t to {roles[0]}", access={"roles": {"anonymous": roles[0]}}
    )
    connection = await database.connect()
    try:
        for value in VALUES:
            where = {"name": {"neq": value}}
            with pytest.raises(CallError, match="an alias is letters"):
                await WAYS[way](call, where, columns=["x$1:id"], format="csv")
            # The last key of a path is a label if it is letters, digits and _.
            answer = await WAYS[way](call, where, columns=["doc->x$1", "n$1"], format="csv")
            assert answer == "doc,n$1\n2,3\n", value
            assert not await connection.fetchval(HARM), value
    finally:
        await connection.close()
