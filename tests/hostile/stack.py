"""The component under attack, as a process that is measured."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.hostile.measured import VARIABLE
from tests.hostile.node import HostileNode
from tests.hostile.served import SCHEMA, write_files
from tests.processes import Pgwamp
from tests.servers import execute

ROOT = Path(__file__).parents[2]
#: Seconds that one call may take: an expensive one holds a connection of the attacker's share.
CALL_TIMEOUT = 5


@dataclass
class Target:
    """What is attacked.

    :ivar measured: what :mod:`tests.hostile.measured` has found, once the component has ended.
    """

    node: HostileNode
    prefix: str
    component: Pgwamp
    _file: Path
    measured: dict[str, Any] = field(default_factory=dict)

    def memory(self) -> int:
        """Bytes that the component has in memory."""
        return int(psutil.Process(self.component.pid).memory_info().rss)

    async def stop(self) -> None:
        """End the component and read what was measured."""
        await self.component.stop()
        self.measured = json.loads(self._file.read_text())


@asynccontextmanager
async def target(
    node: HostileNode,
    database: str,
    folder: Path,
    prefix: str,
    serializer: str = "msgpack",
    call_timeout: float = CALL_TIMEOUT,
) -> AsyncIterator[Target]:
    """Make the schema and start the component, which has joined ``node``.

    :param database: the URL of one that has the ``wamp`` schema.
    :param call_timeout: seconds of ``limits.call_timeout``.
    """
    execute(database, *SCHEMA)
    file = folder / "measured.json"
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    environment = {
        **write_files(folder),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        VARIABLE: str(file),
        "DATABASE_URL": database,
        "PGWAMP_ROUTER__URL": node.router.component_url,
        "PGWAMP_ROUTER__SERIALIZER": serializer,
        "PGWAMP_EXPOSE__PREFIX": prefix,
        "PGWAMP_LIMITS__CALL_TIMEOUT": str(call_timeout),
        "PGWAMP_LOG__FORMAT": "json",
    }
    module = "tests.hostile.measured"
    component = Pgwamp("run", environment=environment, folder=folder, module=module)
    try:
        await component.start()
        yield Target(node, prefix, component, file)
    finally:
        await component.kill()
