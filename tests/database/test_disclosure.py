"""Errors of callers who have roles: privilege first, then names that they may see."""

from __future__ import annotations

import base64
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pgwamp.database.pools import OWN_CONNECTIONS
from pgwamp.errors import CallError
from pgwamp.procedures import disclosure
from pgwamp.query.keyset import encode_key
from tests.database import wrong_calls
from tests.database.conftest import Calls, Expose

DENIED, INVALID = "wamp.error.not_authorized", "wamp.error.invalid_argument"
SCHEMA = (
    "create type mood as enum ('gloomy', 'merry')",
    "create type home as (hidden_street text)",
    "create table vault (vault_id int primary key, code text unique, mood mood, home home)",
    "create table item (item_id int primary key, label text, price int, mood mood, "
    "vault_id int references vault, unique (label), unique (price))",
    "create table note (note_id int primary key, item_id int references item)",
    "create function margin(item) returns int language sql as 'select $1.price'",
    "create function pick(low int) returns setof vault language sql security definer "
    "as 'select * from vault'",
    "create function pick(high text) returns int language sql as 'select 1'",
    "create function lone(secret_argument int) returns int language sql as 'select 1'",
    "revoke execute on all functions in schema public from public",
)


@pytest.fixture
async def call(expose: Expose, roles: list[str]) -> Calls:
    """One who may read some columns of items, and one who may do nothing."""
    anna, ben = roles
    return await expose(
        *SCHEMA,
        f"grant select (item_id, label), insert (vault_id) on item to {anna}",
        f"grant execute on function pick(int) to {anna}",
        access={"roles": {"anonymous": anna, "nobody": ben}},
    )


#: A wrong call that names something of the vault, or of a function.
WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("vault.select", (), {"where": {"nope": 1}}),
    ("vault.select", (), {"where": {"mood": "nope"}}),
    ("vault.select", (), {"where": {"home->nope": 1}}),
    ("vault.select", (), {"where": {"vault_id": "nope"}}),
    ("vault.select", (), {"columns": ["nope"]}),
    ("vault.select", (), {"columns": ["mood->nope"]}),
    ("vault.select", (), {"order": ["nope"]}),
    ("vault.select", (), {"include": {"nope": {}}}),
    ("vault.get", ({},), {}),
    ("vault.count", (), {"where": {"nope": 1}}),
    ("vault.insert", ({"nope": 1},), {}),
    ("vault.insert", ({"mood": "nope"},), {}),
    ("vault.insert", ([{"nope": 1}, {}],), {"missing": "null"}),
    ("vault.insert", (), {"csv": "nope\n1\n"}),
    ("vault.update", ({"home": {"nope": 1}}, "all"), {}),
    ("vault.update", (), {"rows": [{"code": ""}]}),
    ("vault.upsert", ({"vault_id": 1},), {"conflict": ["nope"]}),
    ("vault.delete", ({"nope": 1},), {}),
    ("item.select", (), {"include": {"vault": {"columns": ["nope"]}}}),
    ("item.select", (), {"include": {"vault": {"where": {"mood": "nope"}}}}),
    ("item.select", (), {"where": {"vault": {"nope": 1}}}),
    ("item.select", (), {"order": ["vault(nope)"]}),
    ("item.select", (), {"columns": ["price", "count()"], "include": {"vault": {}}}),
    ("item.select", (), {"columns": ["price", "count()"], "order": ["vault(vault_id)"]}),
    ("vault.select", (), {"include": {"item": {"spread": True}}}),
    ("vault.select", (), {"order": ["item(price)"]}),
    ("lone", ("nope",), {}),
    ("lone", (), {"nope": 1}),
]
HIDDEN = ("code", "gloomy", "hidden_street", "secret_argument", "vault_id", "item_vault_id_fkey")


