"""Callers share an evaluation only if it cannot come out differently for them."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from pgwamp.errors import NotAuthorized
from pgwamp.procedures.caller_scope import Sharing
from tests.conftest import Database
from tests.live.conftest import Live, Start
from tests.servers import CALLS

TABLE = (
    "create table item (id int primary key, owner text)",
    "insert into item values (1, 'anna'), (2, 'ben'), (3, 'web')",
    "select wamp.watch('item')",
)
QUERY = "-- name: items\nselect id from item order by id"


async def ids(live: Live, **caller: object) -> list[int]:
    heard = live("items", **caller)
    rows = await heard.until(lambda heard: heard.rows is not None)
    return [row["id"] for row in rows]


def rows_of(item: dict[str, Any]) -> list[Any]:
    """The rows that an item brings."""
    return item["rows"] if "rows" in item else [row for _, row in item["inserted"]]


async def test_without_roles_everybody_shares(live: Start) -> None:
    started = await live(QUERY, *TABLE)
    assert await ids(started, authid="anna", session=1) == [1, 2, 3]
    assert await ids(started, authid="ben", session=2, authrole="user") == [1, 2, 3]
    assert len(started.queries.evaluations) == 1


async def test_what_extensions_ask_for_keeps_nobody_apart(live: Start) -> None:
    started = await live(
        QUERY,
        *TABLE,
        "create function theirs() returns text language sql stable "
        "return current_setting('theirs.setting')",
        "alter extension plpgsql add function theirs()",
    )
    assert await ids(started, authid="anna", session=1) == [1, 2, 3]
    assert await ids(started, authid="ben", session=2) == [1, 2, 3]
    assert len(started.queries.evaluations) == 1


#: Characters of a body, and bodies: each is looked at, and all together are too much.
BODY, BODIES = 900_000, 6


@pytest.mark.parametrize(
    ("number", "evaluations"), [(BODIES - 1, 1), (BODIES, 3)], ids=["enough", "too much"]
)
async def test_where_a_role_has_too_much_to_look_at_the_worst_is_assumed(
    live: Start, number: int, evaluations: int
) -> None:
    started = await live(
        QUERY,
        *TABLE,
        "set check_function_bodies = off",
        *(
            f"create function f{n}() returns int language sql as '{'select 1; ' * (BODY // 10)}'"
            for n in range(number)
        ),
    )
    assert await ids(started, authid="anna", session=1) == [1, 2, 3]
    assert await ids(started, authid="ben", session=2) == [1, 2, 3]
    assert await ids(started, authid="ben", session=3) == [1, 2, 3]
    assert len(started.queries.evaluations) == evaluations


@pytest.mark.parametrize(
    ("source", "further"),
    [
        ("item where owner = current_setting('wamp.authid')", ()),
        ("mine", ("create view mine as select id from item "
                  "where owner = current_setting('wamp.authid')",)),
        ("(select item.id from item where item.owner = me()) as i",
         ("create function me() returns text language sql stable "
          "return current_setting('wamp.authid')",)),
        ("(select item.id from item where item.owner = me()) as i",
         ("create function me() returns text language plpgsql stable as "
          "'begin return current_setting(''wamp.authid''); end'",)),
        ("(select item.id from item where item.owner = me()) as i",
         ("create function me() returns text language plpgsql as "
          "'declare who text; begin execute ''show wamp.authid'' into who; return who; end'",)),
        ("mine() as i where exists (select from item)",
         ("create function mine(who text default current_setting('wamp.authid', true)) "
          "returns setof item language sql stable as 'select * from item where owner = who'",)),
        ("item where owner = case when me_at(owner) then owner end",
         ("create function me_at(owner text) returns boolean language plpgsql stable as "
          "'begin perform owner::own; return true; "
          "exception when check_violation then return false; end'",
          "create domain own as text check (value = current_setting('wamp.authid'))",)),
        ("item where owner = (select own from own)",
         ("create operator !! (function = current_setting, rightarg = text)",
          "create view own as select operator(public.!!) 'wamp.authid' as own",)),
    ],
    ids=["query", "view", "function", "plpgsql", "show", "default", "domain", "operator"],
)  # fmt: skip
async def test_where_sql_asks_who_calls_each_has_their_own(
    live: Start, source: str, further: tuple[str, ...]
) -> None:
    started = await live(f"-- name: items\nselect id from {source}", *TABLE, *further)
    assert await ids(started, authid="anna", session=1) == [1]
    assert await ids(started, authid="ben", session=2) == [2]
    assert await ids(started, authid="anna", session=3) == [1]
    assert len(started.queries.evaluations) == 2


async def test_where_sql_asks_for_the_session_each_session_has_its_own(live: Start) -> None:
    started = await live(
        "-- name: items\nselect id from item where id::text = current_setting('wamp.session')",
        *TABLE,
    )
    assert await ids(started, session=1) == [1]
    assert await ids(started, session=2) == [2]
    assert len(started.queries.evaluations) == 2


#: An aggregate of what asks for settings.
AGGREGATE = (
    "create aggregate {}setting (text) "
    "(sfunc = textcat, stype = text, finalfunc = current_setting, initcond = '')"
)


@pytest.mark.parametrize(
    "made",
    [
        (
            AGGREGATE.format(""),
            "create view own as select setting('wamp.authid') as own",
        ),
        (
            "create function same(text, bool) returns text language sql strict as 'select $1'",
            "create aggregate moving (bool) (sfunc = same, stype = text, initcond = 'wamp.authid', "
            "msfunc = same, minvfunc = current_setting, mstype = text, minitcond = 'wamp.authid')",
            "create view own as select moving(true) over "
            "(order by n rows between current row and 1 following) as own "
            "from generate_series(1, 3) as n",
        ),
    ],
    ids=["final", "inverse"],
)
async def test_where_an_aggregate_is_made_of_what_asks_each_session_has_its_own(
    live: Start, made: tuple[str, ...]
) -> None:
    """Its arguments may name any setting."""
    started = await live(
        "-- name: items\nselect id from item where owner = any (array(select own from own))",
        *TABLE,
        *made,
    )
    assert await ids(started, authid="anna", session=1) == [1]
    assert await ids(started, authid="ben", session=2) == [2]
    assert len(started.queries.evaluations) == 2


async def test_a_temporary_aggregate_of_another_session_keeps_nobody_apart(
    live: Start, database: Database
) -> None:
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(AGGREGATE.format("pg_temp."))
        started = await live(QUERY, *TABLE)
        assert await ids(started, authid="anna", session=1) == [1, 2, 3]
        assert await ids(started, authid="ben", session=2) == [1, 2, 3]
        assert len(started.queries.evaluations) == 1
    finally:
        await connection.close()


async def test_where_a_default_asks_for_the_session_each_session_has_its_own(
    live: Start, role: str
) -> None:
    started = await live(
        "-- name: items\nselect i.id from mine() as i where exists (select from item)",
        *TABLE,
        f"grant select on item to {role}",
        "create function mine(who text default current_setting('wamp.session')) "
        "returns setof item language sql stable as 'select * from item where id::text = who'",
        access={"roles": {"user": role}},
    )
    assert await ids(started, authrole="user", session=1) == [1]
    assert await ids(started, authrole="user", session=2) == [2]
    for listening in started.listening:
        await listening.leave()


@pytest.mark.parametrize("narrow", [Sharing(True), Sharing(True, True)], ids=["who", "session"])
async def test_calls_go_on_with_those_who_share_no_longer_and_are_told_what_differs(
    live: Start, database: Database, narrow: Sharing
) -> None:
    """Nobody gets an answer that was made under the claims of another."""
    started = await live("-- name: items\nselect id, whose(item) from item order by id", *TABLE,
        "create function whose(item) returns text language sql stable as $$select 'all'$$",
    )  # fmt: skip
    assert await ids(started, authid="anna", session=1) == [1, 2, 3]
    assert await ids(started, authid="ben", session=2) == [1, 2, 3]
    assert await ids(started, authid="ben", session=3) == [1, 2, 3]
    (shared,) = started.queries.evaluations
    definition = shared.request.query.definition
    claim = "session" if narrow.session else "authid"
    database.execute(
        "create or replace function whose(item) returns text language sql stable as "
        f"$$select current_setting('wamp.{claim}')$$"
    )
    started.queries.renew({definition: narrow})
    names = ["1", "2", "3"] if narrow.session else ["anna", "ben", "ben"]
    for heard, name in zip(started.listening, names, strict=True):
        await heard.shows([{"id": n, "whose": name} for n in (1, 2, 3)])
        assert [row["whose"] for item in heard.items[1:] for row in rows_of(item)] == [name] * 3
    assert len(started.queries.evaluations) == (3 if narrow.session else 2)
    assert shared not in started.queries.evaluations
    # Who listens goes on so, also when nothing asks any more; and so does who comes.
    started.queries.renew({definition: Sharing()})
    carl = started("items", authid="carl", session=4)
    name = "4" if narrow.session else "carl"
    await carl.shows([{"id": n, "whose": name} for n in (1, 2, 3)])
    database.execute("delete from item where id > 1")
    started.feed.tell("item")
    for heard, name in zip(started.listening, names, strict=False):
        await heard.shows([{"id": 1, "whose": name}])
        assert heard.error is None


async def test_once_nobody_listens_those_share_who_may(live: Start) -> None:
    started = await live(QUERY, *TABLE)
    assert await ids(started, authid="anna") == [1, 2, 3]
    definition = started.queries.evaluations[0].request.query.definition
    started.queries.renew({definition: Sharing(True, True)})
    await started.listening[0].leave()
    started.queries.renew({definition: Sharing()})
    assert await ids(started, authid="anna", session=1) == [1, 2, 3]
    assert await ids(started, authid="ben", session=2) == [1, 2, 3]
    assert len(started.queries.evaluations) == 1


async def test_nobody_meets_the_rows_of_another_role(
    live: Start, database: Database, role: str
) -> None:
    """Row level security by role and by claim; the same person shares between sessions."""
    other = f"{role}_2"
    database.execute(f"create role {other} role {CALLS}")
    try:
        started = await live(
            QUERY,
            *TABLE,
            f"grant select on item to {role}, {other}",
            "alter table item enable row level security",
            "create policy own on item to public "
            "using (owner = current_setting('wamp.authid') or id = 3)",
            f"create policy all_of on item as restrictive to {other} using (id < 3)",
            access={"roles": {"user": role, "guest": other}},
        )
        assert await ids(started, authid="anna", authrole="user", session=1) == [1, 3]
        assert await ids(started, authid="ben", authrole="user", session=2) == [2, 3]
        assert await ids(started, authid="anna", authrole="guest", session=3) == [1]
        assert await ids(started, authid="anna", authrole="user", session=4) == [1, 3]
        assert len(started.queries.evaluations) == 3
        database.execute("update item set owner = 'ben' where id = 1")
        started.feed.tell("item")
        anna, ben, guest, again = started.listening
        await anna.shows([{"id": 3}])
        await again.shows([{"id": 3}])
        await guest.shows([])
        await ben.shows([{"id": 1}, {"id": 2}, {"id": 3}])
        with pytest.raises(NotAuthorized, match="stranger"):
            started("items", authrole="stranger")
        for listening in started.listening:
            await listening.leave()
    finally:
        database.execute(f"drop owned by {other}", f"drop role {other}")


async def test_a_policy_that_asks_for_the_session_keeps_sessions_apart(
    live: Start, role: str
) -> None:
    started = await live(
        QUERY,
        *TABLE,
        f"grant select on item to {role}",
        "alter table item enable row level security",
        "create policy own on item using (id::text = current_setting('wamp.session'))",
        access={"roles": {"user": role}},
    )
    assert await ids(started, authrole="user", session=1) == [1]
    assert await ids(started, authrole="user", session=2) == [2]
    for listening in started.listening:
        await listening.leave()


async def test_with_a_function_before_each_session_has_its_own(live: Start) -> None:
    """Nobody can say what it asks for, however its text looks."""
    started = await live(
        QUERY,
        *TABLE,
        "create function check_caller() returns void language plpgsql as "
        "'begin if current_setting(''wamp.'' || ''session'') = ''2'' then "
        "raise ''not you''; end if; end'",
        access={"before": "public.check_caller"},
    )
    assert await ids(started, session=1) == [1, 2, 3]
    await started("items", session=2).fails("pgwamp.error.raise_exception")
