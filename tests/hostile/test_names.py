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


#: A view of orders that a stranger makes, which may be called as the caller likes.
BAIT = "as select id, customer_id, early.trap() as name from public.orders"
#: Requests about customers, and their answers.
KEYS = [
    ("customer_id", {"include": {"x:customer_id": {"columns": ["id"], "order": ["id"]}}}),
    ("orders_customer_id_fkey",
     {"include": {"x:orders_customer_id_fkey": {"columns": ["id"], "order": ["id"]}}}),
    ("orders", {"include": {"x:orders": {"columns": ["id"], "order": ["id"]}}}),
    ("orders", {"include": {"x:orders!customer_id": {"columns": ["id"], "order": ["id"]}}}),
    ("orders", {"include": {"x:orders!id": {"columns": ["id"], "order": ["id"]}}}),
]  # fmt: skip


async def trapped(database: Database, stranger: str, *statements: str) -> None:
    """Let a stranger create something, with a function that tells of its own call."""
    database.execute(
        f"set role {stranger}; create function early.trap() returns text {TRAP}",
        *(f"set role {stranger}; {statement}" for statement in statements),
    )


@pytest.mark.parametrize(("name", "kwargs"), KEYS)
async def test_a_view_takes_no_name_of_a_key(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    stranger: str,
    name: str,
    kwargs: dict[str, Any],
) -> None:
    await trapped(
        database,
        stranger,
        f"create view early.{name} {BAIT}; grant select on early.{name} to public",
        # Another column of that name, which the hint means.
        "create view early.bait as select customer_id as id, early.trap() as name "
        "from public.orders; grant select on early.bait to public",
    )
    call = await served(serve, connect, prefix, stranger)
    (row,) = await call("customers.select", columns=[], **kwargs)
    assert row == {"x": [{"id": 1}, {"id": 2}]}
    (key,) = kwargs["include"]
    assert await call("customers.count", where={key.removeprefix("x:"): {"id": 2}}) == 1


