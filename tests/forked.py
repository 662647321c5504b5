"""Processes of ``python -m pgwamp`` that need not import everything again.

The imports of a command take up to a second of processor time, and the suite runs hundreds of
commands. So one process imports everything once, and forks for each command: a process like any
other, with an environment, a folder, output and an exit code of its own. The commands of README and
docs start a Python of their own (tests/docs).
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Of one request; the environment is its largest part.
_MAX_REQUEST_BYTES = 128 * 1024
#: Run when they are imported.
_SCRIPTS = ("pgwamp.__main__", "pgwamp.schema.env")


class Process:
    """A running command, with the parts of ``asyncio.subprocess.Process`` that tests use.

    :param answers: what its exit code is read from.
    """

    def __init__(
        self,
        pid: int,
        answers: asyncio.StreamReader,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader | None,
    ):
        self.pid = pid
        self.stdout = stdout
        self._stderr = stderr
        self.returncode: int | None = None
        self._end = asyncio.create_task(self._read_exit_code(answers))

    async def _read_exit_code(self, answers: asyncio.StreamReader) -> int:
        self.returncode = int(await answers.readline())
        return self.returncode

    async def wait(self) -> int:
        """Wait for the end; the exit code, or the signal that ended it as a negative number."""
        return await asyncio.shield(self._end)

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end; standard output and standard error."""
        assert self._stderr is not None
        out, err = await asyncio.gather(self.stdout.read(), self._stderr.read())
        await self.wait()
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash does."""
        self.send_signal(signal.SIGKILL)


async def start(
    arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, *, apart: bool
) -> Process:
    """Run ``pgwamp`` with arguments.

    :param environment: all of it.
    :param apart: standard error is read by itself, and not with standard output.
    """
    request = {"arguments": arguments, "environment": dict(environment), "folder": str(folder)}
    pipes = [os.pipe() for _ in ("answers", "stdout", "stderr")[: 3 if apart else 2]]
    socket.send_fds(_server(), [json.dumps(request).encode()], [writing for _, writing in pipes])
    for _, writing in pipes:
        os.close(writing)
    answers, stdout, *stderr = [await _reader(reading) for reading, _ in pipes]
    return Process(int(await answers.readline()), answers, stdout, stderr[0] if stderr else None)


async def _reader(file: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb")
    )
    return reader


@functools.cache
def _server() -> socket.socket:
    """Start the process that forks; it ends with the last copy of this end."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = (sys.executable, "-m", __name__, str(its.fileno()))
    subprocess.Popen(command, pass_fds=[its.fileno()], cwd=Path(__file__).parents[1])
    its.close()
    return ours


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; returns it in the new process, and None at the end of all."""
    # Nobody waits for the children: each tells the exit code of its command by itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(requests, _MAX_REQUEST_BYTES, 3)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # A shell has its commands in the background ignore it, and whatever they start.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _fork_command(files)
            request: dict[str, Any] = json.loads(message)
            return request
        for file in files:
            os.close(file)


def _fork_command(files: list[int]) -> None:
    """Return in a child with the files; tell its pid and exit code, and end with it."""
    answers, stdout, *stderr = files
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr[0] if stderr else stdout, 2)
        for file in files[1:]:
            os.close(file)
        return
    for file in files[1:]:
        os.close(file)
    os.write(answers, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def main() -> None:
    """Import everything, and run commands in forks."""
    import pgwamp

    for module in pkgutil.walk_packages(pgwamp.__path__, "pgwamp."):
        if module.name not in _SCRIPTS and ".versions." not in module.name:
            importlib.import_module(module.name)
    # The objects of the imports stay shared: no collection writes to them.
    gc.collect()
    gc.freeze()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path[0] = request["folder"]
        sys.argv = ["pgwamp", *request["arguments"]]
        runpy.run_module("pgwamp", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
