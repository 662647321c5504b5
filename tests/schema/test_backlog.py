"""wamp.backlog: how publishing stands."""

from __future__ import annotations

import psycopg2
import pytest

from .conftest import GUEST, Database, query

PUBLISHED = "update wamp.publisher set published = pg_current_snapshot(), polled = null"


def waiting(database: Database) -> int:
    return int(database.value("select events from wamp.backlog()"))


def test_what_is_committed_and_not_published_waits(wamp_database: Database) -> None:
    wamp_database.query(PUBLISHED)
    assert waiting(wamp_database) == 0
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 3)")
    assert waiting(wamp_database) == 3
    wamp_database.query(PUBLISHED)
    assert waiting(wamp_database) == 0


def test_a_transaction_that_was_open_at_the_last_position_waits_when_it_commits(
    wamp_database: Database,
) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select wamp.publish('a.b')")
    wamp_database.query("select wamp.publish('a.b')")
    wamp_database.query(PUBLISHED)
    assert waiting(wamp_database) == 0
    query(writer, "commit")
    assert waiting(wamp_database) == 1


def test_in_the_middle_of_a_poll_the_rest_of_it_waits(wamp_database: Database) -> None:
    wamp_database.query(PUBLISHED)
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 5)")
    wamp_database.query(
        "update wamp.publisher set polled = pg_current_snapshot(), "
        "last_id = (select min(id) + 1 from wamp.event)"
    )
    assert waiting(wamp_database) == 3
    wamp_database.query("select wamp.publish('a.b')")
    assert waiting(wamp_database) == 4


def test_the_age_is_that_of_the_oldest(wamp_database: Database) -> None:
    wamp_database.query(PUBLISHED)
    assert wamp_database.value("select oldest from wamp.backlog()") == 0
    wamp_database.query("select wamp.publish('a.b'), wamp.publish('a.b')")
    wamp_database.query(
        "update wamp.event set created_at = now() - interval '90 seconds' "
        "where id = (select min(id) from wamp.event)"
    )
    assert 90 <= wamp_database.value("select oldest from wamp.backlog()") < 120
    assert wamp_database.value(
        "select kept_since = (select min(created_at) from wamp.event) from wamp.backlog()"
    )


def test_a_leader_is_whoever_holds_its_lock_in_this_database(
    wamp_database: Database, new_database: object, template: str
) -> None:
    here, elsewhere = wamp_database.connect(), new_database(template).connect()  # type: ignore[operator]
    query(elsewhere, "select pg_advisory_lock(20599, 1)")
    query(here, "select pg_advisory_lock(20599, 3)")
    assert not wamp_database.value("select leader from wamp.backlog()")
    query(here, "select pg_advisory_lock(20599, 1)")
    assert wamp_database.value("select leader from wamp.backlog()")


def test_a_stranger_with_the_lock_is_no_leader(wamp_database: Database) -> None:
    guest = wamp_database.connect(GUEST)
    query(guest, "select pg_advisory_lock(20599, 1)")

    assert not wamp_database.value("select leader from wamp.backlog()")


@pytest.mark.parametrize("analyzed", [False, True])
def test_looking_does_not_read_what_is_published(wamp_database: Database, analyzed: bool) -> None:
    wamp_database.query(
        "insert into wamp.event (slot, topic) select 0, 'a.b' from generate_series(1, 50000)"
    )
    wamp_database.query(PUBLISHED)
    wamp_database.query("analyze wamp.event" if analyzed else "select wamp.publish('a.b')")
    look = "explain (analyze, buffers, format json) select * from wamp.backlog()"
    wamp_database.query(look)
    [plan] = wamp_database.value(look)

    assert plan["Plan"]["Shared Hit Blocks"] < 300, "the table has 468 pages"


def test_it_is_for_who_is_granted_it(wamp_database: Database) -> None:
    guest = wamp_database.connect(GUEST)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, "select events from wamp.backlog()")
    wamp_database.query(f"grant usage on schema wamp to {GUEST}")
    wamp_database.query(f"grant execute on function wamp.backlog() to {GUEST}")
    assert query(guest, "select events from wamp.backlog()") == [(0,)]
