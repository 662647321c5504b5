"""Reading by pages."""

from __future__ import annotations

import pytest

from pgwamp.events.cursor import Position
from pgwamp.events.reader import read_page
from tests.conftest import Database


@pytest.mark.parametrize("xids", [(9, 10, 11), (98, 99, 100)])
async def test_the_newest_of_a_poll_is_the_largest_number_and_not_the_last_word(
    database: Database, xids: tuple[int, ...]
) -> None:
    database.execute(
        "update wamp.publisher set published = '1:1:'",
        *(
            "insert into wamp.event (slot, xid, topic) "
            f"select slot, '{xid}', 'com.example' from wamp.retention"
            for xid in xids
        ),
    )
    connection = await database.connect()
    # Of several pages, so that not all events are read that the poll has.
    page = await read_page(connection, Position("1:1:"), 1)
    assert page.more
    assert page.end.newest == xids[-1]
    await connection.close()
