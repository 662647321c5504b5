"""The password of a server's superuser: made once, and kept in a file that psql reads.

Every user of a machine can connect to a port on its loopback address: only a password keeps the
others out.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

#: Random bytes in a password: nobody guesses 192 bits.
PASSWORD_BYTES = 24
_ACCESS = """\
# Written once by pgwamp: everybody needs a password. What is added here stays.
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""
_MARK = _ACCESS.splitlines()[0]


def ensure(data: Path, file: Path, user: str, run_alone: Callable[[str], None]) -> str:
    """Make the server ask for a password, unless an earlier start did; return that of ``user``.

    :param file: keeps the password, in the format of ``PGPASSFILE``, readable by its owner.
    :param run_alone: run a statement in the stopped server.
    """
    access = data / "pg_hba.conf"
    if file.exists() and access.read_text().startswith(_MARK):
        return file.read_text().strip().rpartition(":")[2]
    # The letters, digits, - and _ of this need no quoting in SQL, in a URL or in the file.
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    run_alone(f"alter role {user} password '{password}'")
    access.write_text(_ACCESS)
    # Last: a start that was interrupted before begins anew.
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
        kept.write(f"127.0.0.1:*:*:{user}:{password}\n")
    return password
