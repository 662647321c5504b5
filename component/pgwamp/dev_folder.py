"""The database of the ``pgwamp dev`` that runs in a folder, for other commands there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

#: Below the application's folder; what ``pgwamp dev`` keeps.
STATE = ".pgwamp"
#: In ``postmaster.pid``.
_PORT_LINE, _STATUS_LINE = 3, 7


def database_url(folder: Path, database: str) -> str | None:
    """Its address, without the password, which a file has; None where none runs."""
    data = folder / STATE / "postgres"
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    if len(lines) <= _STATUS_LINE or lines[_STATUS_LINE].strip() != "ready":
        return None
    passfile = quote(str(data.with_name("postgres.pgpass").resolve()))
    return (
        f"postgresql://postgres@127.0.0.1:{lines[_PORT_LINE].strip()}/{quote(database, safe='')}"
        f"?passfile={passfile}"
    )