@pytest.mark.parametrize(("name", "args", "kwargs"), WRONG)
async def test_a_caller_without_privileges_is_refused_before_names_are_told(
    call: Calls, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    error = await call.fails(DENIED, name, *args, by="anonymous", **kwargs)
    assert "permission denied for" in error.message
    assert error.details["sqlstate"] == "42501"
    assert not [word for word in HIDDEN if word in f"{error.message} {error.details}"]


@pytest.mark.parametrize("columns", ["", " (id)"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"include": {"line!maker_id": {"columns": ["id"], "spread": True}}},
        {"order": ["line!maker_id(id)"]},
        {"columns": ["name", "count()"], "include": {"line!maker_id": {}}},
        {"columns": ["name", "count()"], "order": ["badge(id)"]},
    ],
)
async def test_an_error_does_not_tell_whether_a_hidden_column_is_unique(
    expose: Expose, roles: list[str], kwargs: dict[str, Any], columns: str
) -> None:
    anna, ben = roles
    call = await expose(
        "create table maker (id int primary key, name text)",
        "create table line (id int primary key, maker_id int references maker)",
        "create table badge (id int primary key, owner_id int unique references maker)",
        f"grant select on maker to {anna}",
        # The key of the rows does not tell of their other columns.
        *(f"grant select{columns} on {t} to {anna}" for t in ("line", "badge") if columns),
        f"grant select on maker, line, badge to {ben}",
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    error = await call.fails(DENIED, "maker.select", **kwargs)
    assert "permission denied for" in error.message
    await call.fails(INVALID, "maker.select", by="reader", **kwargs)


async def exposed(expose: Expose, roles: list[str], *grants: str) -> Calls:
    """Expose the tables of the wrong calls to a role with these grants, and to one with all."""
    anna, ben = roles
    return await expose(
        *wrong_calls.SCHEMA,
        *(grant.format(role=anna) for grant in grants),
        *(grant.format(role=ben) for grant in wrong_calls.ALL_GRANTS),
        access={"roles": {"anonymous": anna, "reader": ben}},
    )


def words(text: object) -> set[str]:
    """The names that are not to be told."""
    return set(re.findall(r"secret\w*", str(text)))


@pytest.mark.parametrize("kind", wrong_calls.KINDS)
async def test_no_error_tells_of_columns_types_and_routines_that_the_role_may_not_use(
    expose: Expose, roles: list[str], kind: str
) -> None:
    call = await exposed(expose, roles, *wrong_calls.GRANTS)

    async def told(wrong: wrong_calls.Wrong, by: str) -> set[str]:
        with pytest.raises(CallError) as caught:
            await call(wrong.name, *wrong.args, by=by, **wrong.kwargs)
        assert caught.value.uri != "pgwamp.error.internal"
        return words((caught.value.args, caught.value.message, caught.value.details)) - words(wrong)

    for wrong in wrong_calls.KINDS[kind]():
        assert not await told(wrong, "anonymous"), wrong
        # What there is to hide, a role that has the rights is told.
        if wrong.telling:
            assert await told(wrong, "reader"), wrong


async def test_a_forged_cursor_tells_no_labels_of_a_column_that_the_role_may_not_read(
    expose: Expose, roles: list[str]
) -> None:
    call = await exposed(expose, roles, "grant select (id) on holder to {role}")
    request: dict[str, Any] = {"columns": ["id"], "order": ["m"], "limit": 1}
    page = await call("holder.select", **request, after=None, by="reader")
    order, _, key = json.loads(base64.urlsafe_b64decode(page.kwargs["next"] + "=="))
    request["after"] = encode_key(order, ["zz", key])
    error = await call.fails(INVALID, "holder.select", **request, by="reader")
    assert "secret_gloomy" in error.message
    error = await call.fails(DENIED, "holder.select", **request)
    assert error.message == "permission denied for table holder"


async def test_an_error_of_postgresql_about_columns_that_the_role_may_use_is_told_as_it_is(
    expose: Expose, roles: list[str]
) -> None:
    grants = (
        "grant select (ms, row_of), insert (d) on holder to {role}",
        "grant select (id) on item to {role}",
        "grant execute on function beside to {role}",
    )
    call = await exposed(expose, roles, *grants)
    unreadable = "pgwamp.error.invalid_text_representation"
    error = await call.fails(unreadable, "holder.count", {"ms": "{zz}"})
    assert "secret_mood" in error.message
    error = await call.fails(
        "pgwamp.error.check_violation", "holder.insert", {"d": 1}, returning=False
    )
    assert "secret_check" in error.message
    # A function shows the rows that it answers.
    request = {"columns": ["id"], "include": {"beside": {"columns": ["m::integer"]}}}
    error = await call.fails("pgwamp.error.cannot_coerce", "item.select", **request)
    assert "secret_mood" in error.message
    request["include"] = {"beside": {"columns": ["m->zz"]}}
    assert "secret_gloomy" in (await call.fails(INVALID, "item.select", **request)).message
    # The types of a row's fields are those of its table, which is hidden.
    error = await call.fails(INVALID, "holder.select", columns=["row_of->m->zz"])
    assert error.message == "columns[0]: does not fit its type"


#: How the author of a domain refuses a value, and the error of a caller who may give it.
AUTHORS = {
    "": "raise_exception",
    "using errcode = 'AB123'": "sqlstate_ab123",
    "using errcode = 'serialization_failure'": "serialization_failure",
    "using errcode = 'insufficient_privilege'": "",
    "using errcode = 'query_canceled'": "wamp.error.timeout",
    "using errcode = 'disk_full'": "disk_full",
    "using errcode = 'PW001', datatype = 'com.example.secret_hue'": "com.example.secret_hue",
}


@pytest.mark.parametrize("using", AUTHORS)
async def test_what_the_author_of_a_domain_raises_is_told_to_who_may_use_the_column(
    expose: Expose, roles: list[str], using: str
) -> None:
    """PostgreSQL runs an IMMUTABLE function as it plans, before it asks for privileges."""
    anna, ben = roles
    call = await expose(
        "create domain color as int",
        *(
            f"create function color_of({kind}) returns color language plpgsql immutable as "
            f"$$begin raise exception 'secret_color' {using}; end$$"
            for kind in ("text", "json")
        ),
        "create cast (text as color) with function color_of(text)",
        "create cast (json as color) with function color_of(json)",
        "create table item (id int primary key, pub text, secret color)",
        f"grant select (id, pub), insert (id, pub), update (pub) on item to {anna}",
        f"grant all on item to {ben}",
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    cases: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("select", ({"secret": "x"},), {"columns": ["id"]}),
        ("insert", ([{"id": 2, "secret": "x"}],), {"returning": False}),
        ("update", ({"secret": "x"}, {"id": 1}), {"returning": False}),
        ("update", (), {"rows": [{"id": 1, "secret": "x"}], "returning": False}),
    ]
    condition = AUTHORS[using]
    uri = condition if "." in condition else f"pgwamp.error.{condition}" if condition else DENIED
    for verb, args, kwargs in cases:
        error = await call.fails(DENIED, f"item.{verb}", *args, **kwargs)
        assert error.message == "permission denied for table item"
        assert "secret" not in str(error.details)
        error = await call.fails(uri, f"item.{verb}", *args, by="reader", **kwargs)
        assert "secret_color" in error.message


BUSY = (
    "create domain color as int",
    "create function color_of(text) returns color language plpgsql immutable as "
    "$$begin raise exception 'secret_color' {using}; end$$",
    "create cast (text as color) with function color_of(text)",
    "create function told() returns trigger language plpgsql as "
    "$$begin raise exception 'no update of %', new.id; end$$",
    "create table item (id int primary key, pub text, secret color)",
    "create trigger told before update on item for each row execute function told()",
    "insert into item values (1, 'a')",
    "grant select (id, pub), insert (id, pub), update (pub) on item to {anna}",
    "grant all on item to {ben}",
)


async def test_errors_of_postgresql_wait_for_no_calls_of_others(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        *(statement.format(using="", anna=anna, ben=ben) for statement in BUSY),
        access={"roles": {"anonymous": anna, "reader": ben}},
        database={"acquire_timeout": 2},
    )
    insert, update = ({"id": 1, "pub": "b"},), ({"pub": "b"}, {"id": 1})
    # It has the one connection for reads.
    async with call.database.own_as(call.caller("x", "reader")):
        for by in ("anonymous", "reader"):
            error = await call.fails(
                "pgwamp.error.unique_violation", "item.insert", *insert, by=by, returning=False
            )
            assert error.details["constraint"] == "item_pkey"
            error = await call.fails(
                "pgwamp.error.raise_exception", "item.update", *update, by=by, returning=False
            )
            assert error.message == "no update of 1"
        error = await call.fails(DENIED, "item.insert", {"id": 2, "secret": "x"}, returning=False)
        assert error.message == "permission denied for table item"
        error = await call.fails(DENIED, "item.insert", {"id": 2})
        assert "the role may not read every column" in error.message


@pytest.mark.parametrize("using", AUTHORS)
async def test_an_error_has_no_words_where_nobody_can_be_asked_who_may_read_them(
    expose: Expose, roles: list[str], monkeypatch: pytest.MonkeyPatch, using: str
) -> None:
    anna, ben = roles
    call = await expose(
        *(statement.format(using=using, anna=anna, ben=ben) for statement in BUSY),
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    monkeypatch.setattr(disclosure, "_PATIENCE", 0.05)
    condition = AUTHORS[using]
    if condition.startswith("com."):
        condition = "raise_exception"
    uri = condition if "." in condition else f"pgwamp.error.{condition}" if condition else DENIED
    async with AsyncExitStack() as stack:
        for _ in range(OWN_CONNECTIONS):
            await stack.enter_async_context(call.database.own())
        for by in ("anonymous", "reader"):
            error = await call.fails(uri, "item.count", {"secret": "x"}, by=by)
            assert "your privileges could not be asked for" in error.message
            assert "secret" not in f"{error.args} {error.message} {error.details}"
            error = await call.fails(
                "pgwamp.error.unique_violation", "item.insert", {"id": 1}, by=by, returning=False
            )
            assert "item" not in f"{error.args} {error.message} {error.details}"
        error = await call.fails(DENIED, "item.insert", {"id": 2})
        assert error.message == "permission denied for table item"


async def test_what_access_before_raises_comes_as_it_is(expose: Expose, roles: list[str]) -> None:
    call = await expose(
        *SCHEMA,
        "create function checked() returns void language plpgsql as "
        "$$ begin raise 'not you, %', current_setting('wamp.authid'); end $$",
        "grant execute on function checked to public",
        f"grant insert on item to {roles[0]}",
        access={"before": "checked", "roles": {"anonymous": roles[0]}},
    )
    for name, args, kwargs in (
        ("item.insert", ({"item_id": 1},), {"returning": False}),
        ("item.select", (), {"include": "vault"}),
        ("vault.select", (), {}),
        ("item.select", (), {"where": {"nope": 1}}),
    ):
        error = await call.fails("pgwamp.error.raise_exception", name, *args, **kwargs)
        assert error.message.startswith("not you")


async def test_an_error_of_postgresql_inside_a_batch_or_a_stream_tells_no_more(
    expose: Expose, roles: list[str]
) -> None:
    call = await exposed(expose, roles, *wrong_calls.GRANTS)
    request = {"columns": ["id"], "where": {"ms": "{zz}"}}
    error = await call.fails(DENIED, "batch", [{"procedure": "holder.select", "kwargs": request}])
    assert error.message == "batch[0]: permission denied for table holder"

    async def sink(_: Any) -> None:
        raise AssertionError("nothing is sent")

    related = {"columns": ["id"], "include": {"holder": request}}
    for name, kwargs in (
        ("holder.select", request),
        ("items", related),
        ("items", {**related, "format": "csv"}),
    ):
        with pytest.raises(CallError) as caught:
            await anext(call.streamed(name, sink, **kwargs))
        assert caught.value.uri == DENIED, caught.value


async def test_the_names_of_an_error_are_those_that_the_role_may_see(call: Calls) -> None:
    async def told(name: str, /, *args: Any, **kwargs: Any) -> str:
        return (await call.fails(INVALID, name, *args, **kwargs)).message

    columns = await told("item.select", columns=["zzz"])
    assert columns.endswith("; allowed: item_id, label, vault_id")
    assert "margin" not in await told("item.select", where={"margn": 1})
    assert "price" not in await told("item.select", order=["pric"])
    assert 'did you mean "label"' in await told("item.select", order=["labl"])
    assert "price" not in await told("item.insert", {"pric": 1})
    relations = await told("item.select", include={"zzz": {}})
    assert "vault" not in relations
    assert "note" not in relations
    unique = await told("item.upsert", {"item_id": 1}, conflict=["zzz"])
    assert unique.endswith("(unique are: item_id; label)")
    overloads = await told("pick", [], 1)
    assert "pick(low integer)" in overloads
    assert "high" not in overloads


async def test_a_role_that_may_read_some_columns_is_told_to_name_them(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        *SCHEMA,
        "insert into vault (vault_id) values (1)",
        "insert into item (item_id, label, vault_id) values (1, 'a', 1)",
        f"grant select (item_id, label, vault_id), insert, update, delete on item to {anna}",
        f"grant select (vault_id) on vault to {anna}",
        access={"roles": {"anonymous": anna, "nobody": ben}},
    )

    async def sink(_: Any) -> None:
        raise AssertionError("nothing is sent")

    told = "permission denied for table {}: the role may not read every column; " + (
        "name the columns that it may read in "
    )
    part: dict[str, Any] = {"columns": ["label"]}
    cases: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str]] = [
        ("item.select", (), {}, "item", "columns"),
        ("item.select", (), {"format": "csv"}, "item", "columns"),
        ("item.get", (1,), {}, "item", "columns"),
        ("item.insert", ({"item_id": 2},), {}, "item", "returning"),
        ("item.insert", ({"item_id": 2},), {"returning": True}, "item", "returning"),
        ("item.update", ({"label": "b"}, {"item_id": 1}), {}, "item", "returning"),
        ("item.upsert", ({"item_id": 1, "label": "b"},), {}, "item", "returning"),
        ("item.delete", ({"item_id": 1},), {}, "item", "returning"),
        ("item.select", (), {**part, "include": "vault"}, "vault", "include.vault.columns"),
        ("item.select", (), {**part, "include": ["vault"]}, "vault", "include.vault.columns"),
        (
            "vault.select",
            (),
            {
                "columns": ["vault_id"],
                "include": {"item": {**part, "include": {"v:vault": {}}}},
            },
            "vault",
            "include.item.include.v:vault.columns",
        ),
    ]
    for name, args, kwargs, table, argument in cases:
        error = await call.fails(DENIED, name, *args, **kwargs)
        assert error.message.startswith(told.format(table) + argument), (name, kwargs)
        assert error.details["argument"] == argument
        assert error.details["sqlstate"] == "42501"
        assert not [word for word in ("price", "mood", "code") if word in error.message]
    with pytest.raises(CallError, match="name the columns that it may read in columns"):
        await anext(call.streamed("item.select", sink))
    assert await call("item.select", **part) == [{"label": "a"}]
    assert await call("item.delete", {"item_id": 1}, returning=False) == 1


