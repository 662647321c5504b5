"""``AsyncSession`` in Python procedures: in the call's transaction, as the call's role."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pgwamp.session import Call
from tests.conftest import Database
from tests.database.conftest import Calls, Expose
from tests.pooled import lent

ITEM = (
    "create table item (id int primary key generated always as identity, name text unique, "
    "facts json, more jsonb, owner text default current_setting('wamp.authid', true))",
    "create table part (id int primary key generated always as identity, "
    "item_id int references item, name text)",
    "create function facts() returns setof json language sql stable as 'select facts from item'",
)
MODULE = """
import asyncpg
import sqlalchemy as sa
from autobahn import wamp
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from pgwamp.access import Caller


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    facts: Mapped[dict | None] = mapped_column(JSON)
    more: Mapped[dict | None] = mapped_column(JSONB)
    owner: Mapped[str | None] = mapped_column(server_default=sa.FetchedValue())
    parts: Mapped[list["Part"]] = relationship(order_by="Part.id")


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(sa.ForeignKey("item.id"))
    name: Mapped[str]


@wamp.register("make")
async def make(session: AsyncSession, name: str, facts: dict, parts: list[str] = ()) -> None:
    session.add(Item(name=name, facts=facts, more=facts, parts=[Part(name=p) for p in parts]))


@wamp.register("listed")
async def listed(session: AsyncSession) -> list:
    items = await session.scalars(
        sa.select(Item).options(selectinload(Item.parts)).order_by(Item.id)
    )
    return [[i.name, i.facts, i.more, [p.name for p in i.parts]] for i in items]


@wamp.register("who")
async def who(session: AsyncSession, connection: asyncpg.Connection, caller: Caller) -> list:
    said = "select current_user || ' ' || current_setting('wamp.procedure')"
    mine = await session.scalar(sa.text(said + " || pg_backend_pid()"))
    return [mine == await connection.fetchval(said + " || pg_backend_pid()"),
            await session.scalar(sa.text(said)), caller.authrole]


@wamp.register("recovers")
async def recovers(session: AsyncSession) -> list:
    session.add(Item(name="kept"))
    await session.commit()
    for name in ("kept", "lost"):
        session.add(Item(name=name))
        try:
            await session.flush()
        except IntegrityError:
            pass
        await session.rollback()
    async with session.begin_nested():
        session.add(Item(name="nested"))
    return list(await session.scalars(sa.select(Item.name).order_by(Item.id)))


@wamp.register("fails")
async def fails(session: AsyncSession) -> None:
    session.add(Item(name="s3cr3t"))
    await session.commit()
    raise RuntimeError("no")


@wamp.register("several")
async def several(session: AsyncSession):
    async for name in await session.stream_scalars(sa.select(Item.name).order_by(Item.id)):
        yield name
"""


@pytest.fixture
def module(tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "orm_" + prefix.rpartition(".")[2]
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
async def call(expose: Expose, module: str) -> Calls:
    return await expose(*ITEM, expose={"procedures": [module]})


async def test_models_are_written_with_the_calls_transaction_and_read(call: Calls) -> None:
    facts = {"size": 1, "colors": ["ä", None]}
    await call("make", "pen", facts, ["cap", "nib"])
    await call("make", "ink", {})
    assert await call("listed") == [["pen", facts, facts, ["cap", "nib"]], ["ink", {}, {}, []]]
    assert await call("item.count") == 2


async def test_an_error_is_the_databases_and_undoes_all(call: Calls) -> None:
    await call("make", "pen", {})
    error = await call.fails("pgwamp.error.unique_violation", "make", "pen", {"password": "x"})
    assert error.details["constraint"] == "item_name_key"
    shown = f"{error.message} {error.details}".lower()
    assert not any(word in shown for word in ("insert", "sqlalchemy", "password", "$1"))
    with pytest.raises(RuntimeError):
        await call("fails")
    await call.fails("wamp.error.invalid_argument", "make", "\ud800", {})
    assert await call("item.count") == 1


async def test_rollback_of_the_session_undoes_what_it_did_since_its_commit(call: Calls) -> None:
    assert await call("recovers") == ["kept", "nested"]
    assert [row["name"] for row in await call("item.select", order="id")] == ["kept", "nested"]


async def test_it_is_the_calls_connection_role_and_batch(
    expose: Expose, module: str, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        *ITEM,
        f"grant all on item, part to {anna}",
        expose={"procedures": [module]},
        access={"roles": {"anonymous": anna}},
    )
    assert await call("who") == [True, f"{anna} {call.prefix}.who", "anonymous"]
    steps = [
        {"procedure": "make", "args": ["pen", {}]},
        {"procedure": "item.select"},
        {"procedure": "listed"},
    ]
    _, rows, listed = await call("batch", steps)
    assert [row["owner"] for row in rows] == ["anonymous"]
    assert [item[0] for item in listed] == ["pen"]
    await call.fails("pgwamp.error.unique_violation", "batch", [*steps, steps[0]])
    assert await call("item.count") == 1


async def collect(call: Calls, name: str) -> Sequence[Any]:
    procedure = call.exposure.procedures[f"{call.prefix}.{name}"]
    items: Any = procedure.handler(Call((), {}, call.caller(name, "anonymous")))
    return [item async for item in items]


async def test_it_streams(call: Calls) -> None:
    for name in ("pen", "ink"):
        await call("make", name, {})
    assert await collect(call, "several") == ["pen", "ink"]


@pytest.mark.parametrize("pooled", [False, True])
async def test_other_calls_on_its_connection_are_as_before(
    expose: Expose, module: str, database: Database, pooled: bool
) -> None:
    urls = {"listen_url": database.url} if pooled else {}
    call = await expose(*ITEM, database=urls, expose={"procedures": [module]})
    facts = {"a": [1, "b", None], "big": 2**70}

    async def others() -> list[Any]:
        await call("item.insert", {"name": None, "facts": facts, "more": facts})
        got = await call("item.select", where={"name": None}, columns=["facts", "more"], limit=1)
        return [got, (await call("facts"))[0]]

    before = await others()
    await call("make", "pen", {"x": 1})
    async with lent(call.database, "write") as connection:
        assert await connection.fetchval("select '[1]'::json") == "[1]"
        assert await connection.fetchval("select $1::jsonb", '{"a": 1}') == '{"a": 1}'
    assert await others() == before


async def test_sessions_of_calls_at_a_time_do_not_meet(expose: Expose, module: str) -> None:
    call = await expose(*ITEM, database={"pool_max": 4}, expose={"procedures": [module]})
    names = [f"item {n}" for n in range(20)]
    await asyncio.gather(*(call("make", name, {"n": name}) for name in names))
    assert sorted(item[0] for item in await call("listed")) == sorted(names)
