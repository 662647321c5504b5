"""A way from the rows of one relation to those of another, and the names that it goes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from pgwamp.catalog.model import Relation, Routine

#: Column of one side, column of the other.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Junction:
    """The relation in the middle of a many-to-many relationship.

    :ivar source_pairs: column of the source, column of the junction.
    :ivar target_pairs: column of the target, column of the junction.
    :ivar secondary: a view of what leads the same way before it: only a hint means it.
    """

    relation: Relation
    source_pairs: Pairs
    target_pairs: Pairs
    target_constraint: str
    secondary: bool = False


class Standing(IntEnum):
    """Whose work a relationship, or the name of it, is; a name means the nearest to its source.

    An owner who could replace the source, or the table that it shows, decides what it leads to.
    """

    OWN = 0
    #: A key of such an owner to a table of another one, by the name that that one has chosen.
    NAMED_BY_OTHERS = 1
    #: A key of another owner, or a view whose owner could replace the table that it shows.
    OF_OTHERS = 2
    #: A view of anybody else, as all who may create in a schema can make.
    OF_STRANGERS = 3
    #: A function of anybody else.
    FUNCTION_OF_STRANGERS = 4


@dataclass(frozen=True, eq=False, slots=True)
class Relationship:
    """A way from a row of one relation to the rows of another.

    :ivar pairs: column of the source, column of the target; empty with junction or routine.
    :ivar forward: the source holds the foreign key.
    :ivar within: the keys lead from a table back to itself, or to a view of it.
    :ivar standing: by all names but that of the target.
    :ivar target_standing: by the name of the target.
    :ivar maker: the owner of the key, or else of a view that shows a table of others.
    :ivar target_maker: the owner of the target, who has chosen its name.
    """

    source: Relation
    target: Relation
    to_one: bool
    pairs: Pairs = ()
    constraint: str = ""
    forward: bool = False
    within: bool = False
    junction: Junction | None = None
    routine: Routine | None = None
    standing: Standing = Standing.OWN
    target_standing: Standing = Standing.OWN
    maker: int = 0
    target_maker: int = 0

    def standing_as(self, name: str) -> Standing:
        """Whose work it is that it has this name."""
        own = self.forward and name in (self.key_column, self.constraint)
        if own or self.routine is not None or not self.is_called(name):
            return self.standing
        return self.target_standing

    def standing_by(self, hint: str) -> Standing:
        """Whose work it is that it has this hint."""
        is_key = self.junction is not None or hint in (self.key_column, self.constraint)
        return self.standing if is_key or hint != self.target.name else self.target_standing

    @property
    def source_columns(self) -> tuple[str, ...] | None:
        """The columns of the source that it goes by; None where a function takes the whole row."""
        if self.routine is not None:
            return None
        pairs = self.pairs if self.junction is None else self.junction.source_pairs
        return tuple(ours for ours, _ in pairs)

    @property
    def columns(self) -> tuple[tuple[tuple[str, str], tuple[str, ...]], ...]:
        """The columns that it goes by, of each relation on the way; the source is the first."""
        if self.routine is not None:
            return ()
        middle = self.junction
        if middle is None:
            ours, theirs = zip(*self.pairs, strict=True)
            return (self.source.key, ours), (self.target.key, theirs)
        ours, near = zip(*middle.source_pairs, strict=True)
        theirs, far = zip(*middle.target_pairs, strict=True)
        between = (middle.relation.key, (*near, *far))
        return (self.source.key, ours), (self.target.key, theirs), between

    def names(self) -> Iterator[str]:
        """Return the names by which a request can call it."""
        if self.routine is not None:
            yield self.routine.name
            return
        yield self.target.name
        yield f"{self.target.schema}.{self.target.name}"
        if self.junction is None:
            yield self.constraint
        if len(self.pairs) == 1:
            yield self.key_column

    @property
    def key_column(self) -> str:
        """The first column of the foreign key, on whichever side that is; empty without a key."""
        return self.pairs[0][0 if self.forward else 1] if self.pairs else ""

    @property
    def referenced(self) -> str | None:
        """The one column that the foreign key refers to."""
        return self.pairs[0][1 if self.forward else 0] if len(self.pairs) == 1 else None

    def is_called(self, name: str) -> bool:
        """Whether ``name`` is its target's, not that of a key on the way."""
        return name in (self.target.name, f"{self.target.schema}.{self.target.name}")

    def hints(self) -> Iterator[str]:
        """Return the hints that tell it from others of the same name."""
        if self.junction is not None:
            yield self.junction.relation.name
            yield self.junction.target_constraint
            if len(pairs := self.junction.target_pairs) == 1:
                yield pairs[0][1]
        elif self.routine is None:
            if len(self.pairs) == 1:
                yield self.key_column
            yield self.constraint
            # A foreign key leads to a table, and to each view that shows the table's key.
            yield self.target.name

    def spellings(self) -> Iterator[str]:
        """Keys of ``include`` that may mean this one, the plainest first."""
        hints = list(self.hints())
        yield from (f"{self.target.name}!{hint}" for hint in hints)
        for name in self.names():
            yield name
            yield from (f"{name}!{hint}" for hint in hints)
