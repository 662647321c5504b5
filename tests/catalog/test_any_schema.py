"""The catalog is read in bounded time, whatever a role that may create things has made."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from pgwamp.catalog import Catalog, ForeignKey, Graph, Relationship, load_catalog
from pgwamp.catalog.graph import MOST_JUNCTION_KEYS, MOST_RELATIONSHIPS
from pgwamp.catalog.load import _sql
from pgwamp.catalog.sides import MOST_VIEWS
from pgwamp.catalog.types import MOST_LEVELS, MOST_PARTS
from pgwamp.values import Type
from tests.conftest import Database

#: Seconds; each of these schemas once took minutes, or no end at all.
ENOUGH = 20


def levels(of: Type) -> int:
    """How deep a type is nested."""
    below = [kind for _, kind in of.fields] + ([of.element] if of.element else [])
    return 1 + max(map(levels, below), default=0)


def parts(of: Type) -> int:
    """How many types a type is made of, counted each time."""
    return 1 + sum(parts(kind) for _, kind in of.fields)


async def load(database: Database, *statements: str) -> tuple[Catalog, Graph]:
    database.execute(*statements)
    connection = await database.connect()
    try:
        async with asyncio.timeout(ENOUGH):
            catalog = await load_catalog(connection, ["public"])
            return catalog, Graph(catalog, catalog.relations)
    finally:
        await connection.close()


async def test_views_that_refer_to_themselves_and_to_each_other_are_views(
    database: Database,
) -> None:
    catalog, _ = await load(
        database,
        "create table t (id int primary key)",
        "create view me as select 1 as id",
        "create or replace view me as table me",
        "create view one as select 1 as id",
        "create view two as table one",
        "create or replace view one as table two",
        "create view plain as table t",
        "create view above as table plain",
    )
    found = {relation.name: relation for relation in catalog.relations}
    assert found.keys() == {"t", "me", "one", "two", "plain", "above"}
    assert not found["me"].origins
    assert not found["one"].origins
    assert [origin.table for origin in found["above"].origins] == [found["t"].oid]


async def test_a_long_chain_of_views_leads_to_its_table(database: Database) -> None:
    names = ["t", *(f"v{number}" for number in range(300))]
    views = [f"create view {view} as table {below}" for below, view in pairwise(names)]
    catalog, _ = await load(database, "create table t (id int primary key)", "; ".join(views))
    found = {relation.name: relation for relation in catalog.relations}
    assert [origin.table for origin in found["v299"].origins] == [found["t"].oid]


async def test_a_chain_of_domains_is_its_base_type(database: Database) -> None:
    domains = ["create domain d0 as int"]
    domains += [f"create domain d{n} as d{n - 1}" for n in range(1, 2000)]
    catalog, _ = await load(database, "; ".join(domains), "create table t (v d1999)")
    kind = catalog.relations[0].by_name["v"].type
    assert (kind.form, kind.name, kind.domain) == ("integer", "integer", "public.d1999")


async def test_values_of_types_that_are_nested_too_deep_are_text(database: Database) -> None:
    types = ["create type c0 as (v int)"]
    types += [f"create type c{n} as (v c{n - 1}[])" for n in range(1, 600)]
    catalog, _ = await load(database, "; ".join(types), "create table t (far c599, near c5)")
    columns = catalog.relations[0].by_name
    assert levels(columns["near"].type) == 12
    assert 1 < levels(columns["far"].type) <= MOST_LEVELS


async def test_values_of_types_with_too_many_parts_are_text(database: Database) -> None:
    types = ["create type w0 as (a int, b int)"]
    types += [f"create type w{n} as (a w{n - 1}, b w{n - 1})" for n in range(1, 16)]
    catalog, _ = await load(database, "; ".join(types), "create table t (w w15, small w3)")
    columns = catalog.relations[0].by_name
    assert parts(columns["small"].type) == 31
    assert 1 < parts(columns["w"].type) <= MOST_PARTS


async def test_a_table_may_hold_arrays_of_its_own_rows(database: Database) -> None:
    catalog, _ = await load(
        database, "create table node (id int)", "create type pair as (a node[], b node)",
        "create table t (p pair)",
    )  # fmt: skip
    assert catalog.relations[1].by_name["p"].type.form == "composite"


async def test_a_table_with_hundreds_of_foreign_keys_is_no_junction(database: Database) -> None:
    keys = ", ".join(f"k{n} int references t" for n in range(300))
    unique = ", ".join(f"k{n}" for n in range(32))
    _, graph = await load(
        database, "create table t (id int primary key)",
        f"create table wide ({keys}, unique ({unique}))",
        "create table other (id int primary key)",
        "create table link (t int references t, o int references other, primary key (t, o))",
    )  # fmt: skip
    catalog, graph = await load(database)
    (target,) = (r for r in catalog.relations if r.name == "t")
    ways = graph.relationships(target)
    assert sum(way.junction is None for way in ways) == 301
    assert [way.target.name for way in ways if way.junction is not None] == ["other"]
    assert MOST_JUNCTION_KEYS < 300


async def test_one_line_of_the_log_counts_exposed_tables_with_too_many_keys_for_a_junction(
    database: Database,
) -> None:
    keys = ", ".join(f"k{n} int references t" for n in range(MOST_JUNCTION_KEYS + 1))
    with capture_logs() as logs:
        await load(
            database, "create table t (id int primary key)", "create schema hidden",
            *(f"create table {name} ({keys})" for name in ("one", "two", "hidden.one")),
        )  # fmt: skip
    assert [(line["event"], line["number"]) for line in logs] == [
        ("some tables are no junctions: they have too many foreign keys", 2)
    ]


async def test_the_keys_of_a_table_that_nothing_shows_are_not_paired(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired: list[int] = []

    def counted(keys: Sequence[ForeignKey], length: int) -> Iterator[Any]:
        paired.extend(key.source for key in keys)
        return combinations(keys, length)

    monkeypatch.setattr("pgwamp.catalog.graph.combinations", counted)
    link = "(t int references t, o int references o, unique (t, o))"
    catalog, _ = await load(
        database, "create schema hidden", "create schema shown",
        "create table t (id int primary key)", "create table o (id int primary key)",
        *(f"create table {name} {link}" for name in ("hidden.link", "shown.link", "link")),
        "create view shown_link as table shown.link",
    )  # fmt: skip
    found = {relation.name: relation for relation in catalog.relations}
    assert {*paired} == {found["link"].oid, found["shown_link"].origins[0].table}
    paired.clear()
    Graph(catalog, [r for r in catalog.relations if "link" not in r.name])
    assert paired == []


_CROWDS: list[Catalog] = []


@pytest.fixture
async def crowd(database: Database) -> Catalog:
    """A table with views, and a junction of very many keys to it; read once, and never changed."""
    if _CROWDS:
        return _CROWDS[0]
    keys = ", ".join(f"k{n} int references t" for n in range(MOST_JUNCTION_KEYS))
    unique = ", ".join(f"k{n}" for n in range(MOST_JUNCTION_KEYS))
    catalog, _ = await load(
        database, "create table t (id int primary key)",
        "; ".join(f"create view v{n} as table t" for n in range(MOST_VIEWS)),
        f"create table wide ({keys}, unique ({unique}))",
    )  # fmt: skip
    _CROWDS.append(catalog)
    return catalog


#: Children of a table, tables that refer to it, and levels of a chain of children.
CROWD = 300
FAMILIES = {
    "many children and many that refer to them": (
        "create table hub (id int primary key)",
        *(f"create table c{n} (check (f(id))) inherits (hub)" for n in range(CROWD)),
        *(f"create table r{n} (h int references hub)" for n in range(CROWD)),
    ),
    "a long chain of children": (
        "create table c0 (id int)",
        *(f"create table c{n} () inherits (c{n - 1})" for n in range(1, CROWD)),
        f"alter table c{CROWD - 1} add check (f(id))",
    ),
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


@pytest.mark.parametrize("family", FAMILIES)
async def test_no_pairs_are_made_of_tables_that_belong_together(
    database: Database, family: str
) -> None:
    database.execute(
        "create function f(int) returns boolean language sql immutable as 'select true'",
        *FAMILIES[family],
    )
    connection = await database.connect()
    try:
        await connection.execute("set search_path = pg_catalog, pg_temp")
        text = await connection.fetchval(
            f"explain (analyze, format json) {_sql('expressions')}", ["public"]
        )
    finally:
        await connection.close()
    rows = [
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes(json.loads(text)[0]["Plan"])
    ]
    # All functions of PostgreSQL are among them.
    assert CROWD < max(rows) < CROWD * CROWD / 10


async def test_a_relation_with_enough_relationships_costs_nothing_more(
    crowd: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, add = 0, Graph._add

    def counted(graph: Graph, way: Relationship, payer: int) -> None:
        nonlocal tried
        tried += 1
        add(graph, way, payer)

    monkeypatch.setattr(Graph, "_add", counted)
    monkeypatch.setattr("pgwamp.catalog.graph.MOST_RELATIONSHIPS", 50)
    with capture_logs() as logs:
        graph = Graph(crowd, crowd.relations)
    assert {len(graph.relationships(relation)) for relation in crowd.relations} == {50}
    # Of nearly a million that the views could have.
    assert tried < 5_000
    assert [(line["number"], len(line["names"])) for line in logs] == [(MOST_VIEWS + 2, 10)]


async def test_all_relations_have_only_so_many_relationships(
    crowd: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgwamp.catalog.graph.MOST_IN_ALL", 200)
    graph = Graph(crowd, crowd.relations)
    assert sum(len(graph.relationships(relation)) for relation in crowd.relations) == 200
    # Those of tables come first.
    table, wide = (r for r in crowd.relations if r.kind == "table")
    assert len(graph.relationships(wide)) == MOST_JUNCTION_KEYS
    assert len(graph.relationships(table)) == 200 - MOST_JUNCTION_KEYS


async def test_others_have_their_turn_while_relationships_are_found(crowd: Catalog) -> None:
    turns = 0
    building = asyncio.create_task(Graph.build(crowd, crowd.relations))
    while not building.done():
        turns += 1
        await asyncio.sleep(0)
    at_once = Graph(crowd, crowd.relations)
    for relation in crowd.relations:
        ways = building.result().relationships(relation)
        assert [list(way.spellings()) for way in ways] == [
            list(way.spellings()) for way in at_once.relationships(relation)
        ]
    # One for each pair of keys at least, three times.
    pairs = MOST_JUNCTION_KEYS * (MOST_JUNCTION_KEYS - 1) / 2
    assert turns > 3 * pairs


async def test_the_views_of_others_displace_no_relationship_of_a_table(
    database: Database,
) -> None:
    views = [f"create view a{n} as table t" for n in range(200)]
    keys = ["alter table t add foreign key (up) references t" for _ in range(60)]
    catalog, graph = await load(
        database, "create table t (id int primary key, up int)",
        "create table line (id int primary key, t int references t)",
        "; ".join(views), "; ".join(keys),
    )  # fmt: skip
    (table,) = (r for r in catalog.relations if r.name == "t")
    ways = graph.relationships(table)
    assert len(ways) <= MOST_RELATIONSHIPS
    assert "line" in {way.target.name for way in ways}
    assert len({way.target.name for way in ways if way.target.kind == "view"}) == MOST_VIEWS


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A role that may create in the schema and has no other right."""
    name = f"stranger_{uuid.uuid4().hex[:8]}"
    database.execute(f"create role {name}", f"grant create, usage on schema public to {name}")
    yield name
    database.execute(f"drop owned by {name} cascade", f"drop role {name}")


