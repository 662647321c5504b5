"""wamp.backlog: how publishing stands."""

from __future__ import annotations

import psycopg2
import pytest

from .conftest import GUEST, Database, query

SEEN = "update wamp.sequencer set seen = pg_current_snapshot(), taking = null"
#: Events by their positions, {0} to {1}.
LOGGED = """
insert into wamp.log (slot, position, at, xid, relation, op, topic, mark, silent)
select 0, n, clock_timestamp() - interval '90 seconds' + n * interval '1 second', '3', 0, {2},
    'a.b', '\\x01', {3}
from generate_series({0}, {1}) as n
"""


def log(
    database: Database, first: int, last: int, op: str = "publish", silent: bool = False
) -> None:
    """Append events to the log, one for each second from ninety ago."""
    database.query(LOGGED.format(first, last, f"'{op}'", silent))


def published(database: Database, prefix: str, position: int) -> None:
    """Say how far the component with this prefix has published."""
    database.query(
        "insert into wamp.publication (realm, prefix, position, mark) "
        "values ('realm1', %s, %s, '') "
        "on conflict (realm, prefix) do update set position = excluded.position",
        prefix,
        position,
    )


def waiting(database: Database) -> int:
    return int(database.value("select events from wamp.backlog()"))


def test_what_is_committed_and_no_event_yet_waits(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    assert waiting(wamp_database) == 0
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 3)")
    assert waiting(wamp_database) == 3
    wamp_database.query(SEEN)
    assert waiting(wamp_database) == 0


def test_a_transaction_that_was_open_at_the_last_position_waits_when_it_commits(
    wamp_database: Database,
) -> None:
    writer = wamp_database.connect()
    query(writer, "begin")
    query(writer, "select wamp.publish('a.b')")
    wamp_database.query("select wamp.publish('a.b')")
    wamp_database.query(SEEN)
    assert waiting(wamp_database) == 0
    query(writer, "commit")
    assert waiting(wamp_database) == 1


def test_what_is_being_taken_counts_on_top_of_what_came_later(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 5)")
    wamp_database.query("update wamp.sequencer set taking = pg_current_snapshot()")
    assert waiting(wamp_database) == 1
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 2)")
    assert waiting(wamp_database) == 3


def test_events_that_some_component_has_not_published_wait(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    log(wamp_database, 1, 10)
    # There is no component yet.
    assert waiting(wamp_database) == 0
    published(wamp_database, "com.example", 4)
    assert waiting(wamp_database) == 6
    published(wamp_database, "com.other", 2)
    assert waiting(wamp_database) == 8
    for prefix in ("com.example", "com.other"):
        published(wamp_database, prefix, 10)
    assert waiting(wamp_database) == 0


def test_what_is_for_no_topic_does_not_wait(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    published(wamp_database, "com.example", 0)
    log(wamp_database, 1, 2, silent=True)
    log(wamp_database, 3, 3, op="era")
    assert waiting(wamp_database) == 0
    log(wamp_database, 4, 4)
    assert waiting(wamp_database) == 1


def test_the_age_is_that_of_the_oldest(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    published(wamp_database, "com.example", 0)
    assert wamp_database.value("select oldest from wamp.backlog()") == 0
    log(wamp_database, 1, 20)
    assert 88 <= wamp_database.value("select oldest from wamp.backlog()") < 120
    assert wamp_database.value(
        "select kept_since = (select min(at) from wamp.log) from wamp.backlog()"
    )
    published(wamp_database, "com.example", 20)
    assert wamp_database.value("select oldest from wamp.backlog()") == 0


def test_what_is_no_event_yet_has_an_age_too(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    wamp_database.query("select wamp.publish('a.b')")
    wamp_database.query("update wamp.raw set at = at - interval '90 seconds'")
    wamp_database.query("select wamp.publish('a.b')")
    assert 90 <= wamp_database.value("select oldest from wamp.backlog()") < 120


def test_what_the_sequencer_is_told_of_tables_does_not_wait(wamp_database: Database) -> None:
    wamp_database.query(SEEN)
    wamp_database.query("create table item (id int primary key)")
    wamp_database.query("select wamp.watch('item')")
    wamp_database.query("select wamp.refresh('item')")
    assert waiting(wamp_database) == 0
    wamp_database.query("insert into item values (1)")
    assert waiting(wamp_database) == 1
    wamp_database.query("select wamp.forget('item')")
    assert waiting(wamp_database) == 0


@pytest.mark.parametrize(
    ("held", "since", "leads"),
    [("true", "0 seconds", True), ("true", "6 seconds", False), ("false", "0 seconds", False)],
)
def test_a_leader_is_who_has_renewed_its_lease(
    wamp_database: Database, held: str, since: str, leads: bool
) -> None:
    assert not wamp_database.value("select leader from wamp.backlog()")
    wamp_database.query(
        "insert into wamp.lease (name, term, held, renewed_at) "
        f"values ('sequencer', 1, {held}, clock_timestamp() - interval '{since}'), "
        "('other', 1, true, clock_timestamp())"
    )
    assert wamp_database.value("select leader from wamp.backlog()") is leads


@pytest.mark.parametrize("analyzed", [False, True])
def test_looking_does_not_read_what_is_published(wamp_database: Database, analyzed: bool) -> None:
    wamp_database.query("select wamp.publish('a.b') from generate_series(1, 20000)")
    wamp_database.query(SEEN)
    log(wamp_database, 1, 20_000)
    published(wamp_database, "com.example", 20_000)
    wamp_database.query("analyze wamp.log, wamp.raw" if analyzed else "select 1")
    look = "explain (analyze, buffers, format json) select * from wamp.backlog()"
    wamp_database.query(look)
    [plan] = wamp_database.value(look)

    pages = "select sum(pg_relation_size(relid)) / 8192 from pg_partition_tree(%s::regclass)"
    for table in ("wamp.log", "wamp.raw"):
        assert wamp_database.value(pages, table) > 150
    assert plan["Plan"]["Shared Hit Blocks"] < 300


def test_it_is_for_who_is_granted_it(wamp_database: Database) -> None:
    guest = wamp_database.connect(GUEST)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(guest, "select events from wamp.backlog()")
    wamp_database.query(f"grant usage on schema wamp to {GUEST}")
    wamp_database.query(f"grant execute on function wamp.backlog() to {GUEST}")
    assert query(guest, "select events from wamp.backlog()") == [(0,)]
