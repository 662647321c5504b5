"""One program at a time over a server's folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pgwamp.errors import StartError


class Claim:
    """The right to run a server over ``folder``, as a locked file beside it.

    The kernel lets go of the lock when its holder dies, however it dies. So a server that still
    runs over a folder that could be claimed has been left behind by a killed program, and may be
    stopped; one over a folder that could not be claimed is in use, and may not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder.with_name(folder.name + ".lock")
        self._file: int | None = None

    def take(self) -> None:
        """Claim the folder, once or again.

        :raises StartError: another program holds it.
        """
        if self._file is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise StartError(
                f"{self._folder} is in use by another pgwamp dev (process {holder}):"
                " stop that one first"
            ) from None
        os.truncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the folder up; harmless when it was not claimed."""
        if self._file is not None:
            # The file stays: removing it would let two later claimants lock two different files.
            os.close(self._file)
            self._file = None
