"""Types with operators of their own, in a schema that is on no search path.

``citext`` and ``hstore`` where the server has them, and always a type that is made like ``citext``.
Another role may create operators in their schema, and has done so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2.errors
import pytest

from tests.servers import Addresses, execute
from tests.spec.cases import Case, named
from tests.spec.conftest import Desk, fresh_database

#: A type that compares without regard to case, by a superuser and without an extension.
CITEXT = """
create type ext.citext;
create function ext.citextin(cstring) returns ext.citext
    language internal immutable strict as 'textin';
create function ext.citextout(ext.citext) returns cstring
    language internal immutable strict as 'textout';
create type ext.citext (
    input = ext.citextin, output = ext.citextout, like = pg_catalog.text, category = 'S'
);
create cast (ext.citext as text) without function as implicit;
create cast (text as ext.citext) without function as assignment;
create function ext.citext_cmp(ext.citext, ext.citext) returns int language sql immutable strict
    as $$ select bttextcmp(lower($1::text), lower($2::text)) $$;
"""
COMPARISONS = {"=": "= 0", "<>": "<> 0", "<": "< 0", "<=": "<= 0", ">": "> 0", ">=": ">= 0"}
AGGREGATES = {"min": "<", "max": ">"}
PATTERNS = {"~~": "like", "~~*": "ilike", "~": "~", "~*": "~*"}
TABLES = """
create domain nick as ext.citext check (length(value::text) > 0);
create table login (name ext.citext primary key, nick nick, tags ext.citext[]);
create table badge (id int primary key, owner ext.citext references login, holder nick);
insert into login values ('Ada', 'AA', '{X}'), ('bob', 'bb', '{y}'), ('CYD', null, null);
insert into badge values (1, 'ADA', 'aa'), (2, 'Bob', 'BB')
"""
TRAP = "language plpgsql as $$ begin raise exception 'a trap'; end $$"


def homemade() -> Iterator[str]:
    """The statements that make a type like citext."""
    yield CITEXT
    for number, (sign, test) in enumerate(COMPARISONS.items()):
        yield (
            f"create function ext.citext_{number}(ext.citext, ext.citext) returns bool "
            f"language sql immutable strict as 'select ext.citext_cmp($1, $2) {test}'"
        )
        yield (
            f"create operator ext.{sign} (function = ext.citext_{number}, leftarg = ext.citext, "
            "rightarg = ext.citext, restrict = eqsel, join = eqjoinsel)"
        )
    for number, (sign, test) in enumerate(PATTERNS.items()):
        yield (
            f"create function ext.citext_p{number}(ext.citext, text) returns bool "
            f"language sql immutable strict as 'select lower($1::text) {test} lower($2)'"
        )
        yield (
            f"create operator ext.{sign} (function = ext.citext_p{number}, leftarg = ext.citext, "
            "rightarg = text)"
        )
    for name, sign in AGGREGATES.items():
        yield (
            f"create function ext.citext_{name}(ext.citext, ext.citext) returns ext.citext "
            "language sql immutable strict as "
            f"'select case when ext.citext_cmp($1, $2) {sign} 0 then $1 else $2 end'"
        )
        yield (
            f"create aggregate ext.{name}(ext.citext) "
            f"(sfunc = ext.citext_{name}, stype = ext.citext)"
        )
    yield (
        "create operator class ext.citext_ops default for type ext.citext using btree as "
        "operator 1 ext.<, operator 2 ext.<=, operator 3 ext.=, operator 4 ext.>=, "
        "operator 5 ext.>, function 1 ext.citext_cmp(ext.citext, ext.citext)"
    )


def traps() -> Iterator[str]:
    """Functions of another role, for the domain and for types that the column could become."""
    yield f"create function ext.trap(int, nick) returns int {TRAP}"
    yield f"create function ext.trap(int, text) returns int {TRAP}"
    for name in AGGREGATES:
        for of in ("nick", "text"):
            yield f"create aggregate ext.{name}({of}) (sfunc = ext.trap, stype = int)"
    for sign in (*COMPARISONS, *PATTERNS):
        for left, right in (("nick", "nick"), ("nick", "text"), ("nick", "ext.citext"),
                            ("ext.citext", "varchar"), ("ext.citext", "nick"),
                            ("ext.citext", "name"), ("varchar", "text")):  # fmt: skip
            yield f"create or replace function ext.trap({left}, {right}) returns bool {TRAP}"
            yield (
                f"create operator ext.{sign} "
                f"(function = ext.trap, leftarg = {left}, rightarg = {right})"
            )


@pytest.fixture(scope="module", params=["homemade", "extension"])
def desk(request: Any, addresses: Addresses) -> Iterator[Desk]:
    with fresh_database(addresses) as url:
        # Modules run beside each other.
        mallory = f"mallory_{uuid.uuid4().hex[:8]}"
        execute(
            url,
            "create schema ext",
            f"create role {mallory}",
            f"grant all on schema ext to {mallory}",
        )
        try:
            if request.param == "homemade":
                execute(url, *homemade())
            else:
                execute(url, "create extension citext schema ext")
            execute(url, TABLES, f"set role {mallory}; " + "; ".join(traps()))
            opened = Desk(url)
            yield opened
            opened.close()
        except psycopg2.errors.FeatureNotSupported:
            pytest.skip("this server has no citext")
        finally:
            execute(url, f"drop owned by {mallory}", f"drop role {mallory}")


def found(where: Any, *names: str) -> Case:
    kwargs = {"where": where, "columns": ["name"], "order": ["name"]}
    return Case("login.select", kwargs, [{"name": name} for name in names])


CASES = [
    found({"name": "ADA"}, "Ada"),
    found({"name": {"neq": "ADA"}}, "bob", "CYD"),
    found({"name": ["ada", "cyd"]}, "Ada", "CYD"),
    found({"name": {"between": ["B", "c"]}}, "bob"),
    found({"name": {"gte": "BOB"}}, "bob", "CYD"),
    found({"name": {"isdistinct": "bOb"}}, "Ada", "CYD"),
    found({"name": {"like": "a%"}}, "Ada"),
    found({"name": {"like": {"any": ["A%", "B%"]}}}, "Ada", "bob"),
    found({"name": {"ilike": "c%"}}, "CYD"),
    found({"name": {"match": "^B"}}, "bob"),
    found({"name": {"imatch": "^B"}}, "bob"),
    found({"nick": "aa"}, "Ada"),
    found({"nick": {"in": ["BB"]}}, "bob"),
    found({"nick": {"like": "A%"}}, "Ada"),
    found({"tags": {"contains": ["x"]}}, "Ada"),
    found({"name::text": "ADA"}),
    Case("login.select", {"columns": ["name.min()", "name.max()"]}, [{"min": "Ada", "max": "CYD"}]),
    Case("login.select", {"columns": ["nick.min()", "nick.max()"]}, [{"min": "AA", "max": "bb"}]),
    Case("login.select", {"columns": ["low:name.min()::text"]}, [{"low": "Ada"}]),
    Case("badge.select", {"columns": ["owner.max()"], "where": {"login": {}}}, [{"max": "Bob"}]),
    Case("login.get", {"key": "cyd", "columns": ["name"]}, {"name": "CYD"}),
    Case("badge.select", {"include": {"o:owner": {"columns": ["name"]}}, "columns": ["id"],
         "order": "id"}, [{"id": 1, "o": {"name": "Ada"}}, {"id": 2, "o": {"name": "bob"}}]),
    Case("login.select", {"where": {"badge!owner": {"holder": "AA"}}, "columns": ["name"]},
         [{"name": "Ada"}]),
    Case("login.update", {"rows": [{"name": "ADA", "nick": "n"}], "returning": ["nick"]},
         [{"nick": "n"}]),
    Case("login.upsert", {"rows": {"name": "BOB", "nick": "m"}, "returning": ["name", "nick"]},
         [{"name": "bob", "nick": "m"}]),
    Case("login.delete", {"where": {"nick": None, "name": "cyd"}, "returning": ["name"]},
         [{"name": "CYD"}]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_type_compares_by_its_own_operators(desk: Desk, case: Case) -> None:
    desk.check(case, undo=True)


def test_pages_go_on_in_the_order_of_the_type(desk: Desk) -> None:
    seen: list[str] = []
    after = None
    while True:
        rows, keywords = desk.call("login.select", order=["name"], limit=1, after=after)
        seen += [row["name"] for row in rows]
        after = keywords["next"]
        if after is None:
            break
    assert seen == ["Ada", "bob", "CYD"]
