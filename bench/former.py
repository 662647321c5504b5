"""A former revision of pgwamp, to be measured beside this one: ``--against REVISION``.

Its component and its migrations run from an export of the revision, in this checkout's environment
and with its own defaults. Clients, router and PostgreSQL are the same for both.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from bench.processes import ROOT, running, say

#: A lower ratio of this revision's rate by the former one's is named in the report.
WORTH_NAMING = 0.95
#: Its database, the last part of its prefix, and what reports call it.
NAME = "former"
PREFIX = f"com.example.{NAME}"
_LOCKED = re.compile(r"^([\w.-]+==.*?) \\$", re.MULTILINE)


@dataclass(frozen=True)
class Former:
    """The files of a revision."""

    revision: str
    folder: Path

    @property
    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder / "component")}

    def migrate(self, database: str) -> None:
        """Bring the ``wamp`` schema of a database to where the revision has it.

        :raises SystemExit: the revision does not run in this environment.
        """
        ended = subprocess.run(
            [sys.executable, "-m", "pgwamp", "db", "upgrade"],
            cwd=self.folder,
            env={**os.environ, **self._environment, "DATABASE_URL": database},
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            why = (ended.stderr or ended.stdout).strip().splitlines()
            raise SystemExit(
                f"{self.revision} does not run in this environment: {why[-1] if why else '?'}"
                f"{self._other_packages()}"
            )

    def component(
        self, database: str, router: str, until: str
    ) -> AbstractContextManager[subprocess.Popen[str]]:
        """``pgwamp run`` of the revision, from when it says ``until`` until the context ends."""
        return running(
            [sys.executable, "-m", "pgwamp", "run"],
            until,
            **self._environment,
            DATABASE_URL=database,
            PGWAMP_ROUTER__URL=router,
            PGWAMP_EXPOSE__SCHEMAS='["public"]',
            PGWAMP_EXPOSE__PREFIX=PREFIX,
        )

    def _other_packages(self) -> str:
        """The packages that the revision locks and that are others here, as part of a sentence."""
        named = []
        for line in _LOCKED.findall((self.folder / "requirements.txt").read_text()):
            locked = Requirement(line)
            if locked.marker is None or locked.marker.evaluate():
                here = _installed(locked.name)
                if here is None or not locked.specifier.contains(here, prereleases=True):
                    named.append(f"{locked.name}{locked.specifier} ({here or 'missing'} here)")
        return f"; it was locked with {', '.join(named)}" if named else ""

    def tell_packages(self) -> None:
        """Say which packages are not those that the revision was locked with."""
        if other := self._other_packages():
            say(f"{self.revision} runs in this checkout's environment{other}")


@contextmanager
def export(revision: str) -> Iterator[Former]:
    """The files of a revision in a temporary folder, which is removed when the context ends.

    An export and no worktree: whatever ends this program, the repository knows nothing of it.

    :raises SystemExit: there is no such revision.
    """
    archive = subprocess.run(
        ["git", "archive", "--format=tar", f"{revision}^{{commit}}"], cwd=ROOT, capture_output=True
    )
    if archive.returncode:
        raise SystemExit(f"{revision}: {archive.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory(prefix="pgwamp-former-") as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder, filter="data")
        # As make lays it; an editable install would map it to this checkout's.
        (folder / "component" / "pgwamp" / "schema").symlink_to("../../schema")
        former = Former(revision, folder)
        former.tell_packages()
        yield former


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