async def test_a_refusal_that_has_another_cause_is_told_as_it_is(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        *SCHEMA,
        "create policy none on item for insert with check (false)",
        "create policy every on item for select using (true)",
        "alter table item enable row level security",
        f"grant select (item_id, label), insert on item to {anna}",
        f"grant select on item to {ben}",
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    for name, args, kwargs in (
        ("item.select", (), {"columns": ["price"]}),
        ("item.count", ({"price": 1},), {}),
        ("item.delete", ({"item_id": 1},), {"returning": False}),
    ):
        error = await call.fails(DENIED, name, *args, **kwargs)
        assert error.message == "permission denied for table item"
    error = await call.fails(DENIED, "item.insert", {"item_id": 1}, by="reader")
    assert error.message == "permission denied for table item"
    error = await call.fails(DENIED, "item.insert", {"item_id": 1}, returning=["label"])
    assert "row-level security policy" in error.message
    error = await call.fails(DENIED, "vault.select")
    assert error.message == "permission denied for table vault"


async def test_an_upsert_by_a_computed_key_names_the_other_keys_that_the_role_may_see(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        "create table ticket (id int generated always as identity primary key, code text unique)",
        f"grant select (id), insert (code) on ticket to {anna}",
        f"grant select (id) on ticket to {ben}",
        access={"roles": {"anonymous": anna, "reader": ben}},
    )
    problem = 'conflict: rows cannot give "id", which the server computes: '
    for row in ({"id": 1, "code": "a"}, {"code": "a"}):
        error = await call.fails(INVALID, "ticket.upsert", row)
        assert error.message == f"{problem}name another unique key (code), or use update"
        error = await call.fails(INVALID, "ticket.upsert", row, by="reader")
        assert error.message == (
            f"{problem}use update for rows that are there, and insert for new ones"
        )


async def test_a_label_of_a_column_that_the_role_may_not_see_is_not_told(call: Calls) -> None:
    error = await call.fails(DENIED, "item.select", where={"mood": "nope"})
    assert error.message == "permission denied for table item"


async def test_who_may_execute_a_function_is_told_of_its_rows(call: Calls) -> None:
    error = await call.fails(INVALID, "pick", 1, where={"zzz": 1})
    assert error.message.endswith("allowed: vault_id, code, mood, home, and, or, not")
    await call.fails(DENIED, "pick", 1, where={"zzz": 1}, by="nobody")


async def test_a_function_named_as_a_table_tells_no_columns_of_the_table(
    expose: Expose, roles: list[str]
) -> None:
    call = await expose(
        *SCHEMA,
        "create function vault(low int) returns setof item language sql as 'select * from item'",
        "create function vault(high text) returns table (a int) language sql as 'select 1'",
        f"grant execute on function vault(int), vault(text) to {roles[0]}",
        access={"roles": {"anonymous": roles[0]}},
    )
    error = await call.fails(INVALID, "vault", "a", where={"zzz": 1})
    assert error.message.endswith("allowed: a, and, or, not")
    error = await call.fails(DENIED, "vault", 1, include={"vault": {"columns": ["zzz"]}})
    assert error.message == "permission denied for table vault"


async def test_an_error_inside_a_batch_tells_no_more(call: Calls) -> None:
    step = {"procedure": "vault.select", "kwargs": {"where": {"nope": 1}}}
    error = await call.fails(DENIED, "batch", [step])
    assert "code" not in error.message


async def test_progressive_results_tell_no_more(call: Calls) -> None:
    async def sink(_: Any) -> None:
        raise AssertionError("nothing is sent")

    for name, kwargs in (("vault.select", {"where": {"nope": 1}}), ("lone", {"nope": 1})):
        with pytest.raises(CallError) as caught:
            await anext(call.streamed(name, sink, **kwargs))
        assert caught.value.uri == DENIED, caught.value


QUERIES = """
-- name: things_of_mood(mood)
select vault_id from vault where mood = :mood::mood;
"""
PROCEDURES = """
from autobahn import wamp

@wamp.register("priced")
async def priced(label: str, price: int) -> int:
    return price
"""
#: A wrong call of each kind of procedure.
WRONG_FOR_STRANGERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("things_of_mood", ("x",), {}),
    ("things_of_mood", (), {}),
    ("priced", ("x",), {"hidden": 1}),
    ("vault.select", (), {"nope": 1}),
    ("vault.select", (), {"format": "nope"}),
    ("vault.get", (), {}),
    ("pick", (), {"format": "csv"}),
    ("lone", ("x", "y"), {}),
    ("batch", ([{"procedure": "hidden.select"}],), {}),
    ("batch", ([],), {}),
    ("describe", (), {"status": "x"}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), WRONG_FOR_STRANGERS)