FILMS = (
    "create table film (id int primary key)",
    "create table actor (id int primary key, film_id int references film)",
    "create table part (a int references film, b int references actor, primary key (a, b))",
    "create view late_actor as table actor",
    "create function lead(film) returns setof actor rows 1 language sql stable "
    "as 'select * from actor where film_id = $1.id'",
)
#: The names of the targets from films, which the first three tables, the view and the function are.
TARGETS = {"actor", "part", "late_actor", "lead"}


async def test_a_stranger_with_many_views_takes_no_relationships_of_others(
    database: Database, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgwamp.catalog.graph.MOST_IN_ALL", 1000)
    keys = [f"k{n} int references zt" for n in range(12)]
    unique = ", ".join(f"k{n}" for n in range(12))
    views = "; ".join(f"create view zv{n} as table zt" for n in range(MOST_VIEWS))
    mine = (
        "create table zt (id int primary key)",
        *(f"create table {name} ({', '.join(keys)}, unique ({unique}))" for name in ("zj", "zk")),
        views,
    )
    # They are older than what they would displace.
    catalog, graph = await load(
        database, "; ".join((f"set role {stranger}", *mine)), "reset role", *FILMS,
    )  # fmt: skip
    (film,) = (r for r in catalog.relations if r.name == "film")
    (zt,) = (r for r in catalog.relations if r.name == "zt")
    names = {name for way in graph.relationships(film) for name in way.names()}
    assert names >= TARGETS
    # Nor may a stranger have less than there is.
    assert len(graph.relationships(zt)) > 200
    assert sum(len(graph.relationships(relation)) for relation in catalog.relations) <= 1000


async def test_the_views_of_a_stranger_displace_none_of_the_owner_or_of_another_stranger(
    database: Database, stranger: str
) -> None:
    other = f"{stranger}_other"
    database.execute(f"create role {other}", f"grant create, usage on schema public to {other}")
    try:
        tables, rest = FILMS[:3], FILMS[3:]
        views = [f"create view zv{n} as table actor" for n in range(2 * MOST_VIEWS)]
        catalog, graph = await load(
            database,
            *tables,
            "; ".join((f"set role {stranger}", *views)),
            f"set role {other}; create view other_actor as table actor",
            "reset role",
            *rest,
        )
    finally:
        database.execute(f"drop owned by {other} cascade", f"drop role {other}")
    (film,) = (r for r in catalog.relations if r.name == "film")
    ways = graph.relationships(film)
    assert {name for way in ways for name in way.names()} >= {*TARGETS, "other_actor"}
    assert len({way.target.name for way in ways if way.target.kind == "view"}) == MOST_VIEWS


async def test_the_keys_of_a_stranger_leave_room_for_others(
    database: Database, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgwamp.catalog.graph.MOST_RELATIONSHIPS", 30)
    keys = ", ".join(f"k{n} int references film" for n in range(60))
    catalog, graph = await load(
        database,
        FILMS[0],
        f"grant references on film to {stranger}",
        f"set role {stranger}; create table early ({keys})",
        "reset role",
        *FILMS[1:],
    )
    (film,) = (r for r in catalog.relations if r.name == "film")
    ways = graph.relationships(film)
    assert {name for way in ways for name in way.names()} >= TARGETS
    assert sum(way.target.name == "early" for way in ways) == 15


async def test_of_a_long_comment_only_the_beginning_is_read(database: Database) -> None:
    long = "x" * 20_000_000
    catalog, _ = await load(
        database, "create table t (id int)", "create function f() returns int return 1",
        f"comment on table t is '{long}'", f"comment on column t.id is '{long}'",
        f"comment on function f() is '{long}'",
    )  # fmt: skip
    (table,), (routine,) = catalog.relations, catalog.routines
    comments = [table.comment, table.by_name["id"].comment, routine.comment]
    assert [len(comment or "") for comment in comments] == [5000] * 3


@pytest.mark.parametrize("path", ["", "hidden", "pg_catalog, public", '"no such schema"'])
async def test_types_have_their_schemas_whatever_the_search_path_is(
    database: Database, path: str
) -> None:
    database.execute(
        "create schema hidden", "create type mood as enum ('ok')",
        "create type hidden.mood as enum ('no')", "create domain hidden.text as int",
        "create table t (a mood, b hidden.mood[], c text, d char(3), e hidden.text)",
        f"alter database {database.name} set search_path = {path or chr(39) * 2}",
    )  # fmt: skip
    catalog, _ = await load(database)
    names = [column.type.domain or column.type.name for column in catalog.relations[0].columns]
    assert names == ["public.mood", "hidden.mood[]", "text", "bpchar", "hidden.text"]
    assert catalog.castable["mood"].name == "public.mood"
    assert catalog.castable["text"].name == "text"


async def test_loading_leaves_the_search_path_of_a_transaction(database: Database) -> None:
    connection = await database.connect()
    async with connection.transaction():
        await connection.execute("set local search_path = public, pg_temp")
        await load_catalog(connection, ["public"])
        assert await connection.fetchval("show search_path") == "public, pg_temp"
    await connection.close()
