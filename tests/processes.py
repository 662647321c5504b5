"""``pgwamp`` as a process of its own, to be stopped and killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests import forked


class Pgwamp:
    """One ``pgwamp`` process; its standard error is kept for assertions.

    :param module: what runs the command, if not ``pgwamp`` itself.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        folder: Path,
        module: str | None = None,
    ):
        self._arguments = arguments
        self._module = module
        self._environment = _with(environment)
        self._folder = folder
        self._process: asyncio.subprocess.Process | forked.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        self._news = asyncio.Event()

    async def start(self, until: str = "pgwamp is ready", seconds: float = 30) -> None:
        """Start and wait until a line of its standard error holds ``until``."""
        seen = len(self.lines)
        if self._module is None:
            self._process = await forked.start(
                self._arguments, self._environment, self._folder, apart=False
            )
        else:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module, *self._arguments),
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A shell has its commands in the background ignore it, and whatever they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        self._reader = asyncio.create_task(self._read(self._process))
        await self.until(until, seconds, seen)

    async def until(self, text: str, seconds: float = 30, seen: int = 0) -> None:
        """Wait until a line holds ``text``, after so many lines that have been seen."""
        assert self._reader is not None
        try:
            async with asyncio.timeout(seconds):
                while not any(text in line for line in self.lines[seen:]):
                    if self._reader.done():
                        raise AssertionError(f"pgwamp ended:\n{self.output}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {text!r} within {seconds} s:\n{self.output}") from None

    async def _read(self, process: asyncio.subprocess.Process | forked.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self.lines.append(line.decode(errors="replace").rstrip())
            self._news.set()
        self._news.set()

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def suspend(self) -> None:
        """Stop it as a debugger does: it does nothing, and does not know that."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, if nobody has killed it meanwhile."""
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def output(self) -> str:
        """Everything it wrote."""
        return "\n".join(self.lines)

    async def kill(self) -> None:
        """As a crash: SIGKILL."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting for the end."""
        os.kill(self.pid, signal.SIGTERM)

    async def interrupt(self) -> int:
        """SIGINT, as Ctrl-C; returns the exit code."""
        return await self._end(signal.SIGINT)

    async def ended(self, seconds: float = 20) -> int:
        """Wait until it ends by itself; returns the exit code."""
        assert self._process is not None
        assert self._reader is not None
        await asyncio.wait_for(self._reader, seconds)
        return await self._process.wait()

    async def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        code = await asyncio.wait_for(process.wait(), 20)
        if self._reader is not None:
            await self._reader
        return code


async def run_pgwamp(
    *arguments: str, environment: Mapping[str, str], folder: Path, seconds: float = 30
) -> tuple[int, str, str]:
    """Run a command to its end: exit code, standard output, standard error."""
    process = await forked.start(arguments, _with(environment), folder, apart=True)
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _with(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the tests, and what is given."""
    return {**{k: v for k, v in os.environ.items() if k != "DATABASE_URL"}, **environment}
