"""Python procedures through the router."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pgwamp.errors import StartError
from tests.procedures.conftest import Start

INVALID = "wamp.error.invalid_argument"
MODULE = '''
import datetime
from dataclasses import dataclass
from decimal import Decimal

import asyncpg
from autobahn import wamp

from pgwamp.access import Caller
from pgwamp.errors import CallError


@wamp.register("double")
async def double(number: int, times: int = 2) -> int:
    """Multiply a number."""
    return number * times


@wamp.register("day_after")
async def day_after(day: datetime.date) -> str:
    return str(day + datetime.timedelta(days=1))


@wamp.register("who")
async def who(caller: Caller) -> list:
    return [caller.authrole, caller.procedure]


@wamp.register("add")
async def add(connection: asyncpg.Connection, name: str, fail: bool = False) -> int:
    await connection.execute("insert into item values ($1)", name)
    if fail:
        raise CallError("not today", uri="com.example.error.closed", until="noon")
    return await connection.fetchval("select count(*) from item")


@dataclass
class Line:
    price: Decimal


@wamp.register("priced")
async def priced(
    connection: asyncpg.Connection, price: Decimal = Decimal(0), lines: list[Line] = []
) -> str:
    return await connection.fetchval("select $1::numeric::text", price)


@wamp.register("broken")
async def broken() -> None:
    raise RuntimeError("password is hunter2")


@wamp.register("foreign")
async def foreign() -> Decimal:
    return Decimal(1)
'''


@pytest.fixture
def module(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "procedures_" + prefix.rpartition(".")[2]
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


async def test_arguments_are_converted_to_their_annotations(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    assert await call("double", 4) == 8
    assert await call("double", number=4, times=3) == 12
    assert await call("day_after", "2024-02-28") == "2024-02-29"
    assert (await call.fails(INVALID, "day_after", "soon")).details["argument"] == "day"
    assert (await call.fails(INVALID, "double")).details["argument"] == "number"
    await call.fails(INVALID, "double", 1, 2, 3)
    await call.fails(INVALID, "double", 1, tims=2)


async def test_a_decimal_that_no_numeric_holds_is_refused(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    for fits in ("1e131071", "-1e-16383", "12.50", "1" * 131_072):
        assert Decimal(await call("priced", fits)) == Decimal(fits)
    for beyond in ("1e131072", "1e131073", "1e999999999", "-1e-16384", "1" * 131_073):
        error = await call.fails(INVALID, "priced", beyond)
        assert error.details["argument"] == "price"
        error = await call.fails(INVALID, "priced", lines=[{"price": "1"}, {"price": beyond}])
        assert error.details["argument"] == "lines"


async def test_a_procedure_gets_its_caller_and_its_transaction(api: Start, module: str) -> None:
    call = await api("create table item (name text)", expose={"procedures": [module]})
    assert await call("who") == ["anonymous", f"{call.prefix}.who"]
    assert await call("add", "a") == 1
    error = await call.fails("com.example.error.closed", "add", "b", fail=True)
    assert (error.message, error.details["until"]) == ("not today", "noon")
    assert await call("item.count") == 1


async def test_a_defect_in_a_procedure_is_an_internal_error(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    for name in ("broken", "foreign"):
        error = await call.fails("pgwamp.error.internal", name)
        assert "hunter2" not in str(error)


async def test_a_module_that_is_not_there_stops_the_start(api: Start) -> None:
    with pytest.raises(StartError, match="no_such_module"):
        await api(expose={"procedures": ["no_such_module"]})
