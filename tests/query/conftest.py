"""What property tests of the query language share: one loop and one connection per module."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg
import pytest

from pgwamp.catalog import Graph, load_catalog
from pgwamp.database.connect import session_settings
from pgwamp.query.reads import Page
from pgwamp.query.scope import Scope, Scopes
from pgwamp.query.statement import Bound
from pgwamp.settings import LimitSettings
from tests.servers import Addresses, execute

Answer = TypeVar("Answer")


class Bench:
    """A database of the module's own, with one connection set up as the component's are."""

    def __init__(self, url: str):
        self.url = url
        self._runner = asyncio.Runner()
        self.connection: asyncpg.Connection[Any] = self.run(
            asyncpg.connect(url, server_settings=session_settings(["public"]))
        )

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run to its end on the loop of the connection."""
        return self._runner.run(coroutine)

    def execute(self, sql: str) -> None:
        """Run statements."""
        self.run(self.connection.execute(sql))

    def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Fetch what plain SQL gives."""
        return self.run(self.connection.fetch(sql, *values))

    def rows(self, asked: Bound | Page) -> list[dict[str, Any]]:
        """Fetch what a bound statement gives, as a caller gets it."""
        bound = asked.bound if isinstance(asked, Page) else asked
        return self.run(bound.rows(self.fetch(bound.statement.sql, *bound.parameters)))

    def scopes(self, schema: str = "public") -> dict[str, Scope]:
        """What requests about the relations of a schema can name, by relation."""
        catalog = self.run(load_catalog(self.connection, [schema], watched=False))
        # Requests that are made at random hold more relations, now and then, than the default.
        limits = LimitSettings(max_includes=200)
        scopes = Scopes(catalog, Graph(catalog, catalog.relations), limits)
        return {relation.name: scopes.of(relation) for relation in catalog.relations}

    def close(self) -> None:
        """Disconnect."""
        self.run(self.connection.close())
        self._runner.close()


@pytest.fixture(scope="module")
def bench(addresses: Addresses) -> Iterator[Bench]:
    """An empty database for the tests of one module."""
    name = f"q_{uuid.uuid4().hex[:12]}"
    admin = addresses.database("postgres")
    execute(admin, f"create database {name}")
    opened = Bench(addresses.database(name))
    yield opened
    opened.close()
    execute(admin, f"drop database {name} with (force)")
