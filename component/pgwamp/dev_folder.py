"""The settings that ``pgwamp dev`` serves with in a folder, for other commands there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Below the application's folder; what ``pgwamp dev`` keeps.
STATE = ".pgwamp"
#: The settings that it serves with, with passwords, and the process that does.
_FILE = "running.json"
#: Sections of settings, as they are given to :class:`~pgwamp.settings.Settings`.
Sections = Mapping[str, Mapping[str, Any]]


@contextmanager
def running(folder: Path, serving: Sections, calling: Sections) -> Iterator[None]:
    """Let commands in ``folder`` find what is served there, until this ends.

    :param serving: settings for those that need the database, or the component's place at the
        router.
    :param calling: settings for clients.
    """
    file = folder / STATE / _FILE
    told = {"process": os.getpid(), "serving": serving, "calling": calling}
    file.unlink(missing_ok=True)
    # For this user alone from the beginning.
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writing:
        json.dump(told, writing)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def serving(folder: Path) -> Sections:
    """The settings of the ``pgwamp dev`` that runs in a folder; none where none does."""
    return _told(folder, "serving")


def calling(folder: Path) -> Sections:
    """The settings of its clients."""
    return _told(folder, "calling")


def _told(folder: Path, part: str) -> Sections:
    try:
        told = json.loads((folder / STATE / _FILE).read_text(encoding="utf-8"))
        # It was killed, if nobody has its number.
        os.kill(told["process"], 0)
        sections: Sections = told[part]
    except (OSError, ValueError, KeyError):
        return {}
    return sections
