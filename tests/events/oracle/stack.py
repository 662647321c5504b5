"""PostgreSQL, Crossbar and two instances of the component: servers to be killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import asyncpg
import psutil
import psycopg2

from pgwamp import migrations
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from tests.events.oracle import odd
from tests.events.oracle.tables import SCHEMA, VIRTUAL
from tests.events.oracle.workload import LOST
from tests.processes import Pgwamp
from tests.servers import FAST, execute, postgres_bin, server_folder

INSTANCES = 2
#: Seconds until a start is overdue; what it needs may be starting as well.
OVERDUE = 120
_LEADER = """
select client_port from pg_stat_activity where application_name = 'pgwamp sequencer' limit 1
"""


class Stack:
    """Everything between a writer and a subscriber."""

    def __init__(self, postgres: Postgres, router: Router, components: list[Pgwamp]):
        self.postgres = postgres
        self.router = router
        self.components = components

    @property
    def url(self) -> str:
        """Of the database."""
        return self.postgres.url()

    @property
    def output(self) -> str:
        """What the components wrote last."""
        return "\n".join(f"--- instance\n{c.output[-4000:]}" for c in self.components)

    async def start(self, component: Pgwamp) -> None:
        """Start an instance, again if what it needs was killed under it, as a supervisor does."""
        async with asyncio.timeout(OVERDUE):
            while True:
                try:
                    await component.start(seconds=OVERDUE)
                    return
                except AssertionError:
                    if component.running:
                        raise

    def require_running(self) -> None:
        """Assert that no instance ended by itself."""
        for number, component in enumerate(self.components):
            assert component.running, f"instance {number} ended:\n{component.output[-4000:]}"

    async def leader(self) -> Pgwamp | None:
        """The instance that makes events, if there is one now."""
        try:
            connection = await asyncpg.connect(self.url, timeout=5)
            try:
                port = await connection.fetchval(_LEADER)
            finally:
                await connection.close(timeout=5)
        except LOST:
            return None
        return next((c for c in self.components if port in _ports(c)), None)


def _ports(component: Pgwamp) -> set[int]:
    try:
        return {c.laddr.port for c in psutil.Process(component.pid).net_connections("tcp")}
    except psutil.NoSuchProcess:
        return set()


@asynccontextmanager
async def stack() -> AsyncIterator[Stack]:
    """Start everything; stop it at the end, also what was killed and is starting again."""
    # Durable: it is about to crash. Writers meet often, and should learn it soon.
    options = {**FAST, "fsync": "on", "full_page_writes": "on", "deadlock_timeout": "100"}
    # Where transactions can be prepared, the sequencer never sleeps.
    options["max_prepared_transactions"] = "0"
    async with AsyncExitStack() as exits:
        folder = exits.enter_context(server_folder())
        postgres = Postgres(folder / "data", bin=postgres_bin(), options=options, trust=True)
        router = Router(folder / "node", port=0)
        exits.push_async_callback(asyncio.to_thread, postgres.stop, "immediate")
        exits.push_async_callback(asyncio.to_thread, router.kill)
        await asyncio.gather(asyncio.to_thread(_prepare, postgres), asyncio.to_thread(router.start))
        environment = {
            "DATABASE_URL": postgres.url(),
            "PGWAMP_ROUTER__URL": router.component_url,
            "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        }
        components = [
            Pgwamp("run", environment=environment, folder=Path(folder)) for _ in range(INSTANCES)
        ]
        for component in components:
            exits.push_async_callback(component.kill)
        await asyncio.gather(*(c.start(seconds=OVERDUE) for c in components))
        yield Stack(postgres, router, components)


def _prepare(postgres: Postgres) -> None:
    postgres.start()
    migrations.upgrade(postgres.url())
    execute(postgres.url(), *SCHEMA, *odd.SCHEMA)
    with closing(psycopg2.connect(postgres.url())) as connection:
        version = connection.server_version
    if version >= 180000:
        execute(postgres.url(), VIRTUAL)
