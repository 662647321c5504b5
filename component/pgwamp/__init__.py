"""pgwamp: a PostgreSQL database as a full peer on a WAMP realm.

What an application imports is here; everything else may change with any version. The names are
loaded when they are first asked for, so that a command does not load Autobahn.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgwamp.access import Caller as Caller
    from pgwamp.component import Component as Component
    from pgwamp.errors import CallError as CallError
    from pgwamp.errors import InvalidArgument as InvalidArgument
    from pgwamp.errors import NotAuthorized as NotAuthorized
    from pgwamp.errors import NotFound as NotFound
    from pgwamp.errors import PgwampError as PgwampError
    from pgwamp.errors import SettingsError as SettingsError
    from pgwamp.errors import StartError as StartError
    from pgwamp.errors import Unavailable as Unavailable
    from pgwamp.session import Result as Result
    from pgwamp.session import register as register
    from pgwamp.settings import Settings as Settings

try:
    __version__ = version("pgwamp")
except PackageNotFoundError:  # a source tree on sys.path that nobody installed
    __version__ = "0+unknown"

#: The module of each name.
_MODULES = {
    "CallError": "errors",
    "Caller": "access",
    "Component": "component",
    "InvalidArgument": "errors",
    "NotAuthorized": "errors",
    "NotFound": "errors",
    "PgwampError": "errors",
    "Result": "session",
    "Settings": "settings",
    "SettingsError": "errors",
    "StartError": "errors",
    "Unavailable": "errors",
    "register": "session",
}

__all__ = [
    "CallError",
    "Caller",
    "Component",
    "InvalidArgument",
    "NotAuthorized",
    "NotFound",
    "PgwampError",
    "Result",
    "Settings",
    "SettingsError",
    "StartError",
    "Unavailable",
    "__version__",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
