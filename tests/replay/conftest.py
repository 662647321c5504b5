"""Components without a router, whose handlers are called as anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.tasks import end
from tests.conftest import MakeSettings
from tests.replay.handlers import FOLLOWING

Load = Callable[..., Awaitable[Component]]


@pytest.fixture
async def load(make_settings: MakeSettings) -> AsyncIterator[Load]:
    """A component without a router, whose handlers are called as anybody."""
    started: list[Component] = []

    async def start(**sections: Any) -> Component:
        component = Component(make_settings(**sections))
        await component.database.start()
        started.append(component)
        await component.listener.start()
        await component.load()
        return component

    yield start
    await end(*(task for task in asyncio.all_tasks() if task.get_name() == FOLLOWING))
    for component in started:
        await component.listener.stop()
        await component.database.stop()
