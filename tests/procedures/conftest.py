"""A component and a client for tests that call procedures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.session import Client
from tests.conftest import Connect, Database, Serve


class Api:
    """Calls below the prefix of the test."""

    def __init__(self, client: Client, prefix: str):
        self.client = client
        self.prefix = prefix

    async def __call__(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        return await self.client.call(f"{self.prefix}.{name}", args, kwargs)

    async def fails(self, uri: str, name: str, /, *args: Any, **kwargs: Any) -> CallError:
        """Call, expect this error, and check that it shows no SQL and no traceback."""
        with pytest.raises(CallError) as caught:
            await self(name, *args, **kwargs)
        error = caught.value
        assert error.uri == uri, error
        shown = f"{error.message} {error.details}".lower()
        for secret in ("select ", "insert into", "cast(", "traceback", "$1"):
            assert secret not in shown
        return error


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
def api(database: Database, serve: Serve, connect: Connect, prefix: str) -> Start:
    """Run statements, serve what they made, and connect to it."""

    async def start(*statements: str, **sections: dict[str, Any]) -> Api:
        database.execute(*statements)
        await serve(**sections)
        return Api(await connect(), prefix)

    return start