async def test_a_caller_without_a_role_is_told_nothing_of_arguments(
    expose: Expose,
    roles: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "things.sql").write_text(QUERIES)
    module = f"procedures_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(PROCEDURES)
    monkeypatch.syspath_prepend(tmp_path)
    anna, _ = roles
    call = await expose(
        *SCHEMA,
        f"grant select on vault to {anna}",
        access={"roles": {"user": anna}},
        expose={"queries": tmp_path / "queries", "procedures": [module]},
    )
    for by, reason in ((None, "disclose.caller"), ("stranger", '"stranger" may not call')):
        error = await call.fails(DENIED, name, *args, by=by, **kwargs)
        assert reason in error.message
        assert error.details == {}


async def test_only_types_of_postgresql_are_suggested_for_a_cast(call: Calls) -> None:
    for name in ("moo", "public.moo", "homee"):
        error = await call.fails(INVALID, "item.select", columns=[f"item_id::{name}"])
        assert error.message.endswith("to cast to; write it as text, integer, numeric(10,2), ...")
    error = await call.fails(INVALID, "item.select", columns=["item_id::intger"])
    assert error.message.endswith('; did you mean "integer"?')


async def test_without_roles_an_error_tells_all_names(expose: Expose) -> None:
    call = await expose(*SCHEMA)
    error = await call.fails(INVALID, "vault.select", columns=["zzz"])
    assert error.message.endswith("; allowed: vault_id, code, mood, home")


