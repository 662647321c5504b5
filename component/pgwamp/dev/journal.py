"""A server's log file, and what it last said that explains why it does not run."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TAIL = 64 * 1024


def append(log: Path) -> BinaryIO:
    """Open ``log`` for more lines; its owner alone may read it, because it may hold data."""
    file = log.open("ab")
    os.fchmod(file.fileno(), 0o600)
    return file


def last_words(log: Path, telling: str, *, lines: int = 2) -> str:
    """The last lines of ``log`` that match the regular expression ``telling``, as one line.

    When none does, the last lines there are; without a log, an empty string.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    written = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
    matching = [line for line in written if re.search(telling, line)]
    return " / ".join((matching or written)[-lines:])
