"""What everything here is measured on: one PostgreSQL, one Crossbar.io, equal tables.

``plain`` is nobody's concern, ``watched`` and ``batched`` are watched by pgwamp, and both ``naive``
ones have the trigger that one writes first: for each row, ``pg_notify`` of its JSON.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from bench.former import NAME, Former
from bench.processes import running, say
from pgwamp import migrations
from pgwamp.dev import processes
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router

#: Each is the table, the channel, and part of the topic of a hand-written bridge: one runs on the
#: loop that Autobahn takes by itself, the other on that of ``pgwamp run``.
NAIVE, NAIVE_UVLOOP = "naive", "naive_uvloop"


def topic(table: str) -> str:
    """Of a table's inserts."""
    return f"com.example.{table}.inserted"


WATCHED_TOPIC, BATCHED_TOPIC = topic("watched"), topic("batched")
_TABLE = """
create table {} (
    id bigint primary key generated always as identity, device int not null,
    value numeric(10, 2) not null, note text not null, stamp float8 not null
)
"""
_NAIVE = """
create or replace function tell() returns trigger language plpgsql as $$
begin
    perform pg_notify(tg_table_name, to_jsonb(new)::text);
    return null;
end
$$;
create trigger tell after insert on {} for each row execute function tell()
"""
#: The server's clock, just before the commit. Everything runs on one machine: clients share it.
STAMP = "extract(epoch from clock_timestamp())"
_BULK = f"""
insert into {{}} (device, value, note, stamp)
select n % 1000, n / 7.0, 'a reading of device ' || n % 1000, {STAMP}
from generate_series(1, {{}}) as n
"""


_FORGET = """
-- What tells the sequencer which tables are watched stays.
delete from wamp.raw where op not in ('w', 'l', 'x', 'f');
update wamp.sequencer
set (position, mark, seen, taking, removed_position, removed_mark) = (
    select p.position, p.mark, p.seen, p.taking, p.position, p.mark from wamp.progress as p);
truncate wamp.log;
update wamp.publication as p set position = s.position, mark = s.mark from wamp.sequencer as s
"""
#: The same of revisions before 0101.
_FORGET_OUTBOX = """
truncate wamp.event;
update wamp.publisher set published = pg_current_snapshot(), polled = null, last_id = null
"""


def median(values: Iterable[float], digits: int | None = None) -> float:
    """The median, rounded."""
    return round(statistics.median(values), digits)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of each round's ratio: what else a shared machine did, it did to both."""
    return median((our / their for our, their in zip(ours, theirs, strict=True)), 2)


@dataclass(frozen=True)
class Effort:
    """How much is done.

    :ivar rounds: of each measurement, the sides taking turns.
    :ivar seconds: that writers write in a round.
    :ivar events: of a round of single events.
    :ivar rows: of a round of batched ones.
    :ivar backlog: events written while no component runs.
    """

    rounds: int = 7
    seconds: int = 5
    events: int = 20_000
    rows: int = 200_000
    backlog: int = 1_000_000


# Of fewer events, the first of each session would be the slowest hundredth.
QUICK = Effort(rounds=3, seconds=3, events=6_000, rows=30_000, backlog=30_000)


@dataclass(frozen=True)
class Stand:
    """The servers, and what is started beside them."""

    postgres: Postgres
    router: Router
    database: str = "postgres"
    #: The revision whose schema the database has, when it is not this one.
    former: Former | None = None

    @property
    def url(self) -> str:
        """The database's address."""
        return self.postgres.url(self.database)

    @property
    def environment(self) -> dict[str, str]:
        """Where the servers are, for Autobahn's component in ``bench.events.peer``."""
        socket = self.router.component_url.removeprefix("rs+unix://")
        return {"DATABASE_URL": self.url, "ROUTER_SOCKET": socket}

    def router_processes(self) -> list[psutil.Process]:
        """Controller and worker of the router."""
        return processes.at_home_in(self.router.node, "crossbar")

    def connect(self) -> Any:
        """A connection without a transaction block."""
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        return connection

    def value(self, statement: str) -> Any:
        """Run one statement; its first value, if it has one."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchone()[0] if cursor.description else None
        finally:
            connection.close()

    def fill(self, table: str, rows: int) -> None:
        """Insert many rows with one statement."""
        self.value(_BULK.format(table, rows))

    def forget(self) -> None:
        """Leave nothing to publish or to read again; only while no component runs."""
        self.value(_FORGET if self.former is None else _FORGET_OUTBOX)

    @contextmanager
    def component(self) -> Iterator[psutil.Process]:
        """``pgwamp run``, from when it leads until the context ends."""
        if self.former is not None:
            run = self.former.component(self.url, self.router.component_url, "publishing")
        else:
            run = running(
                [sys.executable, "-m", "pgwamp", "run"],
                "publishing",
                DATABASE_URL=self.url,
                PGWAMP_ROUTER__URL=self.router.component_url,
                PGWAMP_EXPOSE__SCHEMAS='["public"]',
            )
        with run as child:
            yield psutil.Process(child.pid)

    @contextmanager
    def bridge(self, table: str) -> Iterator[psutil.Process]:
        """The hand-written bridge of a table, from when it listens until the context ends."""
        command = [sys.executable, "-m", "bench.events.bridge", table]
        with running(command, "ready", **self.environment) as child:
            yield psutil.Process(child.pid)


@contextmanager
def stand(*, durable: bool) -> Iterator[Stand]:
    """Start everything, and stop it when the context ends.

    :param durable: PostgreSQL waits for the disk. Without, writers are bound by the processor,
        which is harder on whoever makes them do more.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgwamp-bench-")))
        folder.chmod(0o755)
        say("starting PostgreSQL and Crossbar.io ...")
        options = {} if durable else {"fsync": "off"}
        postgres = stack.enter_context(Postgres(folder / "postgres", options=options))
        router = stack.enter_context(Router(folder / "crossbar", port=0))
        migrations.upgrade(postgres.url())
        made = Stand(postgres, router)
        for table in ("plain", "watched", "batched", NAIVE, NAIVE_UVLOOP):
            made.value(_TABLE.format(table))
        for table in (NAIVE, NAIVE_UVLOOP):
            made.value(_NAIVE.format(table))
        made.value("select wamp.watch('watched')")
        yield made


def beside(made: Stand, former: Former) -> Stand:
    """The same servers with a database of a former revision: its schema and one watched table."""
    made.value(f"create database {NAME}")
    other = replace(made, database=NAME, former=former)
    former.migrate(other.url)
    other.value(_TABLE.format("watched"))
    other.value("select wamp.watch('watched')")
    return other