async def test_describe_shows_the_columns_and_overloads_that_a_role_may_use(call: Calls) -> None:
    entries = {
        entry["uri"].removeprefix(f"{call.prefix}."): entry
        for entry in (await call("describe"))["procedures"]
    }
    selected = entries["item.select"]["result"]["items"]["properties"]
    assert list(selected) == ["item_id", "label"]
    assert list(entries["item.get"]["result"]["properties"]) == ["item_id", "label"]
    (rows,) = (a["schema"] for a in entries["item.insert"]["arguments"] if a["name"] == "rows")
    assert list(rows["oneOf"][0]["properties"]) == ["vault_id"]
    assert list(rows["oneOf"][1]["items"]["properties"]) == ["vault_id"]
    assert [a["name"] for (a, *_) in entries["pick"]["overloads"]] == ["low"]
    assert "item.update" not in entries
    shown = str(entries)
    assert "price" not in shown
    assert "gloomy" not in str(entries["item.select"])


async def test_describe_shows_nothing_of_an_overload_that_a_role_may_not_run(
    expose: Expose, roles: list[str]
) -> None:
    anna, ben = roles
    call = await expose(
        "create function f(a int) returns table (secret_column text) language sql volatile "
        "as $$ select 'x' $$",
        "comment on function f(int) is 'secret comment'",
        "create function f(b text) returns int language sql stable as 'select 1'",
        "comment on function f(text) is 'open comment'",
        "revoke execute on all functions in schema public from public",
        f"grant execute on function f(text) to {anna}",
        f"grant execute on function f(int), f(text) to {ben}",
        access={"roles": {"anonymous": anna, "user": ben}},
    )

    async def shown(by: str) -> Any:
        entries = (await call("describe", by=by))["procedures"]
        return next(entry for entry in entries if entry["uri"] == f"{call.prefix}.f")

    own = await shown("anonymous")
    assert "secret" not in str(own)
    assert own["description"] == "open comment"
    assert own["volatility"] == "stable"
    assert own["result"] == {"type": "integer"}
    assert [argument["name"] for (argument,) in own["overloads"]] == ["b"]
    both = await shown("user")
    assert both["description"] == "secret comment"
    assert len(both["overloads"]) == 2


