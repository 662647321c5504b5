"""Relations and routines of a database: frozen data, comparable, so that a reload can be diffed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pgwamp.catalog.updatable import Updatable
from pgwamp.values import Type

Volatility = Literal["immutable", "stable", "volatile"]


@dataclass(frozen=True)
class Column:
    """One column of a relation or of a routine's result."""

    name: str
    type: Type
    nullable: bool = True
    has_default: bool = False
    #: Computed by the server: a value for it cannot be written.
    generated: bool = False
    comment: str | None = None
    #: As SQL spells it, where texts that differ may be equal by it.
    collation: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where a view's column comes from: a column of a table, both by the table's oid."""

    column: str
    table: int
    table_column: str


@dataclass(frozen=True)
class Relation:
    """A table, partitioned table, view, materialized view or foreign table.

    The rows of a routine are one too, of the kind ``result`` and in the schema ``""``.
    """

    schema: str
    name: str
    kind: Literal["table", "view", "materialized view", "foreign table", "result"]
    columns: tuple[Column, ...]
    oid: int = 0
    #: The oid of the composite type of its rows.
    row_type: int = 0
    #: Names of the key's columns, in key order; empty when there is no primary key.
    primary_key: tuple[str, ...] = ()
    #: Column sets with a unique constraint or index (without predicate or expression).
    unique: tuple[tuple[str, ...], ...] = ()
    insertable: bool = True
    updatable: bool = True
    deletable: bool = True
    comment: str | None = None
    #: Policies decide which rows a role sees and writes.
    row_security: bool = False
    #: Rules may rewrite its writes.
    has_rules: bool = False
    #: Other tables inherit from it, whose rows are its rows too.
    has_children: bool = False
    #: To insert a row runs no code of users.
    inserts_only: bool = False
    #: To write a row runs no code of users on this table, but perhaps where foreign keys lead.
    writes_plainly: bool = False
    #: To plan a read may run code of users, as in the expression of an index.
    plans_code: bool = False
    #: Of a view: which columns of which tables it shows as they are.
    origins: tuple[Origin, ...] = ()
    #: The relation as it is in the database, where this one lacks columns that are not exposed.
    whole: Relation | None = None
    #: Row level security, or a view with a security barrier, keeps rows from some roles.
    hides_rows: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name

    @cached_property
    def runs_code(self) -> bool:
        """Whether to read its rows can run code of users, as views and policies do."""
        return (
            self.kind != "table"
            or self.row_security
            or self.plans_code
            or any(column.type.runs_code for column in self.columns)
        )

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def complete(self) -> Relation:
        """With all columns and keys, exposed or not: for tables in SQL, and rows as arguments."""
        return self.whole or self

    @cached_property
    def types(self) -> Mapping[str, Type]:
        """The types of all columns by name."""
        return {column.name: column.type for column in self.complete.columns}


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; both tables by their oids."""

    name: str
    source: int
    columns: tuple[str, ...]
    target: int
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Argument:
    """One argument of a routine."""

    name: str
    type: Type
    mode: Literal["in", "out", "inout", "variadic", "table"]
    has_default: bool = False

    @property
    def is_input(self) -> bool:
        """Whether a caller gives a value for it."""
        return self.mode in ("in", "inout", "variadic")


@dataclass(frozen=True)
class Routine:
    """A SQL function or procedure."""

    schema: str
    name: str
    kind: Literal["function", "procedure"]
    arguments: tuple[Argument, ...]
    returns: Type | None
    returns_set: bool
    volatility: Volatility
    #: The columns of a row that it returns; empty for a scalar or void.
    columns: tuple[Column, ...] = ()
    comment: str | None = None
    #: Of a set: the planner's guess, which ``ROWS 1`` makes exactly one.
    rows: float = 0
    #: Its owner could replace the relation whose row it takes. So it may have the name of a key.
    trusted: bool = False
    #: A procedure that may commit by itself.
    commits: bool = False

    @property
    def inputs(self) -> tuple[Argument, ...]:
        """The arguments a caller gives."""
        return tuple(a for a in self.arguments if a.is_input)


@dataclass(frozen=True)
class WatchedRelation:
    """A watched table's columns and key, whether or not it is exposed: events need them.

    :ivar options: of ``wamp.watch``, as they were given.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate of values of one type, and the type of its result.

    :ivar result: a polymorphic type stands for that of the values.
    """

    schema: str
    result: Type


@dataclass(frozen=True, slots=True)
class Ownership:
    """The owner of a relation, and the owners of relations that could replace it: itself, too."""

    owner: int
    replacers: frozenset[int]


@dataclass(frozen=True)
class Catalog:
    """Relations and routines of the exposed schemas, and the watched tables of all schemas.

    :ivar aggregates: by name, and the oid of the type that they take or that is cast to it.
    :ivar castable: types that a value can be cast to, by each of their names.
    :ivar searches: text search configurations as SQL spells them, by each of their names.
    :ivar updatable: what may be written to relations that are no tables, by oid.
    :ivar locked: relations, as schema.name, that could not be opened to see what may be written.
    :ivar owners: of the relations, and of the tables behind views, by oid.
    """

    server_version: int
    relations: tuple[Relation, ...] = ()
    routines: tuple[Routine, ...] = ()
    watched: tuple[WatchedRelation, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    types: Mapping[int, Type] = field(default_factory=dict, repr=False, compare=False)
    aggregates: Mapping[tuple[str, int], Aggregate] = field(
        default_factory=dict, repr=False, compare=False
    )
    castable: Mapping[str, Type] = field(default_factory=dict, repr=False, compare=False)
    searches: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    updatable: Mapping[int, Updatable] = field(default_factory=dict, repr=False, compare=False)
    locked: tuple[str, ...] = ()
    owners: Mapping[int, Ownership] = field(default_factory=dict, repr=False)

    def owner(self, oid: int) -> int:
        """The role that owns a relation; 0 if it is gone."""
        ownership = self.owners.get(oid)
        return 0 if ownership is None else ownership.owner

    def may_replace(self, owner: int, oid: int) -> bool:
        """Whether an owner of relations could replace this one, and so decide what it answers."""
        ownership = self.owners.get(oid)
        return owner in ownership.replacers if ownership else not owner

    @cached_property
    def by_row_type(self) -> Mapping[int, Relation]:
        """The relations by the oid of the type of their rows."""
        return {relation.row_type: relation for relation in self.relations}
