"""What ``expose.exclude`` and ``include`` let through, and what counts tell."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.conftest import Database
from tests.procedures.conftest import Api, Start
from tests.servers import CALLS, Addresses, execute

INVALID = "wamp.error.invalid_argument"
TABLES = (
    "create table team (tenant int, id int, name text, primary key (tenant, id))",
    "create table player (tenant int not null default 7, id int primary key, team int, "
    "code text unique, foreign key (tenant, team) references team)",
    "create function whole(player) returns text language sql stable as 'select $1::text'",
    "create function all_players() returns setof player language sql stable as 'table player'",
    "create function tenant() returns int language sql as 'select 1'",
    "insert into team values (7, 1, 'Lions')",
    "insert into player (id, team, code) values (1, 1, 'x')",
    "create table note (body text, about player)",
    "select wamp.watch('player', '{\"topic\": \"com.example.player.{tenant}.{team}.{op}\"}')",
)
EXCLUDE = {"exclude": ["tenant", "public.player.code", "public.team.id*"]}


async def test_an_excluded_column_is_nowhere(api: Start) -> None:
    call = await api(*TABLES, expose=EXCLUDE)
    shown = [{"id": 1, "team": 1}]
    assert await call("player.select") == shown
    assert await call("all_players", where={"team": 1}) == shown
    assert await call("player.get", 1) == shown[0]
    assert await call("player.insert", {"id": 2, "team": None}) == [{"id": 2, "team": None}]
    assert await call("player.update", {"team": 1}, {"id": 2}) == [{"id": 2, "team": 1}]
    assert await call("player.delete", {"id": 2}) == [{"id": 2, "team": 1}]
    assert await call("player.select", format="csv") == "id,team\n1,1\n"
    for name, arguments in (
        ("player.select", {"where": {"tenant": 7}}),
        ("player.select", {"columns": ["tenant"]}),
        ("player.select", {"columns": ["x:code"]}),
        ("player.select", {"order": ["tenant"]}),
        ("player.select", {"include": {"team": {"columns": ["tenant"]}}}),
        ("player.select", {"where": {"team!player_tenant_team_fkey": {"tenant": 7}}}),
        ("player.insert", {"rows": {"id": 3, "tenant": 7}}),
        ("player.insert", {"csv": "id,tenant\n3,7\n"}),
        ("player.insert", {"rows": {"id": 3}, "returning": ["tenant"]}),
        ("player.update", {"values": {"code": "y"}, "where": "all"}),
        ("player.upsert", {"rows": {"id": 1}, "conflict": ["code"]}),
        ("all_players", {"columns": ["tenant"]}),
    ):
        error = await call.fails(INVALID, name, **arguments)
        assert "tenant, " not in error.message
    with pytest.raises(CallError, match="no callee registered"):
        await call("tenant")
    described = await call("describe")
    entries = {
        entry["uri"].removeprefix(f"{call.prefix}."): entry for entry in described["procedures"]
    }
    assert not re.search("tenant|code", json.dumps(described))
    ((row,),) = entries["whole"]["overloads"]
    assert list(row["schema"]["properties"]) == ["id", "team"]
    about = entries["note.select"]["result"]["items"]["properties"]["about"]
    assert list(about["properties"]) == ["id", "team"]
    topics = {topic["op"]: topic["topic"] for topic in described["topics"]}
    assert topics["insert"] == "com.example.player.{}.{team}.inserted"


async def test_a_field_of_a_row_that_is_not_there_tells_no_excluded_columns(api: Start) -> None:
    call = await api(*TABLES, expose=EXCLUDE)
    for name, arguments in (
        ("whole", {"args": {"tenan": 7}}),
        ("note.insert", {"rows": {"about": {"tenan": 7}}}),
        ("note.select", {"columns": ["about->tenan"]}),
    ):
        given = arguments.pop("args", None)
        error = await call.fails(INVALID, name, *([] if given is None else [given]), **arguments)
        assert not re.search("tenant|code", f"{error.message} {error.details}")


async def test_computed_columns_use_excluded_columns(api: Start) -> None:
    call = await api(*TABLES, expose=EXCLUDE)
    assert await call("player.select", columns=["whole"]) == [{"whole": "(7,1,1,x)"}]
    wrote = await call("player.insert", {"id": 3, "team": None}, returning=["whole"])
    assert wrote == [{"whole": "(7,3,,)"}]


LINKED = (
    "create table cust (id int primary key, code text unique, name text)",
    "create table ord (id int primary key, secret_cust int references cust, "
    "cust_code text references cust (code), cust_id int references cust)",
    "create table tag (id int primary key)",
    "create table tagged (secret_ord int references ord, tag int references tag, "
    "primary key (secret_ord, tag))",
    "create view seen as select id, secret_cust as customer, cust_id as visible from ord",
    "create function getter(ord) returns cust language sql stable "
    "as 'select c from cust c where c.id = $1.secret_cust'",
    "insert into cust values (1, 'a', 'Ann'), (2, 'b', 'Ben')",
    "insert into ord values (10, 2, 'b', 1)",
    "insert into tag values (5)",
    "insert into tagged values (10, 5)",
)
HIDDEN_KEYS = {
    "exclude": ["public.ord.secret_cust", "public.cust.code", "public.tagged.secret_ord"]
}
#: A request that goes by a key of which a column is not exposed, on one end or in the middle.
BY_EXCLUDED: list[tuple[str, dict[str, Any]]] = [
    ("ord.select", {"include": {"nope": {}}}),
    ("cust.select", {"include": {"ord!nope": {}}}),
    ("ord.select", {"include": {"secret_cust": {}}}),
    ("ord.select", {"include": {"cust!secret_cust": {}}}),
    ("ord.select", {"include": {"cust!ord_secret_cust_fkey": {}}}),
    ("ord.select", {"include": {"cust!ord_cust_code_fkey": {}}}),
    ("ord.select", {"where": {"cust!secret_cust": {"id": 2}}}),
    ("ord.select", {"order": ["cust!secret_cust(id)"]}),
    ("ord.update", {"values": {"cust_id": 1}, "where": "all", "include": {"secret_cust": {}}}),
    ("cust.select", {"include": {"ord!secret_cust": {}}}),
    ("cust.select", {"include": {"ord!ord_cust_code_fkey": {}}}),
    ("cust.select", {"where": {"ord!secret_cust": {"id": 10}}}),
    ("ord.select", {"include": {"tagged": {}}}),
    ("ord.select", {"include": {"tag": {}}}),
    ("tag.select", {"include": {"ord": {}}}),
    ("tag.select", {"where": {"ord": {"id": 10}}}),
    ("seen.select", {"include": {"tag": {}}}),
]


async def test_no_relationship_goes_by_an_excluded_column(api: Start) -> None:
    call = await api(*LINKED, expose=HIDDEN_KEYS)
    for name, arguments in BY_EXCLUDED:
        error = await call.fails(INVALID, name, **arguments)
        # The request itself is repeated, and what could be meant is told after it.
        told = error.message.partition(";")[2]
        assert not re.search("secret|code", told), (name, arguments)


async def test_relationships_by_exposed_columns_stay(api: Start) -> None:
    call = await api(*LINKED, expose=HIDDEN_KEYS)
    ann, ben = {"id": 1, "name": "Ann"}, {"id": 2, "name": "Ben"}
    # One key to it is left, which needs no hint.
    (order,) = await call("ord.select", include={"cust": {}})
    assert order == {"id": 10, "cust_code": "b", "cust_id": 1, "cust": ann}
    assert await call("ord.select", {"cust": {"id": 2}}) == []
    (customer, _) = await call("cust.select", include={"ord": {"columns": ["id"]}}, order=["id"])
    assert customer == {**ann, "ord": [{"id": 10}]}
    # A view shows the column under a name of its own; a function shows of it what it returns.
    (row,) = await call("seen.select", include={"cust!customer": {}})
    assert row["cust"] == ben
    (row,) = await call("ord.select", columns=["id"], include={"getter": {}})
    assert row["getter"] == ben


async def test_topics_of_excluded_relations_are_not_described(api: Start) -> None:
    call = await api(
        "create table item (id int primary key)",
        "create table secret (id int primary key)",
        "create schema other",
        "create table other.thing (id int primary key)",
        "select wamp.watch(t) from unnest(array['item', 'secret', 'other.thing']::regclass[]) as t",
        expose={"exclude": ["secret"]},
    )
    relations = {topic["relation"] for topic in (await call("describe"))["topics"]}
    # Topics of a schema that is not exposed can be subscribed to.
    assert relations == {"public.item", "other.thing"}


async def test_a_relation_whose_key_is_excluded_has_no_get(api: Start) -> None:
    call = await api(*TABLES, expose=EXCLUDE)
    assert await call("team.select") == [{"name": "Lions"}]
    with pytest.raises(CallError, match="no callee registered"):
        await call("team.get", [7, 1])


async def test_tables_of_migration_tools_are_exposed_by_their_name_only(api: Start) -> None:
    tables = ("alembic_version", "django_migrations", "schema_migrations", "flyway_schema_history")
    call = await api(
        "create table plain (id int)", *(f"create table {name} (id int)" for name in tables)
    )
    assert await call("plain.select") == []
    for name in tables:
        with pytest.raises(CallError, match="no callee registered"):
            await call(f"{name}.select")


async def test_a_table_of_a_migration_tool_can_be_included(api: Start) -> None:
    call = await api(
        "create table alembic_version (id int)", "create table schema_migrations (id int)",
        expose={"include": ["alembic_version", "public.schema_migrations"]},
    )  # fmt: skip
    assert await call("alembic_version.select") == []
    assert await call("schema_migrations.select") == []


@pytest.fixture
def reader(addresses: Addresses) -> Iterator[str]:
    name = f"r_{uuid.uuid4().hex[:12]}"
    execute(addresses.database("postgres"), f"create role {name} role {CALLS}")
    yield name
    execute(addresses.database("postgres"), f"drop role {name}")


@pytest.mark.parametrize("mode", ["planned", "estimated"])
async def test_a_count_tells_nothing_of_rows_that_are_hidden(
    api: Start, database: Database, reader: str, mode: str
) -> None:
    call = await api(
        "create table note (id int primary key, owner text)",
        "insert into note select n, 'bob' from generate_series(1, 3000) as n",
        "create table tag (id int primary key, note int references note)",
        "insert into tag select n, n from generate_series(1, 3000) as n",
        "create view shown with (security_invoker) as table note",
        "create view above as table shown",
        "create view barred with (security_barrier) as select * from tag where id < 0",
        "analyze",
        "alter table note enable row level security",
        "create policy own on note using (owner = current_user)",
        f"grant select on all tables in schema public to {reader}",
        access={"roles": {"anonymous": reader}},
        limits={"max_rows": 2},
    )
    bob = {"where": {"owner": "bob"}}
    try:
        for relation in ("note", "shown", "above"):
            assert await call(f"{relation}.count", mode=mode, **bob) == 0
            name = f"{relation}.select"
            assert await counted(call, name, count=mode, limit=0, **bob) == 0
        assert await call("barred.count", mode=mode) == 0
        related = {"where": {"note!note": {"owner": "bob"}}}
        assert await call("tag.count", mode=mode, **related) == 0
        absent = {"where": {"not": {"note!note": {"owner": "bob"}}}}
        assert await call("tag.count", mode=mode, **absent) == 3000
        inner = {"include": {"n:note": {"inner": True}}}
        assert await counted(call, "tag.select", count=mode, limit=0, **inner) == 0
        # Where nothing hides rows, the guess is the planner's.
        assert await call("tag.count", mode="planned", where={"id": {"gt": 0}}) > 2900
    finally:
        database.execute(f"drop owned by {reader}")


async def counted(call: Api, name: str, **kwargs: Any) -> int:
    """The keyword result ``count``."""
    _, keywords = await call.client.call_full(f"{call.prefix}.{name}", [], kwargs)
    count: int = keywords["count"]
    return count


async def test_a_named_query_finds_its_names_in_the_exposed_schemas(
    api: Start, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "q.sql").write_text("-- name: words\nselect w, mood from word where w = :w")
    call = await api(
        "create schema app", "create type app.mood as enum ('ok')", "create schema empty",
        "create table app.word (w text, mood app.mood)", "insert into app.word values ('a', 'ok')",
        f"alter database {database.name} set search_path = ''",
        expose={"schemas": ["empty"], "search_path": ["app"], "queries": str(tmp_path)},
    )  # fmt: skip
    assert await call("words", "a") == [{"w": "a", "mood": "ok"}]
