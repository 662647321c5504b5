"""SQL functions and procedures: which overload, which arguments, which answer."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.database.session_sql import COMMIT
from pgwamp.errors import CallError
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk


def call(name: str, *args: Any, gives: Any, **kwargs: Any) -> Case:
    return Case(name, kwargs, gives, args)


W1, W2, W3 = ({"num": n, "word": f"w{n}", "big": n * 10} for n in (1, 2, 3))
PEOPLE = [{"name": "Ada"}, {"name": "Bob"}, {"name": "Cyd"}, {"name": "Dan"}]
CASES = [
    # By position, by name, as one dict; defaults.
    call("add", 1, 2, gives=3),
    call("add", 1, gives=11),
    call("add", a=1, gives=11),
    call("add", 1, b=2, gives=3),
    call("add", b=1, a=2, gives=3),
    call("add", {"a": 1, "b": 4}, gives=5),
    call("add", {"a": 1}, b=4, gives=5),
    call("add", "1", 2.0, gives=3),
    call("add", None, 2, gives=None),
    # Overloads.
    call("pick", 1, gives="int"),
    call("pick", "x", gives="text"),
    call("pick", n=1, gives="int"),
    call("pick", word="1", gives="text"),
    call("pick", 1, 2, gives="two"),
    call("pick", n=1, m=2, gives="two"),
    call("vague", a=1, gives="int"),
    call("vague", b=1, gives="bigint"),
    call("vague", 2**40, gives="bigint"),
    # Variadic.
    call("total", "s", 1, 2, 3, gives="s6"),
    call("total", "s", [1, 2, 3], gives="s6"),
    call("total", "s", [], gives="s0"),
    call("total", "s", 5, gives="s5"),
    call("total", label="s", n=[4, 5], gives="s9"),
    call("total", "s", None, gives="s0"),
    # OUT, INOUT, TABLE, composites.
    call("outs", 4, gives={"double": 8, "half": "2.0000000000000000"}),
    call("outs", 4, columns=["double"], gives={"double": 8}),
    call("bump", 4, gives={"x": 5}),
    call("pair_of", 4, gives={"x": 5, "y": "y"}),
    call("rows_of", 2, gives=[W1, W2]),
    call("rows_of", 3, where={"num": {"gt": 1}}, gives=[W2, W3]),
    call("rows_of", 3, order=["num.desc"], limit=2, gives=[W3, W2]),
    call("rows_of", 3, order="big", offset=2, gives=[W3]),
    call("rows_of", 3, columns=["w:word", "num::text"], limit=1, gives=[{"w": "w1", "num": "1"}]),
    call("rows_of", 3, columns=["big.sum()", "count()"], gives=[{"sum": "60", "count": 3}]),
    call("rows_of", {"n": 1, "columns": ["num"]}, gives=[{"num": 1}]),
    call("rows_of", 0, gives=[]),
    Case("rows_of", {"n": 3, "limit": 1, "count": "exact"}, [W1], also={"count": 3}),
    Case("rows_of", {"n": 3, "limit": 1, "offset": 5, "count": True}, [], also={"count": 3}),
    Case("rows_of", {"n": 3, "where": {"num": {"gt": 5}}, "count": True}, [], also={"count": 0}),
    Case("rows_of", {"n": 9, "where": {"num": {"lt": 4}}, "order": ["num.desc"], "limit": 2,
                     "count": True}, [W3, W2], also={"count": 3}),
    Case("numbers", {"n": 3, "limit": 0, "count": True}, [], also={"count": 3}),
    Case("numbers", {"n": 3, "limit": 2, "count": True}, [1, 2], also={"count": 3}),
    Case("people", {"columns": ["initial"], "where": {"friends": {"gt": 1}}, "count": True},
         [{"initial": "A"}], also={"count": 1}),
    call("numbers", 3, gives=[1, 2, 3]),
    call("numbers", 3, order=["value.desc"], limit=2, gives=[3, 2]),
    call("numbers", 3, where={"value": {"gte": 2}}, gives=[2, 3]),
    call("numbers", 3, columns=["value.sum()"], gives=[{"sum": 6}]),
    call("numbers", 3, columns=["n:value"], limit=1, gives=[{"n": 1}]),
    call("places", gives=[{"street": "a", "zip": 1}, {"street": "b", "zip": None}]),
    call("places", where={"zip": None}, columns=["street"], gives=[{"street": "b"}]),
    call("people", order=["id"], columns=["name"], gives=PEOPLE),
    call("people", 4, columns=["initial", "z:home->zip"], gives=[{"initial": "D", "z": 7}]),
    call("people", 3, where={"boss": 1}, columns=["name"], gives=[{"name": "Cyd"}]),
    call("people", order=["boss(name).nullsfirst", "id.desc"], columns=["name"],
         gives=[PEOPLE[0], PEOPLE[2], PEOPLE[1], PEOPLE[3]]),
    call("somebody", 3, columns=["name"], gives={"name": "Cyd"}),
    call("somebody", 9, gives=None),
    call("somebody", 3, where={"name": "Bob"}, gives=None),
    call("keys", {"a": 1, "b": 2}, order=["value"], gives=["a", "b"]),
    call("keys", doc={"doc": 1}, gives=["doc"]),
    call("first_wide", columns=["big", "paint"], gives={"big": 9223372036854775807,
                                                        "paint": "#0000ff"}),
    # Structured arguments, domains with a representation.
    call("street", {"street": 'q"\\,()', "zip": 1}, gives='q"\\,()'),
    call("street", p={"street": "x"}, gives="x"),
    call("street", None, gives=None),
    call("streets", [{"street": "a"}, {"zip": 1}, None], gives=["a", None, None]),
    call("sorted", [3, 1, None, 2], gives=[1, 2, 3, None]),
    call("sorted", [], gives=[]),
    call("mix", "#0000ff", "#ff0000", gives="#ff00ff"),
    call("mix", one="#000001", two="#000002", gives="#000003"),
    call("paints", gives=["#000001", None]),
    # void, and nothing.
    call("nothing", gives=None),
    # Arguments that are called like what can be asked of rows.
    call("taken", 2, "x", gives=["x1", "x2"]),
    call("taken", limit=2, where="x", gives=["x1", "x2"]),
    call("taken", limit=3, where="x", order=["value.desc"], offset=1, gives=["x2", "x1"]),
    # Functions named like syntax.
    call("substring", "a", gives="sa"),
    call("substring", a="a", gives="sa"),
    call("cube", 3, 4, gives=12),
    call("cube", a=3, b=4, gives=12),
    call("coalesce", 5, gives=-5),
    call("now", gives="mine"),
    call("count", 5, gives=5),
    call("current_user", gives="nobody"),
]  # fmt: skip
WRITES = [
    call("really_log", "x", gives=None),
    call("noted", "x", gives=[{"line": "x", "at": 7}]),
    call("noted", "x", columns=["at"], where={"line": "x"}, gives=[{"at": 7}]),
    Case("noted", {"word": "x", "count": True}, [{"line": "x", "at": 7}], also={"count": 1}),
    Case("noted", {"word": "x", "offset": 1, "count": True}, [], also={"count": 1}),
    call("note", "x", gives=None),
    call("note", line="x", gives=None),
    call("measure", "abc", gives={"size": 3, "upper_word": "ABC"}),
    call("measure", "abc", 2, gives={"size": 6, "upper_word": "ABC"}),
    call("measure", word="abc", times=3, gives={"size": 9, "upper_word": "ABC"}),
    call("measure", None, gives={"size": None, "upper_word": None}),
    call("next_one", 4, gives={"n": 5}),
    call("next_one", n=4, gives={"n": 5}),
]
REFUSALS: list[tuple[str, tuple[Any, ...], dict[str, Any], str, str]] = [
    ("add", (), {}, "a", "missing; it is add(a integer, [b integer])"),
    ("add", (1, 2, 3), {}, "arguments", "3 given"),
    ("add", (1,), {"a": 2}, "a", "add(a integer"),
    ("add", (1,), {"c": 2}, "c", "unknown argument"),
    ("add", ("x",), {}, "a", "an integer"),
    ("add", (1.5,), {}, "a", "an integer"),
    ("add", (True,), {}, "a", "an integer"),
    ("add", (1,), {"limit": 1}, "limit", "unknown argument"),
    ("pick", (), {}, "arguments", "no overload fits: pick("),
    ("pick", (1,), {"word": "x"}, "arguments", "no overload fits"),
    ("pick", ([],), {}, "arguments", "no overload fits"),
    ("vague", (1,), {}, "arguments", "name the arguments: vague(a integer); vague(b bigint)"),
    ("total", (), {}, "label", "variadic n integer[]"),
    ("total", ("s", 1, "x"), {}, "n[1]", "an integer"),
    ("total", ("s",), {"n": 1}, "n", "a list"),
    ("rows_of", (1,), {"where": {"nope": 1}}, "where.nope", 'no column "nope" in rows_of'),
    ("rows_of", (1,), {"columns": ["nmu"]}, "columns[0]", 'mean "num"'),
    ("rows_of", (1,), {"order": ["nmu"]}, "order[0]", 'mean "num"'),
    ("rows_of", (1,), {"limit": -1}, "limit", "at least 0"),
    ("rows_of", (1,), {"offset": "x"}, "offset", "whole number"),
    ("rows_of", (1,), {"count": "planned"}, "count", "exact"),
    ("rows_of", (1,), {"columns": ["count()"], "count": True}, "columns", "no count"),
    ("rows_of", (1,), {"after": None}, "after", "unknown argument"),
    ("rows_of", (1,), {"include": {"person": {}}}, "include.person", "no relationship"),
    ("people", (), {"include": {"itm": {}}}, "include.itm", 'mean "item"'),
    ("street", ({"city": 1},), {}, "p.city", "no such field"),
    ("street", (5,), {}, "p", "a dict of its fields"),
    ("streets", ([{"zip": "x"}],), {}, "p[0].zip", "an integer"),
    ("sorted", ([1, "x"],), {}, "n[1]", "an integer"),
    ("nothing", (1,), {}, "arguments", "1 given"),
    ("nothing", (), {"columns": ["value"]}, "columns", "unknown argument"),
    ("taken", (), {"limit": "x", "where": "y"}, "limit", "an integer"),
    ("measure", (), {}, "word", "missing"),
    ("measure", ("a",), {"size": 1}, "size", "unknown argument"),
    ("numbers", (1,), {"format": "csv", "count": True}, "count", "CSV has no place"),
    ("add", (1,), {"format": "csv"}, "format", "only functions that return a set"),
    # One row is not counted, as a value is not.
    ("somebody", (1,), {"count": True}, "count", "unknown argument; it is somebody(wanted "),
    ("outs", (1,), {"count": "exact"}, "count", "unknown argument"),
    ("add", (1,), {"count": True}, "count", "unknown argument"),
    ("outs", (1,), {"format": "csv"}, "format", "only functions that return a set"),
]
REFUSED = [
    *(
        Refusal(name, kwargs, argument, says, args)
        for name, args, kwargs, argument, says in REFUSALS
    ),
    Refusal("sly", {}, "", "read-only", uri="pgwamp.error.read_only_sql_transaction"),
    Refusal("add", {"a": 2**31 - 1}, "", "out of range",
            uri="pgwamp.error.numeric_value_out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *REFUSED], ids=named)
def test_a_function(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case)
    assert len([sql for sql in desk.statements if sql != COMMIT]) <= 1


@pytest.mark.parametrize("case", WRITES, ids=named)
def test_a_routine_that_may_write(desk: Desk, case: Case) -> None:
    desk.check(case, undo=True)
    desk.check(case)


def test_what_a_procedure_wrote_is_there(desk: Desk, sql: Any) -> None:
    sql("delete from log")
    desk.call("note", "kept")
    assert sql("select line from log") == [["kept"]]


def test_what_a_procedure_committed_stays_when_it_fails(desk: Desk, sql: Any) -> None:
    sql("delete from log")
    with pytest.raises(CallError, match=r"after commit.*may have committed") as caught:
        desk.call("in_steps", line="x")
    assert caught.value.uri == "pgwamp.error.raise_exception"
    assert caught.value.details["may_be_committed"] is True
    assert sql("select line from log") == [["x"]]


def test_a_function_is_called_once_also_when_its_rows_are_counted(desk: Desk, sql: Any) -> None:
    sql("delete from log")
    assert desk.call("noted", "once", count="exact") == ([{"line": "once", "at": 7}], {"count": 1})
    assert sql("select line from log") == [["once"]]


def test_csv_has_the_columns_and_rows_that_are_asked_for(desk: Desk) -> None:
    text = desk.call("rows_of", 3, format="csv", columns=["num", "w:word"], order=["num.desc"])
    assert text == "num,w\n3,w3\n2,w2\n1,w1\n"
    assert desk.call("numbers", 2, format="csv") == "value\n1\n2\n"
