"""Asking ``check`` and the start for the same thing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from pgwamp.checks import check_all
from pgwamp.component import Component
from pgwamp.errors import StartError
from pgwamp.settings import Settings
from tests.conftest import Database
from tests.database.conftest import own_login, roles
from tests.servers import Addresses

__all__ = ["own_login", "roles"]
Sections = dict[str, dict[str, Any]]


@pytest.fixture
def mapped(database: Database, addresses: Addresses, roles: list[str], own_login: str) -> Sections:
    """Callers are the first of two roles, with a login of calls of the test's own."""
    return {
        "access": {"roles": {"anonymous": roles[0]}},
        "database": {"url": addresses.database(database.name, own_login)},
    }


def statement(line: str, begin: str) -> str:
    """The statement that a line prints as its cure."""
    found = re.search(rf"{begin}[^,:]*(?=$|,|:)", line)
    assert found is not None, line
    return found[0]


@dataclass(frozen=True)
class Answers:
    """What both say.

    :ivar check: the lines of ``check``, without facts.
    :ivar start: the error that ended the start, or None.
    :ivar logged: what the start logged as not as it should be.
    """

    check: list[str]
    start: str | None
    logged: list[str]

    def said(self, text: str) -> str:
        """The line of check that holds a text, which the start must have told too."""
        (line,) = (line for line in self.check if text in line)
        told = [self.start] if self.start is not None else self.logged
        assert any(line in (entry or "") for entry in told), (line, self)
        return line


async def ask(settings: Settings) -> Answers:
    """Ask ``check``, then start a component and stop it again."""
    findings = [f for f in await check_all(settings) if f.level != "fact"]
    stopped = None
    with capture_logs() as logs:
        component = Component(settings, patience=0)
        try:
            async with component:
                assert component.advice is not None
                await component.advice
        except StartError as error:
            stopped = str(error)
    assert (stopped is not None) == any(f.stops for f in findings), (stopped, findings)
    logged = [entry["problem"] for entry in logs if entry["event"] == "not as it should be"]
    return Answers([f.problem for f in findings], stopped, logged)


class Said:
    """What is logged, to be waited for."""

    def __init__(self) -> None:
        self.entries: list[structlog.typing.EventDict] = []
        self._news = asyncio.Event()

    def __call__(
        self, _logger: object, level: str, entry: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        self.entries.append(entry)
        self._news.set()
        raise structlog.DropEvent

    def of(self, event: str, **fields: object) -> list[structlog.typing.EventDict]:
        """The entries of one event that have these fields."""
        return [e for e in self.entries if {"event": event, **fields}.items() <= e.items()]

    async def until(
        self, event: str, seconds: float = 10, **fields: object
    ) -> structlog.typing.EventDict:
        """Wait for an event with these fields to be logged, and return its first entry."""
        async with asyncio.timeout(seconds):
            while not self.of(event, **fields):
                self._news.clear()
                await self._news.wait()
        return self.of(event, **fields)[0]


@pytest.fixture
def said() -> Iterator[Said]:
    """Everything that is logged."""
    processors = structlog.get_config()["processors"]
    before = list(processors)
    heard = Said()
    # Loggers that are in use keep this very list.
    processors[:] = [heard]
    yield heard
    processors[:] = before
