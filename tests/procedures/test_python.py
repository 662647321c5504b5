"""Python procedures through the router."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pgwamp.errors import StartError
from tests.procedures.conftest import Start

INVALID = "wamp.error.invalid_argument"
#: Python hashes an integer modulo this one, and a UUID as the integer it is.
SAME_HASH = 2**61 - 1
MODULE = '''
import datetime
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import asyncpg
from autobahn import wamp
from pydantic import AfterValidator, BaseModel, Field

from pgwamp.access import Caller
from pgwamp.errors import CallError


@wamp.register("double")
async def double(number: int, times: Annotated[int, Field(le=9)] = 2) -> int:
    """Multiply a number."""
    return number * times


def often(text: str) -> str:
    if text == "sometimes":
        raise ValueError("expected a number of times")
    assert text != "rarely", "rarely is too seldom"
    return text


@wamp.register("repeat")
async def repeat(times: Annotated[str, AfterValidator(often)]) -> str:
    return times


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


@dataclass(slots=True)
class Slotted:
    price: Decimal
    note: str = ""


class Open(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, Decimal]


@wamp.register("held")
async def held(
    slotted: Slotted | None = None, open: Open | None = None, queue: deque[Decimal] = deque()
) -> str:
    return str(slotted.price) if slotted else ""


class Not(BaseModel):
    operand: "Expression"


class Negative(BaseModel):
    operand: "Expression"


class Is(BaseModel):
    column: str


Expression = Not | Negative | Is
Not.model_rebuild()
Negative.model_rebuild()


@wamp.register("find")
async def find(where: Expression) -> str:
    return type(where).__name__


@wamp.register("keyed")
async def keyed(texts: dict[UUID, str], sets: list[set[int]] = []) -> int:
    return len(texts) + max([len(members) for members in sets], default=0)


@wamp.register("broken")
async def broken() -> None:
    raise RuntimeError("password is hunter2")


@wamp.register("misuses")
async def misuses(connection: asyncpg.Connection, how: str) -> int:
    await connection.execute("insert into item values ('misused')")
    if how == "file":
        open("/nonexistent/config")
    elif how == "refused":
        raise ConnectionRefusedError("another server")
    elif how == "parameters":
        await connection.fetch("select $1::int", 1, 2)
    elif how == "lost":
        await connection.execute("select pg_terminate_backend(pg_backend_pid())")
    return 1


@wamp.register("misuses_in_parts")
async def misuses_in_parts(connection: asyncpg.Connection, how: str):
    yield await misuses(connection, how)


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
    assert (await call.fails(INVALID, "double", 4, 10)).details["argument"] == "times"
    assert await call("day_after", "2024-02-28") == "2024-02-29"
    assert (await call.fails(INVALID, "day_after", "soon")).details["argument"] == "day"
    assert (await call.fails(INVALID, "double")).details["argument"] == "number"
    await call.fails(INVALID, "double", 1, 2, 3)
    await call.fails(INVALID, "double", 1, tims=2)


async def test_an_error_of_a_validator_is_told_in_its_own_words(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    error = await call.fails(INVALID, "repeat", "sometimes")
    assert error.message == "times: expected a number of times"
    error = await call.fails(INVALID, "repeat", "rarely")
    assert error.message.startswith("times: rarely is too seldom")


async def test_a_decimal_that_no_numeric_holds_is_refused(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    for fits in ("1e131071", "-1e-16383", "12.50", "1" * 131_072):
        assert Decimal(await call("priced", fits)) == Decimal(fits)
    for beyond in ("1e131072", "1e131073", "1e999999999", "-1e-16384", "1" * 131_073):
        error = await call.fails(INVALID, "priced", beyond)
        assert error.details["argument"] == "price"
        error = await call.fails(INVALID, "priced", lines=[{"price": "1"}, {"price": beyond}])
        assert error.details["argument"] == "lines"


async def test_a_decimal_is_checked_wherever_an_argument_holds_it(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    assert await call("held", {"price": "1.50"}, {"any": "1"}, ["2"]) == "1.50"
    for name, value in {
        "slotted": {"price": "1e131072"}, "open": {"any": "1e131072"}, "queue": ["1e131072"],
    }.items():  # fmt: skip
        error = await call.fails(INVALID, "held", **{name: value})
        assert error.details["argument"] == name
        assert "out of range for numeric" in error.message


async def test_deep_values_of_nested_unions_are_refused_before_they_are_tried(
    api: Start, module: str
) -> None:
    call = await api(expose={"procedures": [module]})
    value: object = {"column": "name"}
    for _ in range(9):
        value = {"operand": value}
    assert await call("find", value) == "Not"
    for _ in range(40):
        value = {"operand": value}
    error = await call.fails(INVALID, "find", value)
    assert error.details["argument"] == "where"
    assert "discriminator" in error.message


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


@pytest.mark.parametrize("name", ["misuses", "misuses_in_parts", "batch"])
async def test_an_error_that_is_like_that_of_a_lost_connection_is_the_procedures_own(
    api: Start, module: str, name: str
) -> None:
    call = await api("create table item (name text)", expose={"procedures": [module]})

    def arguments(how: str) -> list[Any]:
        return [[{"procedure": "misuses", "args": [how]}]] if name == "batch" else [how]

    for how in ("file", "refused", "parameters"):
        await call.fails("pgwamp.error.internal", name, *arguments(how))
    await call.fails("pgwamp.error.unavailable", name, *arguments("lost"))
    assert await call("item.count") == 0


async def test_a_module_that_is_not_there_stops_the_start(api: Start) -> None:
    with pytest.raises(StartError, match="no_such_module"):
        await api(expose={"procedures": ["no_such_module"]})


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [("list[Json[int]]", "annotate the value itself"), ("Iterable[int]", "annotate a list")],
)
async def test_a_module_whose_annotation_pydantic_cannot_check_at_once_stops_the_start(
    api: Start, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch, annotation: str,
    problem: str,
) -> None:  # fmt: skip
    name = "refused_" + prefix.rpartition(".")[2]
    (tmp_path / f"{name}.py").write_text(
        "from collections.abc import Iterable\nfrom autobahn import wamp\n"
        "from pydantic import Json\n\n"
        f"@wamp.register('parsed')\nasync def parsed(data: {annotation}) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(StartError, match=f"parsed: data: {problem}"):
        await api(expose={"procedures": [name]})


async def test_no_more_keys_than_a_thousand_are_hashed(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    ids = [str(UUID(int=SAME_HASH * n)) for n in range(1_001)]
    numbers = [str(SAME_HASH * n) for n in range(1_001)]
    assert await call("keyed", dict.fromkeys(ids[:1_000], "")) == 1_000
    error = await call.fails(INVALID, "keyed", dict.fromkeys(ids, ""))
    assert error.details["argument"] == "texts"
    assert "1000 members" in error.message
    # All arguments of a call count together, each with the lists in it.
    assert await call("keyed", {ids[0]: ""}, [numbers[:500], numbers[:497]]) == 501
    error = await call.fails(INVALID, "keyed", {ids[0]: ""}, [numbers[:500], numbers[:498]])
    assert error.details["argument"] == "sets"


async def test_no_more_characters_of_long_numbers_are_read_than_a_call_may_have(
    api: Start, module: str
) -> None:
    call = await api(expose={"procedures": [module]})
    line = {"price": "1." + "0" * 598}
    assert await call("priced", lines=[line] * 500) == "0"
    error = await call.fails(INVALID, "priced", lines=[line] * 501)
    assert error.details["argument"] == "lines"
    assert "300000 characters" in error.message


async def test_of_very_many_errors_none_is_listed(api: Start, module: str) -> None:
    call = await api(expose={"procedures": [module]})
    error = await call.fails(INVALID, "priced", lines=[{"price": "x"}] * 1_000)
    assert error.details["argument"] == "lines.0.price"
    error = await call.fails(INVALID, "priced", lines=[{"price": "x"}] * 1_001)
    assert error.details["argument"] == "lines"
    assert "more than 1000 errors" in error.message
