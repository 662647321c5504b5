"""From a changed row to an event, by the options that its table is watched with.

A row is in sight of those whom its topic and its eligibility name, if the condition of the watch
(``when``) holds. One that comes into sight is inserted, one that goes out of sight is deleted,
whatever the statement was: whoever folds the events has the rows that they may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgwamp.errors import PayloadTooLarge
from pgwamp.eventlog.layout import Columns, Layout
from pgwamp.values import TEXT_TYPE, Type, text_reader

_PART = re.compile(r"\{([^{}]+)\}|([^{}]+)")
_PLAIN = re.compile(r"[A-Za-z0-9_~!*'()-]+", re.ASCII)
#: Characters of a value that its part of a topic has at most.
_TOPIC_CHARACTERS = 200
#: Bytes of a column that says who is eligible: two of them are as long as options of wamp.publish
#: may be. Every reader of the log reads the names of every event.
MOST_ELIGIBLE_BYTES = 50_000
_NAMES = {"i": "insert", "u": "update", "d": "delete", "t": "truncate"}
#: What reading a value may raise. No row may stop the others: it is told without its values.
UNREADABLE = (
    PayloadTooLarge,
    RecursionError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no position yet; the members are those of ``wamp.log``."""

    op: str
    topic: str | None
    options: Mapping[str, Any] | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A row before or after a change.

    :ivar texts: of its columns; None for those that are null.
    :ivar is_visible: whether the condition of the watch holds.
    """

    columns: Columns
    texts: Sequence[str | None]
    is_visible: bool = True

    def value(self, place: int) -> Any:
        """The value of a column as it travels."""
        text = self.texts[place]
        return None if text is None else self.columns.value(place, text)

    def values(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of some columns."""
        places = map(self.columns.names.index, names)
        return {self.columns.names[place]: self.value(place) for place in places}

    def text(self, name: str) -> str | None:
        """The text of a column."""
        return self.texts[self.columns.names.index(name)]


