"""One relation or function, whatever it is like, ends no start and no reload."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from pgwamp.checks import check_all
from pgwamp.describe.schemas import Schemas
from pgwamp.values import Type
from tests.conftest import Connect, Database, MakeSettings, Serve
from tests.reload.conftest import eventually

LEFT_OUT = "left out: it cannot be described"


@pytest.mark.parametrize("kind", ["jsonb", "document"])
async def test_a_table_with_a_json_key_is_served(
    database: Database,
    serve: Serve,
    connect: Connect,
    make_settings: MakeSettings,
    prefix: str,
    kind: str,
) -> None:
    database.execute(
        "create domain document as jsonb",
        f"create table doc (doc {kind} primary key)",
        """insert into doc values ('{"a": 1}')""",
    )
    await serve()
    client = await connect()
    assert await client.call(f"{prefix}.doc.select") == [{"doc": {"a": 1}}]
    assert await client.call(f"{prefix}.doc.get", [{"doc": {"a": 1}}]) == {"doc": {"a": 1}}
    described = (await client.call(f"{prefix}.describe", [], {"uri": f"{prefix}.doc.get"}))[
        "procedures"
    ]
    assert described[0]["arguments"][0] == {"name": "key", "required": True, "schema": {}}
    assert not [found for found in await check_all(make_settings()) if found.part == "api"]


@pytest.fixture
def defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail to describe what has values of the type point."""
    type_schema = Schemas.type

    def failing(self: Schemas, of: Type, *arguments: Any, **options: Any) -> Any:
        if of.name == "point":
            raise KeyError("key")
        return type_schema(self, of, *arguments, **options)

    monkeypatch.setattr(Schemas, "type", failing)


@pytest.mark.usefixtures("defect")
async def test_things_that_cannot_be_described_are_left_out_at_the_start_and_at_a_reload(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(
        "create table odd (id int primary key, at point)",
        "create function odd_one() returns point language sql as 'select point(1, 2)'",
        "create table item (id int primary key)",
        "select wamp.watch('odd')",
        "select wamp.watch('item')",
    )
    with capture_logs() as logged:
        served = await serve()
    assert {line["name"] for line in logged if line["event"] == LEFT_OUT} == {
        "public.odd",
        "public.odd_one",
    }
    assert {line["log_level"] for line in logged if line["event"] == LEFT_OUT} == {"warning"}
    served_of_odd = {f"{prefix}.odd.changes", f"{prefix}.odd.follow"}
    found = served.exposure.procedures
    assert {uri for uri in found if uri.startswith(f"{prefix}.odd")} == served_of_odd
    topics = {entry["relation"] for entry in served.exposure.description["topics"]}
    assert topics == {"public.item"}
    client = await connect()
    assert await client.call(f"{prefix}.item.count") == 0
    database.execute("create table second (id int primary key)")
    assert await eventually(lambda: client.call(f"{prefix}.second.count")) == 0
