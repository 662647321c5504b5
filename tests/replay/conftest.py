"""Components without a router, whose handlers are called as anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from pgwamp.component import Component
from pgwamp.replay import subjects
from pgwamp.tasks import end
from tests.conftest import Database, MakeSettings
from tests.replay.appending import BEGUN
from tests.replay.handlers import FOLLOWING

Load = Callable[..., Awaitable[Component]]


@pytest.fixture
async def load(
    make_settings: MakeSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Load]:
    """A component without a router, whose handlers are called as anybody."""
    monkeypatch.setattr(subjects, "BEGINNING_SECONDS", 0.0)
    started: list[Component] = []

    async def start(**sections: Any) -> Component:
        database.execute(BEGUN)
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
