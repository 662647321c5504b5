"""Another role, which may create in an exposed schema, takes no name that callers use already."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Serve
from tests.servers import CALLS

#: What a stranger's function does: whoever runs it sees it.
TRAP = "language plpgsql stable as $$ begin raise exception 'code of a stranger ran'; end $$"
TABLES = (
    "create schema early",
    "create table customers (id int primary key, name text)",
    "create table orders (id int primary key, customer_id int references customers, "
    "total numeric, data json)",
    "insert into customers values (1, 'Ada')",
    "insert into orders values (1, 1, 5, '{\"a\": 7}'), (2, 1, 3, '{\"a\": 8}')",
)
SCHEMAS = ("early", "public")


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A role that may create in the exposed schemas and has no other right; callers are another."""
    name = f"stranger_{uuid.uuid4().hex[:8]}"
    caller = f"{name}_caller"
    database.execute(
        *TABLES,
        f"create role {name}",
        f"create role {caller} role {CALLS}",
        f"grant usage on schema public, early to {name}, {caller}",
        f"grant create on schema public, early to {name}",
        f"grant select on orders, customers to {caller}",
    )
    yield name
    database.execute(f"drop owned by {name}, {caller} cascade", f"drop role {name}, {caller}")


async def served(serve: Serve, connect: Connect, prefix: str, stranger: str) -> Any:
    """Calls of a client as the role of callers."""
    await serve(
        access={"roles": {"anonymous": f"{stranger}_caller"}},
        expose={"schemas": ["early", "public"]},
    )
    client = await connect()

    async def call(name: str, **kwargs: Any) -> Any:
        return await client.call(f"{prefix}.public.{name}", [], kwargs)

    return call


@pytest.mark.parametrize("name", ["customers", "customer_id", "orders_customer_id_fkey"])
async def test_a_function_takes_no_name_of_a_key(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str, name: str
) -> None:
    database.execute(
        f"set role {stranger}; "
        f"create function public.{name}(orders) returns setof customers rows 1 {TRAP}"
    )
    call = await served(serve, connect, prefix, stranger)
    (row,) = await call("orders.select", where={"id": 1}, include={f"who:{name}": {}})
    assert row["who"] == {"id": 1, "name": "Ada"}
    if name != "customer_id":
        assert await call("orders.count", where={name: {"name": "Ada"}}) == 2
    assert len(await call("orders.select", order=[f"{name}(name)"])) == 2


async def test_a_computed_column_takes_no_name_of_a_key(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        f"set role {stranger}; create function public.customers(orders) returns json {TRAP}"
    )
    call = await served(serve, connect, prefix, stranger)
    assert await call("orders.count", where={"customers": {"name": "Ada"}}) == 2


@pytest.mark.parametrize(
    ("name", "kwargs", "answer"),
    [
        ("total::text", {"columns": ["total::text"]}, {"total": "5"}),
        ("t:id", {"columns": ["t:id"]}, {"t": 1}),
        ("total.sum()", {"columns": ["total.sum()"]}, {"sum": "5"}),
        ("count()", {"columns": ["count()"]}, {"count": 1}),
        ("data->>a", {"columns": ["data->>a"]}, {"a": "7"}),
        ("data->>a", {"columns": ["id"], "where": {"data->>a": "7"}}, {"id": 1}),
        ("total.desc", {"columns": ["id"], "order": ["total.desc"]}, {"id": 1}),
        ("customers(name)", {"columns": ["id"], "order": ["customers(name)"]}, {"id": 1}),
        ("t", {"columns": ["t:id"], "order": ["t"]}, {"t": 1}),
        ("t", {"columns": ["t:id"], "order": ["t.desc"]}, {"t": 1}),
    ],
)
async def test_a_function_takes_no_spelling_of_a_request(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    stranger: str,
    name: str,
    kwargs: dict[str, Any],
    answer: dict[str, Any],
) -> None:
    database.execute(
        f'set role {stranger}; create function public."{name}"(orders) returns text {TRAP}',
        f'set role {stranger}; create function early."{name}"(public.customers) '
        f"returns setof public.orders {TRAP}",
    )
    call = await served(serve, connect, prefix, stranger)
    where = {"id": 1, **kwargs.get("where", {})}
    (row,) = await call("orders.select", **{**kwargs, "where": where})
    assert row == answer


async def test_a_set_of_rows_takes_no_path(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        f'set role {stranger}; create function public."data->>a"(orders) '
        f"returns setof orders {TRAP}"
    )
    call = await served(serve, connect, prefix, stranger)
    assert await call("orders.count", where={"data->>a": {"eq": "7"}}) == 1


