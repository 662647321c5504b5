"""A component that runs on while a standby takes the place of its primary."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pgwamp.dev.postgres import Postgres
from pgwamp.errors import CallError
from pgwamp.eventlog.sequencing import Sequencing
from pgwamp.replay.follow import _Follow
from tests.conftest import Connect, Database, Events, Serve
from tests.eventlog.site import NAME, Site, insert, promote, until_applied
from tests.replay.appending import until_logged
from tests.replay.following import Follower
from tests.servers import execute


def urls(server: Postgres) -> dict[str, str]:
    """Settings that name the database on a server."""
    return {"url": server.url(NAME), "events_url": server.url(NAME)}


async def test_over_a_clean_switchover_all_goes_on(
    site: Site, primary: Postgres, serve: Serve, connect: Connect, prefix: str, events: Events
) -> None:
    site.base_backup(primary, "standby", "--write-recovery-conf")
    standby = site.server("standby")
    standby.start()
    await serve(database=urls(primary))
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    begin = follower.cursor
    execute(primary.url(NAME), *insert(1, 2))
    assert await follower.keys(2) == [1, 2]
    until_applied(primary)
    primary.stop()
    promote(standby)
    standby.stop()
    successor = site.server("standby", port=primary.port, synchronous_standby_names="")
    successor.start()
    execute(successor.url(NAME), *insert(3))
    assert await follower.keys(3, 30) == [1, 2, 3]
    ids = [event["id"] for event in follower.events]
    assert [event["id"] for event in await client.call(f"{prefix}.item.changes", [begin])] == ids
    # What was published last may come again, with its id.
    heard = await events.until(lambda heard: heard[-1:] and heard[-1][2]["key"] == {"id": 3}, 30)
    assert sorted({kwargs["id"] for _, _, kwargs in heard}) == sorted(ids)


async def test_a_follow_whose_events_are_lost_ends_and_all_else_goes_on(
    site: Site, serve: Serve, connect: Connect, prefix: str, events: Events
) -> None:
    primary = site.server("primary", synchronous_standby_names="")
    primary.start()
    await serve(database=urls(primary))
    client = await connect()
    await client.subscribe(f"{prefix}.item.", events, "prefix")
    follower = await Follower(client, f"{prefix}.item.follow").begun()
    execute(primary.url(NAME), *insert(1, 2))
    await follower.keys(2)
    site.base_backup(primary, "standby", "--write-recovery-conf")
    execute(primary.url(NAME), *insert(3))
    assert await follower.keys(3) == [1, 2, 3]
    await events.count(3)
    primary.kill()
    standby = site.server("standby", port=primary.port, synchronous_standby_names="")
    standby.start()
    promote(standby)
    execute(standby.url(NAME), *insert(4))
    assert (await follower.error(30)).uri == "pgwamp.error.cursor_expired"
    changes = f"{prefix}.item.changes"
    kept, lost = (event["cursor"] for event in follower.events[1:])
    with pytest.raises(CallError) as caught:
        await client.call(changes, [lost])
    assert caught.value.uri == "pgwamp.error.cursor_expired"
    after = await Follower(client, f"{prefix}.item.follow", since=kept).begun()
    assert await after.keys(1) == [4]
    assert [event["key"] for event in await client.call(changes, [kept])] == [{"id": 4}]
    heard = await events.until(lambda heard: heard[-1][2]["key"] == {"id": 4}, 30)
    assert [kwargs["key"]["id"] for *_, kwargs in heard if kwargs["id"] == lost] == [3]


class Gate:
    """Holds a method before it begins, until it is opened.

    :ivar reached: set when somebody waits.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str):
        self.reached = asyncio.Event()
        self._open = asyncio.Event()
        held = getattr(owner, name)

        async def wait(*arguments: Any) -> Any:
            self.reached.set()
            await self._open.wait()
            return await held(*arguments)

        monkeypatch.setattr(owner, name, wait)

    def open(self) -> None:
        """Let everybody in."""
        self._open.set()


@pytest.mark.parametrize("where", ["_logged", "_send_page"])
async def test_rows_of_what_no_event_was_made_of_are_not_kept_when_that_is_lost(
    site: Site,
    serve: Serve,
    connect: Connect,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """The numbers of the lost transactions are given out again, and so are positions."""
    primary = site.server("primary", synchronous_standby_names="")
    primary.start()
    await serve(database=urls(primary))
    client = await connect()
    execute(primary.url(NAME), *insert(0))
    await until_logged(Database(primary.url(NAME), NAME))
    site.base_backup(primary, "standby", "--write-recovery-conf")
    sequencer = Gate(monkeypatch, Sequencing, "look")
    follow = Gate(monkeypatch, _Follow, where)
    execute(primary.url(NAME), *insert(1, 2))
    await asyncio.wait_for(sequencer.reached.wait(), 20)
    follower = Follower(client, f"{prefix}.item.follow", snapshot=True)
    await follower.until(lambda f: len(f.rows) == 3)
    if where == "_send_page":
        sequencer.open()
    await asyncio.wait_for(follow.reached.wait(), 20)
    assert follower.cursor is None
    primary.kill()
    standby = site.server("standby", port=primary.port, synchronous_standby_names="")
    standby.start()
    promote(standby)
    sequencer.open()
    execute(standby.url(NAME), *insert(*range(11, 21)))
    await until_logged(Database(standby.url(NAME), NAME))
    follow.open()
    assert (await follower.error(30)).uri == "pgwamp.error.cursor_expired"
    assert follower.cursor is None
    anew = await Follower(client, f"{prefix}.item.follow", snapshot=True).begun()
    assert [row["id"] for row in anew.rows] == [0, *range(11, 21)]
