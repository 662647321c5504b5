"""Calls made straight at the handlers, as any caller, without a router in between."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from pgwamp.access import Caller
from pgwamp.catalog import load_catalog
from pgwamp.database import Database as Pools
from pgwamp.errors import CallError
from pgwamp.exposure import Exposure, build_exposure
from pgwamp.session import Call
from tests.conftest import Database, MakeSettings
from tests.servers import CALLS


@dataclass(frozen=True)
class Calls:
    """What a component exposes, and the database it calls."""

    database: Pools
    exposure: Exposure
    prefix: str

    def caller(self, name: str, authrole: str | None) -> Caller:
        """Somebody of this role, whose authid is the role's name."""
        return Caller("realm1", f"{self.prefix}.{name}", 7, authrole, authrole)

    async def __call__(
        self, name: str, /, *args: Any, by: str | None = "anonymous", **kwargs: Any
    ) -> Any:
        procedure = self.exposure.procedures[f"{self.prefix}.{name}"]
        return await procedure.handler(  # type: ignore[misc]
            Call(args, kwargs, self.caller(name, by))
        )

    def streamed(
        self, name: str, sink: Callable[[Any], Awaitable[None]], **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Call for progressive results, as the anonymous caller."""
        procedure = self.exposure.procedures[f"{self.prefix}.{name}"]
        call = Call((), kwargs, self.caller(name, "anonymous"), sink)
        return procedure.handler(call)  # type: ignore[return-value]

    async def fails(self, uri: str, name: str, /, *args: Any, **kwargs: Any) -> CallError:
        """Call, and expect this error."""
        with pytest.raises(CallError) as caught:
            await self(name, *args, **kwargs)
        assert caught.value.uri == uri, caught.value
        return caught.value


Expose = Callable[..., Awaitable[Calls]]


@pytest.fixture
async def expose(
    database: Database, make_settings: MakeSettings, prefix: str
) -> AsyncIterator[Expose]:
    """Run statements, and expose what they made, on one connection of each kind."""
    async with AsyncExitStack() as stack:

        async def start(*statements: str, **sections: dict[str, Any]) -> Calls:
            database.execute(*statements)
            sections["database"] = {"pool_max": 1, **sections.get("database", {})}
            settings = make_settings(**sections)
            pools = Pools(
                settings.database, settings.access, settings.expose.schemas, settings.limits
            )
            await pools.start()
            stack.push_async_callback(pools.stop)
            async with pools.own() as connection:
                catalog = await load_catalog(connection, settings.expose.schemas)
                exposure = await build_exposure(settings, catalog, pools, connection)
            return Calls(pools, exposure, prefix)

        yield start


@pytest.fixture
def roles(database: Database) -> Iterator[list[str]]:
    """Two roles of the test's own."""
    names = [f"{name}_{uuid.uuid4().hex[:8]}" for name in ("anna", "ben")]
    for name in names:
        database.execute(f"create role {name} role {CALLS}")
    yield names
    for name in names:
        database.execute(f"drop owned by {name}", f"drop role {name}")


@pytest.fixture
def own_login(database: Database, roles: list[str]) -> Iterator[str]:
    """A login that may become the first of the two roles and nothing else."""
    name = f"login_{uuid.uuid4().hex[:8]}"
    database.execute(f"create role {name} login noinherit", f"grant {roles[0]} to {name}")
    yield name
    database.execute(f"drop role {name}")
