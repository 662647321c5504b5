"""A callee made of handlers of the test, and what its connections go through."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.session import Client, Link, Procedure, Serving
from pgwamp.settings import LimitSettings, RouterSettings
from tests.conftest import MakeSettings
from tests.servers import Addresses
from tests.session.proxy import Proxy
from tests.session.router import FakeRouter

Callee = Callable[..., Awaitable[Link]]
ServeModule = Callable[..., Awaitable[Component]]
MakeClient = Callable[[], Awaitable[Client]]


@pytest.fixture
async def fake_router() -> AsyncIterator[FakeRouter]:
    """A router under the test's control."""
    async with FakeRouter() as router:
        yield router


@pytest.fixture
async def proxy(addresses: Addresses) -> AsyncIterator[Proxy]:
    """Between a component and the router."""
    async with Proxy(addresses.component) as proxy:
        yield proxy


@pytest.fixture
async def client_proxy(addresses: Addresses) -> AsyncIterator[Proxy]:
    """Between a client and the router's WebSocket."""
    async with Proxy(addresses.clients) as proxy:
        yield proxy


@pytest.fixture
async def callee(addresses: Addresses) -> AsyncIterator[Callee]:
    """Serve procedures of the test's own; returns the joined link."""
    async with AsyncExitStack() as stack:

        async def start(
            *procedures: Procedure,
            url: str = addresses.component,
            serializer: str = "json",
            **limits: Any,
        ) -> Link:
            settings = RouterSettings(url=url, serializer=serializer)  # type: ignore[arg-type]
            limit = LimitSettings(**limits)
            link = Link(
                settings,
                max_bytes=limit.max_bytes,
                max_values=limit.max_values,
                serving=Serving(limit, settings.realm, {p.uri: p for p in procedures}),
                patience=5,
            )
            stack.push_async_callback(link.stop)
            await link.start()
            return link

        yield start


@pytest.fixture
async def make_client(addresses: Addresses) -> AsyncIterator[MakeClient]:
    """Clients that the test closes by itself, with ``client.link.stop()``."""
    async with AsyncExitStack() as stack:

        async def start() -> Client:
            return await stack.enter_async_context(Client(RouterSettings(url=addresses.clients)))

        yield start


@pytest.fixture
async def serve_module(make_settings: MakeSettings, tmp_path: Path) -> AsyncIterator[ServeModule]:
    """A component that serves a Python module with the given text."""
    async with AsyncExitStack() as stack:

        async def start(text: str, **sections: dict[str, Any]) -> Component:
            name = f"procedures_{uuid.uuid4().hex}"
            (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
            sections["expose"] = {"procedures": [name], **sections.get("expose", {})}
            settings = make_settings(**sections).model_copy(update={"folder": tmp_path})
            return await stack.enter_async_context(Component(settings, patience=5))

        yield start
