"""A caller who does nothing wrong, in a process of its own, and must not notice what others do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pgwamp import logs
from pgwamp.errors import CallError
from pgwamp.session import Client
from pgwamp.settings import LogSettings, RouterSettings

#: Seconds from one call to the next, and until a call has failed.
PAUSE, PATIENCE = 0.05, 20.0
#: Seconds from one line about what was seen to the next.
TOLD_EVERY = 1.0
_ROOT = Path(__file__).parents[2]


class Caller:
    """Calls some procedures, all of them at the same moments."""

    def __init__(self, client: Client, expected: Mapping[str, Any]):
        self._client = client
        self._expected = expected
        self._session = client.link.session
        self._waits: dict[str, list[float]] = {uri: [] for uri in expected}
        self._failures: list[str] = []

    async def call_until(self, done: asyncio.Event) -> None:
        """Call again and again, at least once after ``done``."""
        told = -TOLD_EVERY
        last = False
        while not last:
            last = done.is_set()
            await asyncio.gather(*(self._call(uri) for uri in self._expected))
            if time.monotonic() >= told + TOLD_EVERY:
                told = time.monotonic()
                self._tell(waits={uri: [] for uri in self._expected})
            await asyncio.sleep(0 if last else PAUSE)
        self._tell(waits=self._waits)

    def _tell(self, waits: dict[str, list[float]]) -> None:
        said = {
            "calls": sum(len(known) for known in self._waits.values()),
            "failures": self._failures,
            "is_lost": self._session.closed.done(),
            "waits": waits,
        }
        print(json.dumps(said), flush=True)

    async def _call(self, uri: str) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._client.call(uri)
            if answer != self._expected[uri]:
                self._failures.append(f"{uri} answered {answer!r}")
        except (CallError, TimeoutError) as error:
            self._failures.append(f"{uri}: {error!r}")
        self._waits[uri].append(time.monotonic() - began)


class Victim:
    """The process of a :class:`Caller`; ``async with Victim(url, expected) as victim``.

    :ivar calls: calls answered, right or wrong.
    :ivar failures: what was no right answer.
    :ivar is_lost: whether its session ended while it called.
    :ivar waits: seconds until each answer came, by URI; known at the end.
    """

    def __init__(self, url: str, expected: Mapping[str, Any]):
        self._arguments = (url, json.dumps(expected))
        self.calls = 0
        self.failures: list[str] = []
        self.is_lost = False
        self.waits: dict[str, list[float]] = {}

    async def __aenter__(self) -> Self:
        paths = (str(_ROOT), os.environ.get("PYTHONPATH", ""))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.hostile.victim", *self._arguments),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for those who started this.
            start_new_session=True,
            # The last line holds every wait.
            limit=2**26,
        )
        assert self._process.stdout is not None
        self._take(await self._process.stdout.readline())
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have it end with its last call, and read what it has seen."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._reading, PATIENCE * 2)
        finally:
            if self._process.returncode is None and not self._reading.done():
                self._process.kill()
            await self._process.wait()

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            self._take(line)

    def _take(self, line: bytes) -> None:
        said = json.loads(line)
        self.calls, self.failures, self.is_lost, self.waits = (
            said[name] for name in ("calls", "failures", "is_lost", "waits")
        )


async def _call(url: str, expected: Mapping[str, Any]) -> None:
    """Call until the standard input is closed."""
    done = asyncio.Event()
    async with Client(RouterSettings(url=url)) as client:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), done.set)
        await Caller(client, expected).call_until(done)


if __name__ == "__main__":
    # The standard output is for what it tells.
    logs.configure(LogSettings(level="error"))
    asyncio.run(_call(sys.argv[1], json.loads(sys.argv[2])))
