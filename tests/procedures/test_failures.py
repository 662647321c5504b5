"""Errors of the database driver as errors of a call."""

from __future__ import annotations

import pytest

from pgwamp.access import Caller
from pgwamp.errors import InvalidArgument
from tests.conftest import Serve


async def test_a_value_that_cannot_be_encoded_is_no_lost_connection(serve: Serve) -> None:
    component = await serve()
    caller = Caller("realm1", "com.example.test")
    for read_only in (True, False):
        with pytest.raises(InvalidArgument):
            await component.database.fetch(
                "select $1::text", ["\ud800"], caller, read_only=read_only
            )
