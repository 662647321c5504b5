"""The tables that are written: keys and values of every awkward kind."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests import transactions

Row = dict[str, Any]
Draw = Callable[[random.Random], Row]

#: Few keys, so that writers meet and keys come back after they were deleted.
KEYS = 120
#: ``life`` names a row from its insert to its delete, also when its key changes; ``version`` counts
#: the changes of a life; ``token`` is one of its own for each change, and stands in the journal.
BOOKKEEPING = "life bigint not null, version int not null, token bigint not null"
#: Columns that come and go while the writers write.
EXTRA = ("extra", "further")
JOURNAL = (
    "create sequence life",
    "create sequence token",
    "create table journal (relation text not null, op text not null, token bigint not null, "
    "xid xid8 not null default pg_current_xact_id())",
)
BULK_ROWS = 400
_TEXTS = ("", " ", "plain", "it's", 'a "quoted" \\ one', "Zürich\n", "日本語", "𝄞🐘", "{}", "null")


@dataclass(frozen=True)
class Table:
    """One watched table.

    :ivar columns: what writers give besides the key.
    :ivar draw_key: a random key, as JSON has it.
    :ivar draw_values: random values of ``columns``.
    :ivar computed: a generated column.
    :ivar members: its partitions, by name, and what they are for.
    :ivar member_of: the partition of a row.
    :ivar truncated: whether it, or a partition of it, is truncated now and then.
    :ivar options: of ``wamp.watch``.
    :ivar shown: whether a row is published at all.
    :ivar mine: whether the router gives what concerns a row to our subscribers.
    :ivar odd: whether nobody notes its changes in the journal.
    :ivar changing: whether the table becomes another one now and then.
    """

    name: str
    key: Mapping[str, str]
    columns: Mapping[str, str]
    draw_key: Draw
    draw_values: Draw
    computed: str = ""
    partitioned: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    member_of: Callable[[Row], str] = lambda row: ""
    truncated: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    shown: Callable[[Row], bool] = lambda row: True
    mine: Callable[[Row], bool] = lambda row: True
    odd: bool = False
    changing: bool = False

    @property
    def ddl(self) -> tuple[str, ...]:
        """Statements that create and watch it."""
        columns = [f"{name} {kind}" for name, kind in {**self.key, **self.columns}.items()]
        columns += [self.computed] if self.computed else []
        key = ", ".join(self.key)
        return (
            f"create table {self.name} "
            f"({', '.join(columns)}, {BOOKKEEPING}, primary key ({key})) {self.partitioned}",
            *(
                f"create table {member} partition of {self.name} {values}"
                for member, values in self.members.items()
            ),
            f"select wamp.watch('{self.name}', $${json.dumps(self.options)}$$)",
        )

    def only(self, row: Mapping[str, Any]) -> Row:
        """A row without the columns that come and go."""
        return {name: value for name, value in row.items() if name not in EXTRA}

    def key_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The key of a row or of an event's ``key``."""
        return tuple(row[column] for column in self.key)


def _text(rng: random.Random) -> str:
    return rng.choice(_TEXTS) + str(rng.randrange(10))


def _sometimes(rng: random.Random, value: Any) -> Any:
    return None if rng.random() < 0.15 else value


