"""``pgwamp dev``: the servers stay while the component cannot start."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pgwamp.cli import serve
from pgwamp.component import Component
from tests.conftest import Database, MakeSettings
from tests.servers import CALLS


def test_it_tries_again_until_the_component_starts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make_settings: MakeSettings,
    tmp_path: Path,
) -> None:
    query = tmp_path / "q.sql"
    query.write_text("-- name: late\nselect id from not_made_yet\n")
    settings = make_settings(expose={"queries": str(tmp_path)})
    tried: list[float] = []

    def sleep(seconds: float) -> None:
        tried.append(seconds)
        if len(tried) == 2:
            query.write_text("-- name: late\nselect 1 as id\n")

    served: list[Component] = []

    async def serving(_settings: Any, _announce: Any) -> None:
        async with Component(settings) as component:
            served.append(component)

    monkeypatch.setattr(serve.time, "sleep", sleep)
    monkeypatch.setattr(serve, "_serve", serving)
    stack: Any = SimpleNamespace(psql=lambda: "psql here")
    serve._serve_when_it_can(settings, stack)
    said = [line for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()]
    assert len(served) == 1
    assert tried == [serve.TRY_AGAIN_SECONDS] * 2
    assert [line.partition(":")[0] for line in said] == [
        "The component does not start",
        "Trying again until it does; the database is there",
    ]
    assert "not_made_yet" in said[0]


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ({}, "Every caller has the rights of a superuser"),
        ({"anonymous": CALLS}, f'These commands call as "anonymous", with the rights of {CALLS} a'),
        ({"user": CALLS}, 'access.roles has no role for "anonymous", as these commands call'),
    ],
)
async def test_the_banner_says_whose_rights_its_commands_have(
    make_settings: MakeSettings, roles: dict[str, str], said: str
) -> None:
    settings = make_settings(access={"roles": roles})
    stack: Any = SimpleNamespace(
        router=SimpleNamespace(url="ws://127.0.0.1:8080/ws", port=8080), psql=lambda: "psql here"
    )
    async with Component(settings) as component:
        assert f"\n\n{said}" in serve._banner(settings, component, stack)


TABLES = {
    "uuid": "create table item (id uuid primary key default gen_random_uuid(), v text)",
    "no key": 'create table item (v text, "w""x" int)',
    "two keys": 'create table item ("a b" int, b int, v text, primary key ("a b", b))',
    "key alone": "create table item (id int primary key)",
}


ROWS = {
    "uuid": "insert into item (v) values ('a'), ('b')",
    "no key": "insert into item values ('a', 1), ('b', 2)",
    "two keys": "insert into item values (1, 2, 'a'), (1, 3, 'b')",
    "key alone": "insert into item values (1), (2)",
}


@pytest.mark.parametrize("name", TABLES)
async def test_the_update_that_it_shows_changes_a_row(
    make_settings: MakeSettings, database: Database, name: str
) -> None:
    database.execute(
        TABLES[name],
        ROWS[name],
        "alter table item replica identity full",
        "select wamp.watch('item', '{\"old\": \"full\"}')",
    )
    async with Component(make_settings()) as component:
        example = serve._example(component)
    assert example is not None
    connection = await database.connect()
    assert await connection.execute(example[1]) == "UPDATE 1"
    await connection.close()