class Making:
    """Makes the events of one table.

    :param options: of ``wamp.watch``.
    :ivar condition: SQL of the condition; None without one.
    :ivar silent: whether its events are for no topic.
    :ivar batched: whether several may travel in one message.
    """

    def __init__(self, layout: Layout, options: Mapping[str, Any]):
        names = layout.columns.names
        self.layout = layout
        self.condition: str | None = options.get("when")
        self.silent = options.get("publish") is False
        self.batched = bool(options.get("batch"))
        chosen = options.get("columns")
        # In the order of the table; one that was dropped since is left out.
        self._shown = [name for name in names if chosen is None or name in chosen]
        self._compared = [name for name in names if name in self._shown or name in layout.key]
        self._is_narrowed = chosen is not None
        self._old = "full" if not layout.key else options.get("old", "changed")
        self._topic = _PART.findall(options["topic"]) if "topic" in options else None
        self._eligible = {
            name: options[name]
            for name in ("eligible_authid", "eligible_authrole")
            if name in options
        }
        self._retained = {"retain": True} if options.get("retain") else {}
        named = {column for column, _ in self._topic or () if column not in ("", "op")}
        named |= set(self._eligible.values())
        # Without event triggers a column can go that says who gets the row: then it is for nobody.
        self._is_misfit = not named.issubset(names)
        self.silent = self.silent or self._is_misfit

    @property
    def has_to_evaluate(self) -> bool:
        """Whether the database has to say something of each row."""
        return self.condition is not None or bool(self.layout.virtual)

    def drafts(self, op: str, old: Row | None, new: Row | None) -> Iterator[Draft]:
        """The events of one change: one, or two where a row goes and another one comes.

        :raises ValueError: the table has lost a column that the options name.
        """
        if self._is_misfit:
            raise ValueError("the options name a column that is not there")
        if old is None or new is None:
            row = old or new
            assert row is not None
            if row.is_visible:
                yield self._alone(op, row)
            return
        if new.is_visible and old.is_visible and self._is_same(old, new):
            changed = [name for name in self._compared if old.text(name) != new.text(name)]
            if changed or not self._is_narrowed:
                yield self._update(old, new, changed)
            return
        if old.is_visible:
            yield self._alone("d", old)
        if new.is_visible:
            yield self._alone("i", new)

    def marked(
        self, op: str, old: Row | None, new: Row | None, *, has_unknown: bool
    ) -> list[Draft]:
        """The events of a change that cannot be told: each row can be read again by its key.

        If it may have been another row before, or for others, both are told.

        :param old: and ``new``: have the texts of their keys; None if there is no such row.
        :param has_unknown: there is a row of which not even the key is known.
        """
        rows: list[Row | None] = [row for row in (old, new) if row is not None and row.is_visible]
        if has_unknown:
            rows.append(None)
        drafts = [self._without_values(op if len(rows) == 1 else "u", row) for row in rows]
        return drafts if len(drafts) < 2 or drafts[0] != drafts[1] else drafts[1:]

    def _without_values(self, op: str, row: Row | None) -> Draft:
        key: dict[str, Any] = {}
        if row is not None and self.layout.key:
            try:
                key = {"key": row.values(self.layout.key)}
            except UNREADABLE:
                row = None
        return Draft(
            _NAMES.get(op, "update"),
            None if row is None or self._is_misfit else self._topic_of(row, op),
            self._options_of(row),
            {**key, "truncated": True},
        )

    def truncate(self, partition: str | None) -> Draft:
        """All rows are gone, of the table or of one partition: whoever had some is to know."""
        body = {} if partition is None else {"partition": partition}
        return Draft("truncate", None, self._retained or None, body)

    def attached(self, partition: str) -> Draft:
        """Rows have come with a partition, and nobody has told which."""
        body = {"partition": partition, "truncated": True}
        return Draft("insert", None, self._options_of(None), body)

    def _alone(self, op: str, row: Row) -> Draft:
        body: dict[str, Any] = {}
        if self.layout.key:
            body["key"] = row.values(self.layout.key)
        if op == "i":
            body["new"] = row.values(self._shown)
        elif self._old in ("changed", "full"):
            body["old"] = row.values(self._shown)
        return Draft(_NAMES[op], self._topic_of(row, op), self._options_of(row), body)

    def _update(self, old: Row, new: Row, changed: Sequence[str]) -> Draft:
        body: dict[str, Any] = {}
        if self.layout.key:
            body["key"] = new.values(self.layout.key)
        body["new"] = new.values(self._shown)
        if self._old == "full":
            body["old"] = old.values(self._compared if self._is_narrowed else self._shown)
        elif self._old == "changed":
            body["old"] = old.values(changed)
        elif self._old == "key":
            body["old"] = old.values([name for name in changed if name in self.layout.key])
        body["changed"] = list(changed)
        return Draft("update", self._topic_of(new, "u"), self._options_of(new), body)

    def _is_same(self, old: Row, new: Row) -> bool:
        """Whether the row is the same for those who have it: an update tells its previous key."""
        if self._old == "none" and any(
            old.text(name) != new.text(name) for name in self.layout.key
        ):
            return False
        return self._topic_of(old, "u") == self._topic_of(new, "u") and self._options_of(
            old
        ) == self._options_of(new)

    def _topic_of(self, row: Row, op: str) -> str | None:
        if self._topic is None:
            return None
        done = _NAMES.get(op, "update").rstrip("e") + "ed"
        return "".join(
            literal or (done if column == "op" else _uri_part(row, column))
            for column, literal in self._topic
        )

    def _options_of(self, row: Row | None) -> Mapping[str, Any] | None:
        """The options of the publish; an event of nobody knows which row is for nobody."""
        if not self._eligible:
            return self._retained or None
        is_for_nobody = row is None or self._is_misfit or self.has_too_many_eligible(row)
        eligible = {
            name: [] if row is None or is_for_nobody else _listed(row, column)
            for name, column in self._eligible.items()
        }
        return {**eligible, **self._retained} or None

    def has_too_many_eligible(self, row: Row) -> bool:
        """Whether a row names so many that it is for nobody."""
        if self._is_misfit or not self._eligible:
            return False
        texts = (row.text(column) or "" for column in self._eligible.values())
        return any(len(text.encode()) > MOST_ELIGIBLE_BYTES for text in texts)


def _uri_part(row: Row, column: str) -> str:
    """A value as one part of a URI: percent-encoded as in an address, the dot too."""
    text = _plain(row, column)
    if not text:
        return "-"
    text = text[:_TOPIC_CHARACTERS]
    if _PLAIN.fullmatch(text):
        return text
    return "".join(
        chr(byte) if _PLAIN.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in text.encode()
    )


def _plain(row: Row, column: str) -> str | None:
    """A value as a cast to text makes it."""
    place = row.columns.names.index(column)
    text, kind = row.texts[place], row.columns.types[place]
    if text is None:
        return None
    if kind.form == "boolean":
        return "true" if text == "t" else "false"
    return _stripped(text, kind)


def _stripped(text: str, kind: Type) -> str:
    """Without the blanks that fill a ``char(n)``."""
    return text.rstrip(" ") if kind.name == "bpchar" else text


def _listed(row: Row, column: str) -> list[str]:
    """The names that a column has: its elements, or its value."""
    place = row.columns.names.index(column)
    text, kind = row.texts[place], row.columns.types[place]
    if text is not None and kind.form == "array":
        delimited = Type(0, kind.name, "array", element=TEXT_TYPE, delimiter=kind.delimiter)
        names = _names(text_reader(delimited)(text))
        return [_stripped(name, kind.element or kind) for name in names]
    plain = _plain(row, column)
    return [] if plain is None else [plain]


def _names(values: Any) -> Iterator[str]:
    """The texts of an array of any number of dimensions, without its nulls."""
    if isinstance(values, str):
        yield values
    for value in values if isinstance(values, list) else ():
        yield from _names(value)