ACCOUNT = Table(
    "account",
    key={"id": "bigint"},
    columns={"owner": "text", "balance": "numeric(14, 4)", "seen": "timestamptz", "data": "jsonb"},
    draw_key=lambda rng: {"id": 2**53 + rng.randrange(KEYS)},
    draw_values=lambda rng: {
        "owner": _sometimes(rng, _text(rng)),
        "balance": _sometimes(rng, f"{rng.randrange(-(10**9), 10**9)}.{rng.randrange(10_000)}"),
        "seen": _sometimes(rng, f"2024-02-29 12:00:{rng.randrange(60)}.{rng.randrange(10**6)}+02"),
        "data": _sometimes(rng, {_text(rng): [rng.randrange(9), _text(rng), None], "n": 1.5}),
    },
    truncated=True,
)
ENTRY = Table(
    "entry",
    key={"number": "int", "part": "smallint"},
    columns={"amount": "double precision", "tags": "text[]", "span": "int4range"},
    draw_key=lambda rng: {"number": rng.randrange(KEYS // 10), "part": rng.randrange(10)},
    draw_values=lambda rng: {
        "amount": rng.choice([rng.random(), 1e300, -0.1, "NaN", "Infinity", None]),
        "tags": _sometimes(rng, [_text(rng) for _ in range(rng.randrange(4))]),
        "span": rng.choice([f"[{rng.randrange(5)},9)", "empty", "(,3]", None]),
    },
)
WORD = Table(
    "word",
    key={"text": "text"},
    columns={"bytes": "bytea", "mood": "mood", "price": "money_pair", "id": "uuid", "long": "text"},
    draw_key=lambda rng: {"text": rng.choice(_TEXTS) + str(rng.randrange(KEYS // 10))},
    draw_values=lambda rng: {
        "bytes": _sometimes(rng, "\\x" + rng.randbytes(rng.randrange(6)).hex()),
        "mood": rng.choice(["sad", "so so", None]),
        "price": _sometimes(rng, {"amount": f"{rng.randrange(100)}.50", "unit": _text(rng)}),
        "id": _sometimes(rng, rng.randbytes(16).hex()),
        # Long enough to be stored apart from the row.
        "long": _sometimes(rng, rng.choice("äx𝄞") * rng.choice([1, 3_000])),
    },
    truncated=True,
)
READING = Table(
    "reading",
    key={"sensor": "int", "day": "date"},
    columns={"value": "real", "pause": "interval"},
    draw_key=lambda rng: {
        "sensor": rng.randrange(KEYS // 10),
        "day": f"2024-{rng.randint(1, 3):02}-0{rng.randint(1, 4)}",
    },
    draw_values=lambda rng: {
        "value": _sometimes(rng, rng.randrange(100) / 8),
        "pause": _sometimes(rng, f"{rng.randrange(30)} days {rng.randrange(90)} min"),
    },
    partitioned="partition by range (day)",
    members={
        "reading_1": "for values from (minvalue) to ('2024-02-01')",
        "reading_2": "for values from ('2024-02-01') to ('2024-03-01')",
        "reading_3": "default",
    },
    # The days are of the first three months.
    member_of=lambda row: f"reading_{int(row['day'][5:7])}",
    truncated=True,
)
AREA = Table(
    "area",
    key={"id": "int"},
    columns={"width": "int", "height": "int", "note": "text"},
    draw_key=lambda rng: {"id": rng.randrange(KEYS)},
    draw_values=lambda rng: {
        "width": _sometimes(rng, rng.randrange(100)),
        "height": rng.randrange(100),
        "note": _text(rng),
    },
    computed="size int generated always as (width * height) stored",
)
#: A row may enter and leave what is published, change its topic, and change who may see it.
PARCEL = Table(
    "parcel",
    key={"id": "int"},
    columns={"state": "text", "role": "text", "town": "text"},
    draw_key=lambda rng: {"id": rng.randrange(KEYS)},
    draw_values=lambda rng: {
        "state": rng.choice(["draft", "sent", "here", None]),
        "role": rng.choice(["anonymous", "nobody", None]),
        "town": _text(rng),
    },
    options={
        "when": "state <> 'draft'",
        "topic": "com.example.parcel.{state}.{op}.{town}",
        "eligible_authrole": "role",
        "old": "full",
    },
    shown=lambda row: row["state"] not in ("draft", None),
    mine=lambda row: row["role"] == "anonymous",
)
NOTE = Table(
    "note",
    key={"id": "int"},
    columns={"text": "text", "pinned": "boolean"},
    draw_key=lambda rng: {"id": rng.randrange(KEYS)},
    draw_values=lambda rng: {"text": _text(rng), "pinned": _sometimes(rng, rng.random() < 0.5)},
    options={"old": "none"},
)
#: Written as a whole by nobody but :meth:`Workload.flood`, who so waits for no lock.
BULK = Table(
    "bulk",
    key={"id": "int"},
    columns={"note": "text"},
    draw_key=lambda rng: {"id": rng.randrange(BULK_ROWS)},
    draw_values=lambda rng: {"note": _text(rng)},
    options={"batch": True},
)
#: Of :mod:`tests.events.oracle.odd`.
ODD = tuple(
    Table(name, {"id": "int"}, {}, dict, dict, odd=True, changing=name == "churn")
    for name in (*transactions.TABLES, "churn")
)
WRITTEN = (ACCOUNT, ENTRY, WORD, READING, AREA, PARCEL, NOTE)
NOTED = (*WRITTEN, BULK)
TABLES = (*NOTED, *ODD)
#: From PostgreSQL 18 on; no trigger sees the values of such a column.
VIRTUAL = "alter table area add column half int generated always as (width / 2) virtual"
#: What changes tables while they are written; some of it may not fit what they are.
DDL = (
    *(
        statement.format(table=table.name, column=column)
        for table in (ACCOUNT, READING, PARCEL, BULK)
        for column in EXTRA
        for statement in (
            "alter table {table} add column {column} text default 'here'",
            "alter table {table} add column {column} int",
            "alter table {table} drop column {column}",
            "alter table {table} alter column {column} type text using {column}::text",
            "alter table {table} rename column extra to further",
            "alter table {table} rename column further to extra",
        )
    ),
    "alter table area alter column note type varchar",
    "alter table area alter column note type text",
    "create table reading_4 partition of reading for values from ('2025-01-01') to ('2026-01-01')",
    "drop table reading_4",
)
TYPES = (
    "create type mood as enum ('sad', 'so so')",
    "create type money_pair as (amount numeric, unit text)",
)
SCHEMA = (*TYPES, *JOURNAL, *(statement for table in NOTED for statement in table.ddl))
