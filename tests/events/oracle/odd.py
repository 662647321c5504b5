"""What the journal knows nothing of: triggers, cascades, locks, tables that become others.

Triggers and foreign keys write for themselves, so nobody writes down what was committed here.
Each event has to fit the copy that the events before have made, and the copy is like the table in
the end.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from tests.events.oracle.tables import ACCOUNT, PARCEL, READING, WORD
from tests.events.oracle.workload import CONFLICTS, LOST
from tests.transactions import SCHEMA as TRANSACTIONS
from tests.transactions import TABLES, transact

WRITER = "odd_writer"
#: Settings that show in how values are written, of the role and of its sessions.
_SETTINGS = {
    "datestyle": ("'German, DMY'", "'SQL, MDY'", "'Postgres, YMD'"),
    "intervalstyle": ("sql_standard", "postgres_verbose"),
    "timezone": ("'Asia/Kathmandu'", "'America/St_Johns'"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-15", "0"),
    "quote_all_identifiers": ("on", "off"),
    "standard_conforming_strings": ("off", "on"),
    "check_function_bodies": ("off", "on"),
    "plan_cache_mode": ("force_generic_plan", "force_custom_plan"),
}
SCHEMA = (
    *TRANSACTIONS,
    "alter table named add at timestamptz default now(), add pause interval default '1 mon 02:03', "
    r"add bytes bytea default '\xdeadbeef', add rate float8 default random(), "
    "add price money default 12.5, add day date default '2024-02-29'",
    *(f"select wamp.watch('{name}')" for name in TABLES),
    f"create role {WRITER} login",
    *(f"alter role {WRITER} set {name} = {values[0]}" for name, values in _SETTINGS.items()),
    f"grant all on {', '.join(TABLES)} to {WRITER}",
    # The writer sees some rows only; events are of all rows.
    "alter table named enable row level security",
    f"create policy low on named to {WRITER} using (id < 9) with check (true)",
    "create schema elsewhere",
    "create table churn (id int primary key, v int)",
    "select wamp.watch('churn')",
)
_WRITE = "insert into churn values (1, 1) on conflict (id) do update set v = churn.v + 1"
#: Each makes another table of the watched one, or of what bears its name.
_CHANGES = (
    "alter table churn rename to away; alter table away rename to churn",
    "alter table churn set schema elsewhere; alter table elsewhere.churn set schema public",
    "create table fresh (like churn including all); insert into fresh values (1, 1), (2, 2);"
    "alter table churn rename to old; alter table fresh rename to churn;"
    f"select wamp.watch('churn'); {_WRITE}; drop table old",
    "create table fresh (like churn including all); select wamp.watch('fresh');"
    "insert into fresh values (7, 7); alter table churn rename to old;"
    "alter table fresh rename to churn; alter table old rename to fresh;"
    f"insert into fresh values (70, 70); {_WRITE}; drop table fresh",
    "drop table churn; create table churn (id int primary key, v int, more text default 'x');"
    f"select wamp.watch('churn'); {_WRITE}",
    "select wamp.unwatch('churn'); select wamp.watch('churn')",
    "do $$ begin execute (select format('alter table churn drop constraint %I', conname) "
    "from pg_constraint where conrelid = 'churn'::regclass and contype = 'p'); "
    "alter table churn add primary key (id); end $$",
)
#: Tables of which nobody takes a snapshot, which would wait.
_LOCKED = (ACCOUNT, PARCEL, READING, WORD)


class Odd:
    """Odd writers, changes of a table, and locks, until :meth:`stop`.

    :param longest_lock: seconds that a table stays locked at most.
    :ivar done: how often each kind was done.
    """

    def __init__(self, url: str, seed: int, longest_lock: float):
        self._url = url
        self._seed = seed
        self._longest_lock = longest_lock
        self._stopping = asyncio.Event()
        self.done: Counter[str] = Counter()

    async def run(self) -> None:
        """Do all of it again and again, also while the server comes and goes."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self._repeat("odd transactions", self._transact, 0.1))
            group.create_task(self._repeat("another table", self._churn, 3))
            group.create_task(self._repeat("table locked", self._lock, 5))

    def stop(self) -> None:
        """End what is under way."""
        self._stopping.set()

    async def _repeat(
        self, kind: str, act: Callable[[random.Random], Awaitable[None]], pause: float
    ) -> None:
        rng = random.Random(f"{self._seed}/{kind}/{self.done[kind]}")
        while not self._stopping.is_set():
            try:
                await act(rng)
            except (*LOST, *CONFLICTS, asyncpg.InsufficientPrivilegeError):
                # The last one: a row would go out of sight of its writer.
                await self._wait(0.1)
            else:
                self.done[kind] += 1
                await self._wait(rng.expovariate(1 / pause))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    @asynccontextmanager
    async def _connected(self, user: str | None = None) -> AsyncIterator[Any]:
        settings = {"lock_timeout": "3000"}
        connection = await asyncpg.connect(
            self._url, user=user, timeout=5, server_settings=settings
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def _transact(self, rng: random.Random) -> None:
        """Some transactions of a role whose rows and settings are its own."""
        async with self._connected(WRITER) as connection:
            for _ in range(20):
                name = rng.choice(list(_SETTINGS))
                await connection.execute(f"set {name} = {rng.choice(_SETTINGS[name])}")
                await transact(connection, rng)

    async def _churn(self, rng: random.Random) -> None:
        """Rename, swap, drop or unwatch the table, in one transaction or step by step."""
        change = rng.choice(_CHANGES)
        async with self._connected() as connection:
            await connection.execute(f"begin; {change}; commit")
            await connection.execute(_WRITE)

    async def _lock(self, rng: random.Random) -> None:
        """Lock a table, while everything else goes on."""
        async with self._connected() as connection:
            table = rng.choice(_LOCKED).name
            await connection.execute(f"begin; lock table {table} in access exclusive mode")
            await self._wait(rng.uniform(1, self._longest_lock))