async def test_describe_names_no_columns_of_rows_that_a_function_takes(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create table item (id int primary key, label text, secret text)",
        "create table vault (code text)",
        # To call a function of a row takes no privilege on its table.
        "create function shout(item) returns text language sql as 'select $1.label'",
        "create function all_of(item[]) returns int language sql as 'select 1'",
        "create function open(vault) returns item language sql security definer "
        "as 'select i from item i'",
        f"grant select (id), insert (label) on item to {anna}",
        access={"roles": {"anonymous": anna}},
    )
    entries = {
        entry["uri"].removeprefix(f"{call.prefix}."): entry
        for entry in (await call("describe"))["procedures"]
    }
    ((row,),) = entries["shout"]["overloads"]
    assert list(row["schema"]["properties"]) == ["id", "label"]
    ((rows,),) = entries["all_of"]["overloads"]
    assert list(rows["schema"]["items"]["properties"]) == ["id", "label"]
    ((row, *_),) = entries["open"]["overloads"]
    assert row["schema"]["properties"] == {}
    # A function is described with all that it answers.
    assert list(entries["open"]["result"]["properties"]) == ["id", "label", "secret"]
    for name, row_given in (("shout", {"nope": 1}), ("all_of", [{"nope": 1}])):
        error = await call.fails(INVALID, name, row_given)
        assert "secret" not in f"{error.message} {error.details}"


