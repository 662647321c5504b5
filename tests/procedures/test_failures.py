"""Errors of the database driver as errors of a call."""

from __future__ import annotations

import asyncpg
import pytest

from pgwamp.access import Caller
from pgwamp.database.failures import call_error
from pgwamp.errors import InvalidArgument, Unavailable
from tests.conftest import Serve


async def test_a_value_that_cannot_be_encoded_is_no_lost_connection(serve: Serve) -> None:
    component = await serve()
    caller = Caller("realm1", "com.example.test")
    with pytest.raises(InvalidArgument):
        await component.database.fetch("select $1::text", ["\ud800"], caller)
    with pytest.raises(InvalidArgument):
        async with component.database.transaction(caller, read_only=False) as connection:
            await connection.fetch("select $1::text", "\ud800")


def test_a_query_sent_as_the_server_says_goodbye_is_a_lost_connection() -> None:
    # asyncpg's words when the FATAL message and the query cross.
    crossed = asyncpg.InternalClientError(
        "cannot switch to state 12; another operation (2) is in progress"
    )
    assert isinstance(call_error(crossed), Unavailable)