async def test_functions_of_a_row_keep_their_names(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        # The owner's come first, in whatever schema.
        "create function public.twice(orders) returns numeric language sql stable "
        "as 'select $1.total * 2'",
        "create function public.customers(orders) returns setof customers rows 1 "
        "language sql stable as $$ select 9, 'the best' $$",
        f"set role {stranger}; create function early.twice(public.orders) returns text {TRAP}",
        f"set role {stranger}; create function early.customers(public.orders) "
        f"returns setof public.customers {TRAP}",
        # Another's is there under a name of its own.
        f"set role {stranger}; create function public.thrice(orders) returns numeric "
        "language sql stable as 'select $1.total * 3'",
        # Two of others: neither passes for the other.
        f"set role {stranger}; create function public.label(orders) returns text {TRAP}",
        f"set role {stranger}; create function early.label(public.orders) "
        f"returns setof public.customers {TRAP}",
    )
    call = await served(serve, connect, prefix, stranger)
    (row,) = await call(
        "orders.select",
        where={"id": 1},
        columns=["twice", "thrice"],
        include={"customers": {}},
    )
    assert row == {"twice": "10", "thrice": "15", "customers": {"id": 9, "name": "the best"}}
    for wrong in ({"columns": ["label"]}, {"include": {"label": {}}}):
        with pytest.raises(CallError, match=r"no (column|relationship)"):
            await call("orders.select", **wrong)


@pytest.mark.parametrize("owned", ["table orders", "schema public", "database {database}"])
async def test_a_function_is_trusted_whose_owner_could_replace_the_table(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str, owned: str
) -> None:
    owner = f"{stranger}_owner"
    database.execute(f"create role {owner} role {stranger}")
    try:
        database.execute(
            f"alter {owned.format(database=database.name)} owner to {owner}",
            f"set role {stranger}; create function public.customers(orders) returns customers "
            "language sql stable as $$ select 9, 'the best' $$",
        )
        call = await served(serve, connect, prefix, stranger)
        (row,) = await call("orders.select", where={"id": 1}, include={"customers": {}})
        assert row["customers"] == {"id": 9, "name": "the best"}
    finally:
        database.execute(f"reassign owned by {owner} to postgres", f"drop role {owner}")


@pytest.mark.parametrize(
    ("name", "cast", "answer"),
    [
        ("int", "int", 5),
        ("dec", "dec(10,1)", "5.0"),
        ("decimal", "decimal", "5"),
        ("float", "float", 5.0),
        ("public.size", "public.size", "5"),
        ("early.size", "early.size", "5"),
    ],
)
async def test_a_type_takes_no_name_of_another(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    stranger: str,
    name: str,
    cast: str,
    answer: Any,
) -> None:
    database.execute(
        "create domain public.size as numeric",
        "create domain early.size as numeric",
        f"set role {stranger}; create function public.trap(numeric) returns boolean {TRAP}",
        *(
            f'set role {stranger}; create domain {schema}."{name}{suffix}" as numeric '
            "check (public.trap(value))"
            for schema in SCHEMAS
            for suffix in ("", "[]")
        ),
    )
    call = await served(serve, connect, prefix, stranger)
    (row,) = await call("orders.select", where={"id": 1}, columns=[f"a:total::{cast}"])
    assert row == {"a": answer}


async def test_a_type_takes_no_name_of_an_array(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        "alter table orders add tags text not null default '{1,2}'",
        f"set role {stranger}; create function public.trap(text) returns boolean {TRAP}",
        *(
            f'set role {stranger}; create domain public."{name}[]" as text '
            "check (public.trap(value))"
            for name in ("int", "integer", "float", "text")
        ),
    )
    call = await served(serve, connect, prefix, stranger)
    columns = ["a:tags::int[]", "b:tags::integer[]", "c:tags::float[]", "d:tags::text[]"]
    (row,) = await call("orders.select", where={"id": 1}, columns=columns)
    assert row == {"a": [1, 2], "b": [1, 2], "c": [1.0, 2.0], "d": ["1", "2"]}


async def test_a_plain_name_of_two_types_means_neither(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        "create domain public.size as numeric",
        f"set role {stranger}; create domain early.size as numeric",
    )
    call = await served(serve, connect, prefix, stranger)
    with pytest.raises(CallError, match='no type "size"'):
        await call("orders.select", columns=["total::size"])
    assert await call("orders.select", columns=["total::public.size"], where={"id": 1})