async def test_describe_names_no_column_in_a_topic_that_a_role_may_not_read(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    template = "com.example.item.{secret}.{id}.{op}"
    call = await expose(
        "create table item (id int primary key, secret text)",
        f"grant select (id) on item to {anna}",
        f"""select wamp.watch('item', '{{"topic": "{template}"}}')""",
        access={"roles": {"anonymous": anna}},
    )
    topics = {topic["op"]: topic["topic"] for topic in (await call("describe"))["topics"]}
    assert topics["update"] == "com.example.item.{}.{id}.updated"
    assert topics["truncate"] == f"{call.prefix}.item.truncated"
    # Nor letter by letter.
    for guess in ("{", "{s", "{t", "{secret}.{id}", "{}."):
        part = await call("describe", uri=f"com.example.item.{guess}")
        assert {topic["op"] for topic in part["topics"]} == {"insert", "update", "delete"}
    assert (await call("describe", uri="com.example.items"))["topics"] == []
    whole = call.exposure.description["topics"]
    assert "com.example.item.{secret}.{id}.updated" in [topic["topic"] for topic in whole]


async def test_describe_shows_no_labels_of_a_key_that_a_role_may_not_read(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create type mood as enum ('gloomy', 'merry')",
        "create table item (mood mood primary key, label text)",
        f"grant select (label) on item to {anna}",
        access={"roles": {"anonymous": anna}},
    )
    described = await call("describe")
    assert f"{call.prefix}.item.select" in [entry["uri"] for entry in described["procedures"]]
    assert "gloomy" not in str(described)


async def test_an_error_names_no_relationship_by_a_column_that_the_role_may_not_see(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create table cust (id int primary key)",
        "create table ord (id int primary key, buyer int references cust, "
        "payer int references cust, secret_cust int references cust)",
        "create table tag (id int primary key)",
        "create table secret_tags (cust int references cust, tag int references tag, "
        "primary key (cust, tag))",
        f"grant select on cust, tag to {anna}",
        f"grant select (id, buyer, payer) on ord to {anna}",
        access={"roles": {"anonymous": anna}},
    )

    async def told(name: str, key: str) -> str:
        return (await call.fails(INVALID, name, include={key: {}})).message.partition(";")[2]

    assert await told("cust.select", "ord") == " say which: ord!buyer, ord!payer"
    assert await told("cust.select", "ord!x") == " say which: ord!buyer, ord!payer"
    assert "secret" not in await told("ord.select", "cust")
    # By two of the three keys the other relation may be named, and through the junction it may not.
    assert await told("cust.select", "nope") == " allowed: ord"
    assert await told("tag.select", "nope") == " it has none"


async def test_a_caller_whom_access_before_refuses_is_told_no_names(expose: Expose) -> None:
    call = await expose(
        "create table item (id int primary key, salary int)",
        "create function pay(amount int) returns int language sql as 'select 1'",
        "create function checked() returns void language plpgsql as "
        "$$ begin raise 'not you' using errcode = '42501'; end $$",
        access={"before": "checked"},
    )
    for name, keywords in (
        ("item.select", {"where": {"nope": 1}}),
        ("item.select", {"order": ["salery"]}),
        ("item.insert", {"rows": {"nope": 1}}),
        ("pay", {"nope": 1}),
    ):
        error = await call.fails("wamp.error.not_authorized", name, **keywords)
        assert error.message == "not you"


async def test_a_role_is_told_of_no_way_by_what_it_may_not_see(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create table maker (id int primary key, name text)",
        "create table item (id int primary key, maker_id int references maker, secret_id int "
        "constraint secret_key references maker)",
        "create function shout(maker) returns text language sql stable as 'select $1.name'",
        "revoke execute on function shout from public",
        f"grant select (id, maker_id) on item to {anna}",
        f"grant select on maker to {anna}",
        access={"roles": {"anonymous": anna}},
    )
    entries = {e["uri"]: e for e in (await call("describe"))["procedures"]}
    related = entries[f"{call.prefix}.item.select"]["relationships"]
    assert set(related) == {"maker_id", "item_maker_id_fkey"}
    assert entries[f"{call.prefix}.maker.select"]["computed"] == {}
    assert "secret" not in str(entries)


@pytest.mark.parametrize(
    ("verb", "args", "kwargs"),
    [
        ("select", (), {"columns": ["l:label"], "order": ["l"], "where": {"marks": "{none}"}}),
        (
            "select",
            (),
            {"columns": ["label", "n:count()"], "order": ["n"], "where": {"marks": "{none}"}},
        ),
        ("update", ({"marks": "{none}"}, {"id": 1}), {"returning": ["l:label"], "order": ["l"]}),
    ],
)
async def test_a_label_in_the_order_hides_no_error(
    expose: Expose,
    roles: list[str],
    verb: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    anna, ben = roles
    call = await expose(
        "create type mark as enum ('gloomy')",
        "create table item (id int primary key, label text, marks mark[])",
        "insert into item values (1, 'one', null)",
        f"grant select (id, label, marks), update on item to {anna}",
        f"grant select (id, label) on item to {ben}",
        access={"roles": {"anonymous": anna, "nobody": ben}},
    )
    said = "pgwamp.error.invalid_text_representation"
    error = await call.fails(said, f"item.{verb}", *args, by="anonymous", **kwargs)
    assert '"none"' in error.message
    if verb == "select":
        error = await call.fails(DENIED, f"item.{verb}", *args, by="nobody", **kwargs)
        assert "mark" not in error.message


async def test_a_check_option_shows_no_column_that_is_not_exposed(
    expose: Expose, roles: list[str]
) -> None:
    anna, _ = roles
    call = await expose(
        "create table account (id int primary key, name text, balance int default 4711)",
        "create view mine as select * from account where name = 'me' with check option",
        f"grant all on account, mine to {anna}",
        access={"roles": {"anonymous": anna}},
        expose={"exclude": ["account.balance", "mine.balance"]},
    )
    said = "pgwamp.error.with_check_option_violation"
    for row in ({"id": 1, "name": "you"}, [{"id": 1, "name": "you"}, {"id": 2, "name": "me"}]):
        error = await call.fails(said, "mine.insert", row)
        assert "4711" not in f"{error.message} {error.details}"
