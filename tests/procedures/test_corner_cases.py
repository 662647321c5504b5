"""Names, privileges and types at the edges of what PostgreSQL allows."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.conftest import Database
from tests.procedures.conftest import Start
from tests.servers import CALLS

INVALID = "wamp.error.invalid_argument"


async def test_columns_called_like_our_aliases_are_only_columns(api: Start) -> None:
    names = ["t1", "t2", "t3", "r1", "r2", "r3", "r4", "w1", "v"]
    columns = ", ".join(f"{name} int default 7" for name in names)
    call = await api(
        f"create table probe (id int primary key, {columns})",
        f"create table reading (id int primary key, probe_id int references probe, {columns})",
        "create table orders (id int primary key, orders int)",
        "create function twice(reading) returns int language sql stable as 'select $1.id * 2'",
        "create function half(orders) returns int language sql stable as 'select $1.orders / 2'",
        "insert into probe (id) values (1)",
        "insert into reading (id, probe_id) values (5, 1)",
        "insert into orders values (1, 6)",
    )
    include = {"reading": {"columns": ["id", "twice"]}}
    rows = await call("probe.select", {"reading": {"twice": 10}}, ["id"], include=include)
    assert rows == [{"id": 1, "reading": [{"id": 5, "twice": 10}]}]
    (row,) = await call("reading.update", {"v": 1}, {"id": 5}, ["twice"],
                        include={"probe": {"columns": ["t1"]}})  # fmt: skip
    assert row == {"twice": 10, "probe": {"t1": 7}}
    assert await call("orders.update", {"orders": 9}, {"half": 3}, ["half"]) == [{"half": 4}]
    assert await call("orders.delete", {"half": 4}, False) == 1


async def test_what_is_excluded_is_no_way_to_anything(api: Start) -> None:
    call = await api(
        "create table emp (id int primary key, salary int)",
        "create table place (id int primary key)",
        "create table secret_link (emp_id int references emp, place_id int references place, "
        "primary key (emp_id, place_id))",
        "create table ok_link (emp_id int references emp, place_id int references place, "
        "primary key (emp_id, place_id))",
        "create function secret_salary(emp) returns int language sql stable as 'select $1.salary'",
        "create function secret_rows(emp) returns setof place language sql stable as "
        "'select * from place'",
        "insert into emp values (1, 100)",
        expose={"exclude": ["secret_*"]},
    )
    error = await call.fails(INVALID, "emp.select", {}, ["secret_salary"])
    assert "secret_" not in error.message.partition("in emp")[2]
    await call.fails(INVALID, "emp.select", {"secret_salary": 100})
    await call.fails(INVALID, "emp.select", include={"secret_rows": {}})
    assert await call("emp.select", {}, ["id"], include={"place": {}}) == [{"id": 1, "place": []}]


async def test_rows_without_columns_are_written_and_answered(api: Start) -> None:
    call = await api(
        "create table bare ()",
        "create table hidden (a int default 1, b int)",
        expose={"exclude": ["public.hidden.*"]},
    )
    for table in ("bare", "hidden"):
        assert await call(f"{table}.insert", {}) == [{}]
        assert await call(f"{table}.insert", [{}], returning=False) == 1
        assert await call(f"{table}.select") == [{}, {}]
    assert await call("hidden.insert", [{}, {}]) == [{}, {}]
    assert await call("hidden.insert", [{}, {}], returning=False) == 2
    assert await call("hidden.count") == 6
    # One at a time alone.
    for returning in (True, False):
        error = await call.fails(INVALID, "bare.insert", [{}, {}], returning=returning)
        assert error.message == "rows: bare has no columns; give one row, {}"
    assert await call("bare.delete", "all") == [{}, {}]


async def test_a_composite_is_a_computed_column_too(api: Start) -> None:
    call = await api(
        "create type pair as (n int, t text)",
        "create table it (id int primary key, name text)",
        "create function facts(it) returns pair language sql stable as "
        "'select row($1.id, $1.name)::pair'",
        "insert into it values (1, 'x')",
    )
    assert await call("it.select", {"facts->t": "x"}, ["facts", "n:facts->n"]) == [
        {"facts": {"n": 1, "t": "x"}, "n": 1}
    ]
    error = await call.fails(INVALID, "it.select", order=["nope"])
    assert "allowed: id, name, facts (" in error.message


async def test_names_of_the_full_length_are_written_by_every_way(api: Start) -> None:
    name = "n" * 63
    call = await api(
        f"create table it (id int primary key, {name} text)",
        "create table part (id int primary key, it_id int references it)",
    )
    row = {"id": 1, name: "x"}
    assert await call("it.insert", row, order=["id"], include={"part": {}}) == [{**row, "part": []}]
    assert await call("it.upsert", [row, {"id": 2}], missing="default", order=[f"{name}.desc"],
                      returning=[name]) == [{name: None}, {name: "x"}]  # fmt: skip


async def test_names_of_60_bytes_are_spread(api: Start) -> None:
    long = "n" * 60
    call = await api(
        f"create table parent (id int primary key, {long} text)",
        f"create table child (id int primary key, {long} int references parent)",
        "insert into parent values (1, 'x')",
        "insert into child values (2, 1)",
    )
    for key in (long, f"{long}:parent"):
        include = {key: {"columns": [long], "spread": True}}
        assert await call("child.select", columns=["id"], include=include) == [{"id": 2, long: "x"}]


async def test_the_bounds_of_a_range_are_no_text_of_a_caller(api: Start) -> None:
    call = await api("create table rented (id int primary key, span int4range)")
    for number, bounds in enumerate(("[]", "(]", "()", "[)")):
        row = {"id": number, "span": {"lower": 1, "upper": 5, "bounds": bounds}}
        assert len(await call("rented.insert", row)) == 1
    spans = [row["span"]["lower"] for row in await call("rented.select", order=["id"])]
    assert spans == ["1", "2", "2", "1"]
    for wrong in ("x(", "[)]", "[)')--", 5, None, ["[", ")"]):
        row = {"id": 9, "span": {"lower": 1, "upper": 5, "bounds": wrong}}
        error = await call.fails(INVALID, "rented.insert", row)
        assert error.message.startswith('rows.span.bounds: expected "[)", "[]"')


async def test_colons_in_a_key_of_json_are_no_cast(api: Start) -> None:
    call = await api(
        "create table kept (id int primary key, data jsonb)",
        """insert into kept values (1, '{"a::b": 7}'), (2, '{"a": 7}')""",
    )
    assert await call("kept.select", {'data->>"a::b"::integer': 7}, ["id"]) == [{"id": 1}]
    assert await call("kept.get", 1, ['n:data->"a::b"']) == {"n": 7}


async def test_a_name_has_no_casts_without_end(api: Start) -> None:
    call = await api("create table plain (id int primary key)")
    name = "id" + "::text" * 1500
    for arguments in ({"columns": [name]}, {"where": {name: 1}}, {"order": [name]}):
        error = await call.fails(INVALID, "plain.select", **arguments)
        assert "a name of more than 1000 bytes (limits.max_name)" in error.message
        assert len(error.message) < 500


async def test_a_role_needs_no_more_columns_than_it_asks_for(
    api: Start, database: Database
) -> None:
    role = f"r_{uuid.uuid4().hex[:8]}"
    call = await api(
        f"create role {role} role {CALLS}",
        f"grant usage on schema public to {role}",
        "create table parent (id int primary key)",
        "create table doc (id int primary key generated always as identity, secret text, "
        "body text, parent_id int references parent)",
        f"grant select (id, body, parent_id), insert (body), update (body) on doc to {role}",
        f"grant select on parent to {role}",
        access={"roles": {"anonymous": role}},
    )
    try:
        (row,) = await call("doc.insert", {"body": "o"}, ["id"], order="id")
        found = await call("doc.update", {"body": "z"}, {"id": row["id"]}, ["body"],
                           include={"parent": {}}, order=["id"])  # fmt: skip
        assert found == [{"body": "z", "parent": None}]
        assert await call("doc.update", {"body": "y"}, {"id": row["id"]}, False) == 1
        await call.fails("wamp.error.not_authorized", "doc.insert", {"body": "o"}, order="id")
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_rows_are_updated_by_a_key_that_is_generated_always(api: Start) -> None:
    call = await api(
        "create table ident (id int primary key generated always as identity, v text)",
        "insert into ident (v) values ('a'), ('b')",
        expose={"bigint": "string"},
    )
    rows = [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}]
    assert await call("ident.update", rows=rows, order=["id"]) == rows
    assert await call("ident.update", {"v": "z"}, "all", False) == 2
    error = await call.fails(INVALID, "ident.update", rows=[{"id": 1, "v": "x"}, {"id": 2}])
    assert "missing" not in error.message


async def test_a_json_argument_is_json(api: Start, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text(
        "-- name: lengths(doc)$\nselect json_array_length(:doc);\n"
        "-- name: swap(first, second)^\nselect :second::int as s, :first::int as f;\n"
        "-- name: shapes\nselect int4range(1, 5) as span, row(1, 'x')::pair as both, "
        "array[int4range(1, 2)] as spans;\n"
    )
    call = await api(
        "create type pair as (n int, t text)",
        "create function jf(doc json) returns text language sql immutable as "
        "'select json_typeof(doc)'",
        "create function poly(anyelement) returns anyelement language sql immutable as 'select $1'",
        expose={"queries": str(tmp_path)},
    )
    assert await call("jf", {"doc": {"a": 1}}) == "object"
    assert await call("lengths", [1, 2, 3]) == 3
    assert await call("swap", 10, 20) == {"s": 20, "f": 10}
    span = {"lower": "1", "upper": "5", "bounds": "[)"}
    assert await call("shapes") == [
        {"span": span, "both": {"n": 1, "t": "x"}, "spans": [{**span, "upper": "2"}]}
    ]
    await call.fails("wamp.error.no_such_procedure", "poly", 1)


async def test_csv_says_no_more_than_rows(api: Start) -> None:
    call = await api("create table t (id int primary key)")
    for name in ("after", "count"):
        error = await call.fails(INVALID, "t.select", format="csv", **{name: "exact"})
        assert error.details["argument"] == name


async def test_a_uri_that_is_none_does_not_end_the_session(api: Start) -> None:
    call = await api("create table t (id int primary key)")
    await call.fails("wamp.error.invalid_uri", "t 1.select")
    assert await call("t.select") == []
