"""``python -m tests.hostile.measured run``: pgwamp, and how long each callback holds its loop.

Processor time is measured, and not the time that passes: what else the machine does is no part of
it. It begins with the first call, because the start is not what callers bring about. What was
measured is written, as JSON, to the file that ``PGWAMP_TEST_MEASURED`` names when pgwamp ends.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from autobahn.wamp import message

from pgwamp.session.codec import Unreadable
from pgwamp.session.wamp import WampSession

VARIABLE = "PGWAMP_TEST_MEASURED"
LARGEST = 20


class Measurement:
    """The largest holds of the loop, and the calls that have reached the component.

    Collecting garbage is measured apart: it is the work of all calls, and falls to one by chance.
    """

    def __init__(self) -> None:
        self._holds: list[tuple[float, int, str]] = []
        self._number = 0
        self._callbacks = 0
        self._collecting = self._collected = self._longest_collection = 0.0
        self._calls: Counter[str] = Counter()

    def install(self) -> None:
        """Measure from now on, in whatever loop is run."""
        run_handle: Any = asyncio.Handle._run
        take_message: Any = WampSession.onMessage

        def measured_run(handle: Any) -> None:
            collected, began = self._collected, time.thread_time()
            run_handle(handle)
            took = time.thread_time() - began
            if self._calls:
                self._held(took - (self._collected - collected), handle)

        def counted_message(session: WampSession, msg: Any) -> None:
            if isinstance(msg, message.Invocation):
                registration = session._registrations.get(msg.registration)
                self._calls[registration.procedure if registration else "gone"] += 1
            elif isinstance(msg, Unreadable):
                self._calls["unreadable"] += 1
            take_message(session, msg)

        asyncio.Handle._run = measured_run  # type: ignore[method-assign]
        WampSession.onMessage = counted_message  # type: ignore[method-assign]
        gc.callbacks.append(self._collect)

    def _held(self, took: float, handle: Any) -> None:
        self._callbacks += 1
        if len(self._holds) == LARGEST and took <= self._holds[0][0]:
            return
        self._number += 1
        hold = (took, self._number, _name(handle._callback))
        if len(self._holds) < LARGEST:
            heapq.heappush(self._holds, hold)
        else:
            heapq.heapreplace(self._holds, hold)

    def _collect(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
        else:
            took = time.thread_time() - self._collecting
            self._collected += took
            self._longest_collection = max(self._longest_collection, took)

    def write(self, file: Path) -> None:
        """Write what was measured."""
        holds = [
            (round(took * 1000, 2), name) for took, _, name in sorted(self._holds, reverse=True)
        ]
        result = {
            "calls": self._calls,
            "callbacks": self._callbacks,
            "holds": holds,
            "longest_collection": round(self._longest_collection * 1000, 2),
        }
        file.write_text(json.dumps(result, indent=2))


def _name(callback: Any) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine: Any = owner.get_coro()
        frame = getattr(coroutine, "cr_frame", None)
        line = f":{frame.f_lineno}" if frame is not None else ""
        return f"{coroutine.__qualname__}{line}"
    return str(getattr(callback, "__qualname__", repr(callback)))


def main() -> None:
    """Run the ``pgwamp`` command."""
    # Ctrl-C is for those who started this.
    os.setsid()
    # uvloop cannot be looked into: without it pgwamp takes asyncio's own loop.
    sys.modules["uvloop"] = None  # type: ignore[assignment]
    from pgwamp.cli import main as pgwamp

    measurement = Measurement()
    measurement.install()
    try:
        pgwamp()
    finally:
        measurement.write(Path(os.environ[VARIABLE]))


if __name__ == "__main__":
    main()
