"""Repairs of asyncpg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
from asyncpg import connect_utils
from asyncpg.pool import PoolConnectionProxy

#: Beginnings of SQLSTATEs that the driver takes for warnings, and that mean the end of a connection
#: or that there is none: connections, shutdowns, and too many connections.
_MISTAKEN = ("00", "01", "02", "03", "08", "57P", "53300")


def repair_driver() -> None:
    """Repair what this process uses of asyncpg; once, when it is imported."""
    _repair_errors()
    _repair_upgrades()
    _repair_proxies()


def _repair_upgrades() -> None:
    """Keep asyncio from logging "exception was never retrieved" of a connection that is given up.

    The driver's protocol keeps an exception for the task that connects, until the server has said
    whether it speaks TLS. A task that is cancelled meanwhile never asks for it.
    """
    protocol: Any = connect_utils.TLSUpgradeProto
    original = protocol.__init__

    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.on_data.add_done_callback(lambda done: done.cancelled() or done.exception())

    protocol.__init__ = begin


def _repair_proxies() -> None:
    """Have attributes of our own say that a connection is lost, as the driver's own methods do.

    The driver takes a lost connection out of its proxy, and looks for them in None then.
    """
    proxy: Any = PoolConnectionProxy
    original = proxy.__getattr__

    def get(self: Any, name: str) -> Any:
        if self._con is None:
            raise asyncpg.InterfaceError(f"the connection is lost or given back: no {name}")
        return original(self, name)

    proxy.__getattr__ = get


def _repair_errors() -> None:
    """Have an error that code in the database raises be one, whatever SQLSTATE it has chosen.

    The driver makes warnings of some, which cannot be raised as exceptions, and takes others for
    the end of the connection, which the server tells with the severity FATAL or PANIC.
    """
    driver: Any = asyncpg.PostgresError
    original = driver._get_error_class

    def error_class(cls: type[asyncpg.PostgresError], fields: Mapping[str, Any]) -> Any:
        sqlstate = fields.get("C") or ""
        if fields.get("V") == "ERROR" and sqlstate.startswith(_MISTAKEN):
            return asyncpg.exceptions.UnknownPostgresError
        return original(fields)

    driver._get_error_class = classmethod(error_class)
