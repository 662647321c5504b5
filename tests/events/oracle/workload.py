"""Writers: random transactions on several tables, whatever happens to the server."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.events.oracle.statements import Statements
from tests.events.oracle.tables import BULK, BULK_ROWS, WRITTEN

#: The server is away, or on its way back.
LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
#: What writers do to each other. Anything else would be a write that capturing has broken.
CONFLICTS = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
ISOLATION = ("read_committed", "read_committed", "repeatable_read", "serializable")


@dataclass
class Workload:
    """Transactions by several writers until :meth:`stop`.

    :param pause: seconds between two transactions of a writer, on the average.
    :ivar ended: how transactions ended, as far as the writers know.
    """

    url: str
    seed: int
    writers: int = 8
    pause: float = 0.03
    ended: Counter[str] = field(default_factory=Counter)
    _stopping: bool = False

    async def run(self) -> None:
        """Write, connecting again whenever the server went away."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.writers):
                group.create_task(self._writer(random.Random(f"{self.seed}/{number}")))

    def stop(self) -> None:
        """Let the writers finish the transactions under way."""
        self._stopping = True

    async def flood(self) -> None:
        """Write so many rows at once that something is under way when something is killed."""
        try:
            connection = await asyncpg.connect(self.url, timeout=5)
        except LOST:
            return
        try:
            rows = [{"id": number, "note": "x"} for number in range(BULK_ROWS)]
            await Statements(BULK, connection, random.Random()).upsert(rows)
        except LOST:
            self.ended["cut off"] += 1
        else:
            self.ended["committed"] += 1
        finally:
            connection.terminate()

    async def _writer(self, rng: random.Random) -> None:
        while not self._stopping:
            try:
                connection = await asyncpg.connect(
                    self.url, timeout=5, server_settings={"lock_timeout": "1500"}
                )
            except LOST:
                await asyncio.sleep(0.1)  # the server is being restarted
                continue
            try:
                while not self._stopping:
                    await self._transaction(connection, rng)
                    await asyncio.sleep(rng.expovariate(1 / self.pause))
            except LOST:
                # If it was lost in COMMIT nobody knows; the journal will.
                self.ended["cut off"] += 1
            finally:
                connection.terminate()

    async def _transaction(self, connection: Any, rng: random.Random) -> None:
        transaction = connection.transaction(isolation=rng.choice(ISOLATION))
        await transaction.start()
        try:
            if rng.random() < 0.2:
                # A crash takes back what the client believes is committed.
                await connection.execute("set local synchronous_commit = off")
            for _ in range(rng.choice([1, 1, 2, 3, 6])):
                await self._step(connection, rng)
            if rng.random() < 0.03:
                await asyncio.sleep(rng.uniform(0.2, 3))  # a slow transaction
        except CONFLICTS:
            await transaction.rollback()
            self.ended["conflict"] += 1
            return
        if rng.random() < 0.1:
            await transaction.rollback()
            self.ended["rolled back"] += 1
            return
        try:
            await transaction.commit()
        except CONFLICTS:
            self.ended["conflict"] += 1
            return
        self.ended["committed"] += 1

    async def _step(self, connection: Any, rng: random.Random) -> None:
        """A change, perhaps in a savepoint that is perhaps rolled back."""
        statements = Statements(rng.choice(WRITTEN), connection, rng)
        if rng.random() < 0.7:
            await statements.change()
            return
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            await statements.change()
        except asyncpg.UniqueViolationError:
            await savepoint.rollback()
            return
        if rng.random() < 0.4:
            await savepoint.rollback()
        else:
            await savepoint.commit()
