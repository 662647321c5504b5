"""Events of ``wamp.publish`` in the log."""

from __future__ import annotations

import pytest

from pgwamp.eventlog.body import read_body
from tests.eventlog.conftest import Log
from tests.payloads import MANY_PARTS


@pytest.mark.parametrize("kind", MANY_PARTS)
async def test_a_payload_that_is_not_refused_is_whole(log: Log, kind: str) -> None:
    payload = MANY_PARTS[kind] % 59_000
    await log.execute(
        "select wamp.publish('com.example.hello', args, kwargs) "
        f"from ({payload}) as p (args, kwargs)"
    )
    await log.take()
    (event,) = await log.events()
    assert read_body(event.body or "").keys() == {"args", "kwargs"}