async def test_a_view_takes_no_name_of_the_row_that_a_key_refers_to(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    await trapped(
        database,
        stranger,
        "create view early.customers as select id, early.trap() as name from public.customers",
        "grant select on early.customers to public",
    )
    call = await served(serve, connect, prefix, stranger)
    for key in ("customers", "customer_id", "orders_customer_id_fkey"):
        rows = await call("orders.select", columns=["id"], order=[f"{key}(name)", "id"],
                          include={f"x:{key}": {"columns": ["name"]}})  # fmt: skip
        assert rows == [{"id": 1, "x": {"name": "Ada"}}, {"id": 2, "x": {"name": "Ada"}}]


async def test_a_table_takes_no_name_of_a_key_although_it_may_refer_to_the_rows(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(f"grant references on customers to {stranger}")
    refers = "(id int references public.customers)"
    await trapped(
        database,
        stranger,
        f"create table early.customer_id {refers}",
        f"create table early.other {refers}",
        "alter table early.other rename constraint other_id_fkey to orders",
    )
    call = await served(serve, connect, prefix, stranger)
    for key in ("customer_id", "orders"):
        (row,) = await call("customers.select", include={f"x:{key}": {"columns": ["id"]}})
        assert sorted(order["id"] for order in row["x"]) == [1, 2]


async def test_a_view_takes_no_name_of_the_rows_behind_a_junction(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        "create table tag (id int primary key, word text)",
        "create table tagged (customer int references customers, tag int references tag, "
        "primary key (customer, tag))",
        "insert into tag values (7, 'loyal')",
        "insert into tagged values (1, 7)",
        f"grant select on tag, tagged to {stranger}_caller",
    )
    await trapped(
        database,
        stranger,
        # A direct key is preferred to a junction, among those of one owner.
        "create view early.tag as select customer as id, early.trap() as word from public.tagged",
        "grant select on early.tag to public",
    )
    call = await served(serve, connect, prefix, stranger)
    for key in ("tag", "tag!tagged"):
        (row,) = await call("customers.select", include={f"x:{key}": {"columns": ["word"]}})
        assert row["x"] == [{"word": "loyal"}]


async def test_the_view_of_a_junction_by_its_owner_comes_before_older_ones_of_others(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        "create schema closed",
        "create table tag (id int primary key)",
        "create table closed.tagged (c int references customers, t int references tag, "
        "primary key (c, t))",
        "insert into tag values (7)",
        "insert into closed.tagged values (1, 7)",
        f"grant usage on schema closed to {stranger}; grant select on closed.tagged to {stranger}",
    )
    await trapped(
        database,
        stranger,
        "create view public.older as select c, t from closed.tagged where early.trap() = ''",
        "grant select on public.older to public",
    )
    database.execute(
        "create view tagged as table closed.tagged",
        f"grant select on tag, tagged to {stranger}_caller",
    )
    call = await served(serve, connect, prefix, stranger)
    for key in ("tag", "tag!tagged"):
        (row,) = await call("customers.select", include={f"x:{key}": {}})
        assert row["x"] == [{"id": 7}]


@pytest.mark.parametrize("name", ["data->>a", "total::text"])
async def test_a_relation_takes_no_path_and_no_cast(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str, name: str
) -> None:
    await trapped(
        database,
        stranger,
        f'create view early."{name}" as select id, early.trap() as eq from public.customers',
        f'grant select on early."{name}" to public',
    )
    call = await served(serve, connect, prefix, stranger)
    expected = {"data->>a": "7", "total::text": "5"}[name]
    assert await call("orders.count", where={name: {"eq": expected}}) == 1


async def test_a_view_has_the_names_that_nothing_else_has(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    await trapped(
        database,
        stranger,
        "create view early.recent as select id, customer_id from public.orders where id > 1",
        "create view early.orders as select id, customer_id from public.orders where id > 1",
        "grant select on early.recent, early.orders to public",
    )
    database.execute(
        f"grant select on orders to {stranger}",
    )
    call = await served(serve, connect, prefix, stranger)
    for key in ("recent", "early.orders", "customer_id!recent", "orders_customer_id_fkey!recent"):
        (row,) = await call("customers.select", include={f"x:{key}": {"columns": ["id"]}})
        assert row["x"] == [{"id": 2}]


async def test_of_two_strangers_none_takes_a_name_of_the_other(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    other = f"{stranger}_other"
    database.execute(
        f"create role {other}; grant create, usage on schema public, early to {other}",
        f"grant select on orders to {other}",
        f"set role {other}; create view public.fresh as select id, customer_id as buyer "
        "from public.orders; grant select on public.fresh to public",
    )
    try:
        await trapped(
            database,
            stranger,
            f"create view early.buyer {BAIT}",
            f"create view early.fresh {BAIT}",
            "grant select on early.buyer, early.fresh to public",
        )
        call = await served(serve, connect, prefix, stranger)
        for key in ("buyer", "fresh"):
            with pytest.raises(CallError, match="more than one relationship fits"):
                await call("customers.select", include={key: {}})
        (row,) = await call("customers.select", include={"x:public.fresh": {"columns": ["id"]}})
        assert sorted(order["id"] for order in row["x"]) == [1, 2]
    finally:
        database.execute(f"drop owned by {other} cascade", f"drop role {other}")


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


async def test_the_owner_of_a_table_behind_a_key_takes_no_name_from_behind_a_junction(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    third = f"{stranger}_caller"
    database.execute(
        f"alter table customers owner to {third}",
        "create table early.tags (id int primary key, name text)",
        "insert into early.tags values (1, 'forged')",
        "create table line (id int primary key, tag int references early.tags)",
        "create table line_customer (line int references line, customer int references customers, "
        "primary key (line, customer))",
        "insert into line values (1, 1)",
        "insert into line_customer values (1, 1)",
        f"alter table early.tags owner to {stranger}",
        f"grant select on line, line_customer, early.tags to {third}",
        f"set role {stranger}; alter table early.tags rename to customers",
    )
    call = await served(serve, connect, prefix, stranger)
    with pytest.raises(CallError, match="customers!line_customer"):
        await call("line.select", include={"customers": {}})
    with pytest.raises(CallError, match="customers!tag"):
        await call("line.select", where={"customers": {"name": "Ada"}})
    for key in ("public.customers", "customers!line_customer"):
        (row,) = await call("line.select", include={f"found:{key}": {}})
        assert row["found"] == [{"id": 1, "name": "Ada"}]


async def test_a_junction_takes_no_hint_by_the_column_that_a_key_refers_to(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    third = f"{stranger}_caller"
    database.execute(
        "create table invoice (no int primary key, ordered int references orders)",
        "insert into invoice values (10, 1), (20, 2)",
        f"alter table invoice owner to {third}",
        f"grant references on orders, invoice to {stranger}",
        f"set role {stranger}; create table forged (o int references orders, "
        "id int references invoice, primary key (o, id)); insert into forged values (1, 20); "
        f"grant select on forged to {third}",
    )
    call = await served(serve, connect, prefix, stranger)
    with pytest.raises(CallError, match="invoice!ordered"):
        await call("orders.select", include={"invoice!id": {}})
    (row,) = await call("orders.select", where={"id": 1}, include={"invoice!ordered": {}})
    assert row["invoice"] == [{"no": 10, "ordered": 1}]


async def test_the_owner_of_a_table_behind_a_key_takes_no_hint(
    database: Database, serve: Serve, connect: Connect, prefix: str, stranger: str
) -> None:
    database.execute(
        "create table badge (id int primary key, name text)",
        "create table staff (id int primary key, boss int references staff, "
        "staff int references badge)",
        "insert into badge values (7, 'forged')",
        "insert into staff values (1, null, 7), (2, 1, null)",
        f"alter table badge owner to {stranger}",
        f"grant select on staff, badge to {stranger}_caller",
        f"set role {stranger}; alter table badge rename to boss",
    )
    call = await served(serve, connect, prefix, stranger)
    (row,) = await call(
        "staff.select", where={"id": 1}, include={"staff!boss": {"columns": ["id"]}}
    )
    assert row["staff"] == [{"id": 2}]
