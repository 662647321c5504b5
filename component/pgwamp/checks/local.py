"""Requirements of the machine itself: files and ports."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from pgwamp.checks.finding import Finding, Level
from pgwamp.errors import SettingsError
from pgwamp.settings import Settings

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
#: Seconds that whoever answers at the port of the metrics has.
_ANSWER_SECONDS = 3.0
#: Bytes of the answer that are looked at.
_MOST_READ = 65_536
#: Names of what metrics of pgwamp begin with.
_OURS = b"pgwamp_"


async def check_settings(settings: Settings) -> list[Finding]:
    """Whether a database is named, and something of it exposed."""
    findings = []
    for require in (settings.require_database, settings.require_exposure):
        try:
            require()
        except SettingsError as error:
            findings.append(Finding("settings", str(error)))
    return findings


async def check_files(settings: Settings) -> list[Finding]:
    """Whether other users of the machine may read secrets, or write what commands the component."""
    findings = []
    for path, mode in _modes(settings.secret_files()):
        if mode & (stat.S_IRGRP | stat.S_IROTH | _OTHERS_WRITE):
            problem = (
                f"{path} holds a secret, and other users of this machine may read or write it "
                f"({stat.filemode(mode)}): chmod 600 {shlex.quote(str(path))}"
            )
            findings.append(Finding("settings", problem))
    for path, mode in _modes(settings.trusted_files()):
        if mode & _OTHERS_WRITE:
            problem = (
                f"other users of this machine may write to {path} ({stat.filemode(mode)}), and so "
                f"say what is exposed and executed: chmod go-w {shlex.quote(str(path))}"
            )
            # A group may be the user's own.
            level: Level = "wrong" if mode & stat.S_IWOTH else "advice"
            findings.append(Finding("settings", problem, level))
    return findings


def _modes(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """The files with their modes; one that cannot be found is told by the part that needs it."""
    for path in paths if os.name == "posix" else ():
        try:
            yield path, os.stat(path).st_mode
        except OSError:
            continue


async def check_metrics_port(settings: Settings) -> list[Finding]:
    """Whether the port of the metrics is free, or an instance serves them there."""
    host, port = settings.metrics.host, settings.metrics.port
    if not port:
        return []
    try:
        server = await asyncio.start_server(lambda _, writer: writer.close(), host, port)
    except OSError as error:
        if await _serves_metrics(host, port):
            return [Finding("metrics", f"an instance serves them at {host}:{port}", level="fact")]
        problem = (
            f"metrics.port: cannot listen at {host}:{port} ({error.strerror}): "
            "stop what uses it, or correct metrics.host and metrics.port"
        )
        return [Finding("metrics", problem)]
    server.close()
    return []


async def _serves_metrics(host: str, port: int) -> bool:
    """Whether what listens at a port is another instance of pgwamp."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
                answer = b""
                while len(answer) < _MOST_READ and (part := await reader.read(_MOST_READ)):
                    answer += part
                return _OURS in answer
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
