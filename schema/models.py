"""SQLAlchemy models of the ``wamp`` schema: migrations are compared with them.

``raw`` has what triggers write in the transaction of a change, ``log`` the events that the
sequencer makes of it, in their order. ``raw.sql``, ``log.sql`` and ``tables.sql`` of
``versions/0101`` say what each column means; the component has SQL of its own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REGCLASS, UUID
from sqlalchemy.types import UserDefinedType

METADATA = MetaData(schema="wamp")
NOW, FALSE, TRUE = text("now()"), text("false"), text("true")


class _Named(UserDefinedType[Any]):
    """A type of PostgreSQL that SQLAlchemy has no class for."""

    cache_ok = True
    name: str

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return self.name


class XID8(_Named):
    """``xid8``: a transaction id of 64 bits, never used twice in a cluster."""

    name = "xid8"


class PGSnapshot(_Named):
    """``pg_snapshot``: which transactions had ended at a moment, as ``xmin:xmax:xip,...``."""

    name = "pg_snapshot"


class PGLSN(_Named):
    """``pg_lsn``: a place in the WAL."""

    name = "pg_lsn"


class Byte(_Named):
    """``"char"``: one byte, here an operation."""

    name = '"char"'


#: By the name that PostgreSQL tells, for reflection.
TYPES = {"xid8": XID8, "pg_snapshot": PGSnapshot, "pg_lsn": PGLSN, '"char"': Byte}


def _table(name: str, comment: str | None, *parts: Any, **options: Any) -> Table:
    columns = [
        Column(part[0], part[1], nullable=False, **part[2]) if isinstance(part, tuple) else part
        for part in parts
    ]
    return Table(name, METADATA, *columns, comment=comment, **options)


def _needed(name: str, kind: Any, **options: Any) -> tuple[str, Any, dict[str, Any]]:
    return name, kind, options


Sequence("signal", metadata=METADATA, schema="wamp", minvalue=0)

RAW = _table(
    "raw",
    "What has changed, as triggers have written it; emptied by turns",
    _needed("turn", SmallInteger),
    _needed("xid", XID8),
    _needed("at", DateTime(timezone=True), server_default=text("clock_timestamp()")),
    _needed("sent", DateTime(timezone=True), server_default=text("statement_timestamp()")),
    _needed("place", PGLSN),
    _needed("n", Integer),
    _needed("depth", Integer),
    _needed("relation", REGCLASS),
    Column("changed", Integer),
    Column("stamp", Integer),
    _needed("op", Byte),
    Column("old", Text),
    Column("new", Text),
    Index("raw_xid_idx", "xid"),
    postgresql_partition_by="LIST (turn)",
)
LOG = _table(
    "log",
    "Events in the order in which they have happened",
    _needed("slot", SmallInteger),
    _needed("position", BigInteger),
    _needed("at", DateTime(timezone=True)),
    _needed("xid", XID8),
    _needed("relation", REGCLASS),
    Column("relation_schema", Text),
    Column("relation_name", Text),
    _needed("op", Text),
    Column("topic", Text),
    Column("options", Text),
    Column("body", Text),
    _needed("mark", LargeBinary),
    _needed("silent", Boolean, server_default=FALSE),
    _needed("batched", Boolean, server_default=FALSE),
    Column("seen", PGSnapshot),
    Column("taking", PGSnapshot),
    Column("taken_place", PGLSN),
    Column("taken_xid", XID8),
    Column("taken_after", PGLSN),
    Column("taken_number", Integer),
    Column("taken_rows", BigInteger),
    PrimaryKeyConstraint("position", "slot"),
    Index("log_relation_position_idx", "relation", "position"),
    postgresql_partition_by="LIST (slot)",
)
SEQUENCER = _table(
    "sequencer",
    "One row: how far raw rows were made into events",
    _needed("single", Boolean, server_default=TRUE),
    _needed("seen", PGSnapshot),
    Column("taking", PGSnapshot),
    Column("taken_place", PGLSN),
    Column("taken_xid", XID8),
    Column("taken_after", PGLSN),
    Column("taken_number", Integer),
    Column("taken_rows", BigInteger),
    _needed("position", BigInteger, server_default=text("0")),
    _needed("mark", LargeBinary, server_default=text("'\\x'")),
    _needed("slot", SmallInteger, server_default=text("0")),
    _needed("rotated_at", DateTime(timezone=True), server_default=NOW),
    _needed("removed_position", BigInteger, server_default=text("0")),
    _needed("removed_mark", LargeBinary, server_default=text("'\\x'")),
    PrimaryKeyConstraint("single"),
    CheckConstraint("single", name="sequencer_single_check"),
)
ERA = _table(
    "era",
    "Histories of this database that the log was written by",
    _needed("began", BigInteger, autoincrement=False),
    _needed("name", UUID, server_default=text("gen_random_uuid()")),
    _needed("system_identifier", BigInteger),
    _needed("timeline", Integer),
    _needed("log_oid", BigInteger),
    _needed("at", DateTime(timezone=True), server_default=NOW),
    PrimaryKeyConstraint("began"),
)
SECRET = _table(
    "secret",
    "The key of the hashes in cursors",
    _needed("single", Boolean, server_default=TRUE),
    _needed("key", LargeBinary),
    PrimaryKeyConstraint("single"),
    CheckConstraint("single", name="secret_single_check"),
)
WATCH = _table(
    "watch",
    "Watched tables and the options that they are watched with",
    _needed("relation", REGCLASS),
    _needed("id", UUID, server_default=text("gen_random_uuid()")),
    _needed("options", JSONB),
    Column("condition", Text()),
    Column("condition_columns", ARRAY(Text())),
    PrimaryKeyConstraint("relation"),
)
LAYOUT = _table(
    "layout",
    "Layouts of rows at the position of the sequencer",
    _needed("relation", REGCLASS),
    _needed("layout", Text),
    _needed("options", Text),
    Column("watch", UUID),
    _needed("began", BigInteger),
    _needed("relation_schema", Text),
    _needed("relation_name", Text),
    Column("altered_by", Text),
    PrimaryKeyConstraint("relation"),
)
PUBLICATION = _table(
    "publication",
    "How far each component has published the log",
    _needed("realm", Text),
    _needed("prefix", Text),
    _needed("position", BigInteger),
    _needed("mark", LargeBinary),
    _needed("published_at", DateTime(timezone=True), server_default=NOW),
    _needed("ran_at", DateTime(timezone=True), server_default=NOW),
    PrimaryKeyConstraint("realm", "prefix"),
)
LEASE = _table(
    "lease",
    "Which process leads, and since when that is certain",
    _needed("name", Text),
    _needed("term", BigInteger),
    _needed("held", Boolean, server_default=FALSE),
    _needed("renewed_at", DateTime(timezone=True), server_default=NOW),
    PrimaryKeyConstraint("name"),
    UniqueConstraint("name", "term", name="lease_name_term_key"),
)
COMPONENT = _table(
    "component",
    "What each component, by its prefix, lets wamp.publish do",
    _needed("prefix", Text),
    _needed("topics", ARRAY(Text)),
    _needed("roles", ARRAY(Text)),
    PrimaryKeyConstraint("prefix"),
)
