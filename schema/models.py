"""SQLAlchemy models of the ``wamp`` schema.

``event`` is the outbox: what is to be published is written there in the transaction of the change
itself, so that it is published if and only if that transaction commits. It is a list of six
partitions, written in turn; ``retention`` says whose turn it is. ``publisher`` says how far
publishing has come. Migrations are compared with these models; the component reads and writes
the tables with SQL of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType


class XID8(UserDefinedType[int]):
    """``xid8``: a transaction id of 64 bits, never used twice in a cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "xid8"


class PGSnapshot(UserDefinedType[str]):
    """``pg_snapshot``: which transactions had ended at a moment, as ``xmin:xmax:xip,...``."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "pg_snapshot"


class Base(DeclarativeBase):
    """The tables of the ``wamp`` schema."""

    metadata = MetaData(schema="wamp")


#: Numbers events. Not an identity column: a partitioned table has those from PostgreSQL 17 only.
EVENT_ID = Sequence("event_id_seq", metadata=Base.metadata, schema="wamp", data_type=BigInteger)


class Event(Base):
    """What is to be published: an event of ``wamp.publish``, or a captured change of a row."""

    __tablename__ = "event"
    __table_args__ = (
        PrimaryKeyConstraint("id", "slot"),
        # Which events a snapshot shows: found by transaction, read in order of id.
        Index("event_xid_id_idx", "xid", "id"),
        {
            "comment": "Events to publish: of wamp.publish, and captured changes of rows",
            "postgresql_partition_by": "LIST (slot)",
        },
    )

    id: Mapped[int] = mapped_column(BigInteger, EVENT_ID)
    #: The transaction that wrote it: a reader finds by it what has committed since.
    xid: Mapped[int] = mapped_column(XID8, server_default=text("pg_current_xact_id()"))
    #: The partition.
    slot: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("clock_timestamp()")
    )
    #: Null for a captured change without a template: the publisher names its topic.
    topic: Mapped[str | None] = mapped_column(Text)
    relation_schema: Mapped[str | None] = mapped_column(Text)
    relation: Mapped[str | None] = mapped_column(Text)
    op: Mapped[str | None] = mapped_column(Text)
    args: Mapped[list[Any] | None] = mapped_column(JSONB)
    kwargs: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    options: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    #: Of a captured change; json and not jsonb, which would be converted twice and holds less.
    key: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    new: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    old: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    changed: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    #: Octets of the values, also when they were too many to be kept.
    size: Mapped[int | None] = mapped_column(BigInteger)
    #: True if the commit did not wait for the disk, so that a crash may undo it; else null.
    deferred: Mapped[bool | None] = mapped_column(Boolean)


class Retention(Base):
    """One row: which partition of ``event`` is written, and what was removed."""

    __tablename__ = "retention"
    __table_args__ = (
        CheckConstraint("single", name="retention_single_check"),
        {"comment": "One row: the partition of wamp.event that is written, and what was removed"},
    )

    single: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    slot: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    rotated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("now()")
    )
    #: The highest ``xid`` among removed events: a cursor before it has expired.
    pruned: Mapped[int | None] = mapped_column(XID8)
    #: Where a writer hands its event to a publisher that sleeps; a secret.
    channel: Mapped[str] = mapped_column(Text)


class Publisher(Base):
    """One row: how far publishing has come."""

    __tablename__ = "publisher"
    __table_args__ = (
        CheckConstraint("single", name="publisher_single_check"),
        {"comment": "One row: every event that the snapshot shows has been published"},
    )

    single: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    published: Mapped[str] = mapped_column(PGSnapshot)
    #: In the middle of a large backlog: of what this snapshot shows beyond ``published``, events
    #: up to ``last_id`` have been published too.
    polled: Mapped[str | None] = mapped_column(PGSnapshot)
    last_id: Mapped[int | None] = mapped_column(BigInteger)
    #: ``wamp.cluster()`` at the time: in another cluster the snapshot means nothing.
    cluster: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=text("now()")
    )
    #: Somebody leads, or has not left in order: the next leader waits for the end of the lease.
    led: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))


class Component(Base):
    """What each component lets ``wamp.publish`` do; it says so at every start."""

    __tablename__ = "component"
    __table_args__ = ({"comment": "What each component, by its prefix, lets wamp.publish do"},)

    #: Its ``expose.prefix``.
    prefix: Mapped[str] = mapped_column(Text, primary_key=True)
    #: Topics; one that ends with a dot stands for all below it.
    topics: Mapped[list[str]] = mapped_column(ARRAY(Text))
    #: PostgreSQL roles that it gave EXECUTE.
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
