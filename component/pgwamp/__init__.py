"""pgwamp: a PostgreSQL database as a full peer on a WAMP realm."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("pgwamp")
except PackageNotFoundError:  # a source tree on sys.path that nobody installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
