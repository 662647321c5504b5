"""Every error pgwamp raises, and how a PostgreSQL error becomes a WAMP error.

Two families: :class:`PgwampError` is for the operator (settings, start-up,
command line) and is printed as one line; :class:`CallError` is for a WAMP
caller and carries an error URI, a message and keyword details.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

#: Characters of a caller's text, of an argument's place, and of a message, that an error repeats.
_MOST_QUOTED, _MOST_PLACE, _MOST_MESSAGE = 100, 300, 4000
#: Characters of a line for an operator.
_LONGEST_LINE = 2_000
#: Bits of an integer that is written out; Python refuses to write the largest.
_MOST_BITS = 256


def kind_of(value: object) -> str:
    """Return the type of what a caller gave, as errors name it."""
    return "null" if value is None else type(value).__name__


def excerpt(value: object, most: int = _MOST_QUOTED) -> str:
    """Return what a caller gave as an error may repeat it: a text is cut."""
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"an integer of {value.bit_length()} bits"
    if not isinstance(value, str | int | float | None):
        return f"a {type(value).__name__}"
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}…"


def printable(text: str) -> str:
    """Return a text as one line of a terminal: names may hold anything, and be of any length.

    A statement in it may be pasted. So a character that is not printable becomes its escape, and
    not another character, which could make it the name of something else; and a cut is marked.
    """
    shown = excerpt(text, _LONGEST_LINE)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def below(path: str, key: object) -> str:
    """Return the place of a key of what is at ``path``; a place stays short however deep it is."""
    return path if len(path) > _MOST_PLACE else f"{path}.{excerpt(key)}"


def at(path: str, index: int) -> str:
    """Return the place of an element of the list at ``path``."""
    return path if len(path) > _MOST_PLACE else f"{path}[{index}]"


class PgwampError(Exception):
    """Something an operator can cure; its text is one line for a person."""

    exit_code = 1


class SettingsError(PgwampError):
    """A setting is wrong or missing."""

    exit_code = 2


class StartError(PgwampError):
    """A part could not start: database, router, schema, registration."""

    exit_code = 3


class Blocked(StartError):
    """Another session holds a lock that a part needs; the next time it may be free.

    :ivar relation: that is locked, where that is known.
    """

    def __init__(self, message: str, *, relation: str | None = None):
        super().__init__(message)
        self.relation = relation


#: The end of the message of an error after which what the call has done may be committed.
MAY_BE_COMMITTED = " (the call may have committed before this error)"


class CallError(Exception):
    """An error answered to a WAMP caller.

    :param message: one line for a person; becomes ``args[0]`` of the WAMP ERROR.
    :param uri: of the error; that of the class when missing.
    :param details: further facts; become the kwargs of the WAMP ERROR.
    :ivar names_nothing: it tells nothing of what the call names, as an error that came before a
        statement of the call was run. So it comes to any caller as it is.
    """

    uri = "pgwamp.error.internal"
    names_nothing = False

    def __init__(self, message: str, *, uri: str | None = None, **details: Any):
        message = excerpt(message, _MOST_MESSAGE)
        super().__init__(message)
        self.message = message
        self.uri = uri or type(self).uri
        self.details: dict[str, Any] = details

    def after_commit(self) -> Self:
        """Say that what the call has done may be committed."""
        if self.may_be_committed:
            return self
        said = excerpt(self.message, _MOST_MESSAGE - len(MAY_BE_COMMITTED))
        self.message = f"{said}{MAY_BE_COMMITTED}"
        self.args = (self.message,)
        self.details["may_be_committed"] = True
        return self

    @property
    def may_be_committed(self) -> bool:
        """Whether what the call has done may be committed in spite of it."""
        return "may_be_committed" in self.details


@dataclass(slots=True)
class Mentions:
    """The parts of the schema that an error is about, or that a request names.

    :ivar relations: schema and name of each, the nearest first, and columns of it: a caller without
        a privilege on them is refused.
    :ivar routines: the name of each, by its identity: a caller without EXECUTE is refused.
    :ivar answered: the relation whose rows a routine answers, by the identity: EXECUTE is enough to
        see these.
    :ivar row_fields: columns of relations whose row types a value is made of: a caller without a
        privilege on them is told nothing of their types.
    """

    relations: list[tuple[tuple[str, str], tuple[str, ...]]] = field(default_factory=list)
    routines: dict[str, str] = field(default_factory=dict)
    answered: dict[str, tuple[str, str]] = field(default_factory=dict)
    row_fields: list[tuple[tuple[str, str], str]] = field(default_factory=list)


class InvalidArgument(CallError):
    """An argument of the call is wrong. ``argument`` names it, as in ``where.total.gte``.

    :ivar mentions: what it is about: its text may tell of that.
    """

    uri = "wamp.error.invalid_argument"

    def __init__(self, argument: str, problem: str, **details: Any):
        argument = excerpt(argument, _MOST_PLACE)
        super().__init__(f"{argument}: {problem}", argument=argument, **details)
        self.problem = problem
        self.mentions = Mentions()

    def within(self, place: str) -> InvalidArgument:
        """Return the error of a part of what is at ``place``, whose own place began there.

        So the places of the parts of a value are written only for an error.
        """
        error = InvalidArgument(f"{place}{self.details['argument']}", self.problem)
        error.mentions = self.mentions
        return error

    def about(self, relation: tuple[str, str], *columns: str) -> Self:
        """Say which relation and columns it is about, beside those said before."""
        self.mentions.relations.append((relation, columns))
        return self


class NotFound(CallError):
    """``get`` found no row with that key."""

    uri = "pgwamp.error.not_found"


class NotAuthorized(CallError):
    """The caller may not do this."""

    uri = "wamp.error.not_authorized"


class NoSuchProcedure(CallError):
    """The table or function that the procedure stood for is gone."""

    uri = "wamp.error.no_such_procedure"


class Canceled(CallError):
    """The caller, or the end of its session, canceled the call."""

    uri = "wamp.error.canceled"


class Timeout(CallError):
    """The call took longer than ``limits.call_timeout`` or the server's statement_timeout."""

    uri = "wamp.error.timeout"


class PayloadTooLarge(CallError):
    """The result is larger than a WAMP message may be."""

    uri = "wamp.error.payload_size_exceeded"


class TooManyRows(CallError):
    """The result has more rows than ``limits.max_rows``."""

    uri = "pgwamp.error.too_many_rows"


class TooManyAffected(CallError):
    """A write would have affected more rows than ``max_affected``; it was rolled back."""

    uri = "pgwamp.error.too_many_affected"


class Unavailable(CallError):
    """No database connection within ``database.acquire_timeout``, or the database is away."""

    uri = "pgwamp.error.unavailable"
    names_nothing = True


class SchemaChanged(Unavailable):
    """A statement was prepared before a change of the schema, and not a second time."""

    _PROBLEM = "the schema has just changed"

    def __init__(self) -> None:
        super().__init__(f"{self._PROBLEM}; try again", sqlstate=STALE)

    def after_commit(self) -> Self:
        """As for any error; and to try again would do it twice."""
        self.message = self._PROBLEM
        return super().after_commit()


class OutcomeUnknown(CallError):
    """The connection ended while a write was committed: it may be there or not."""

    uri = "pgwamp.error.transaction_resolution_unknown"
    names_nothing = True

    def __init__(self) -> None:
        super().__init__(
            "the connection to the database ended before it said whether the write was "
            "committed: read what is there before you write it again",
            sqlstate="08007",
        )


class OtherForm(CallError):
    """Values came in another form than that of our sessions."""

    def __init__(self, setting: str):
        super().__init__(
            f"code in the database, such as a trigger, has set {setting}, so that the rows "
            "cannot be answered: let its function set that in its SET clause"
        )


class CursorExpired(CallError):
    """The events after the cursor are no longer kept, or the database has lost its own."""

    uri = "pgwamp.error.cursor_expired"

    def __init__(self, problem: str):
        super().__init__(
            f"{problem}; start over with follow and snapshot=true, which begins with the rows of "
            "the table, or with changes and no since, which begins with the oldest event kept"
        )


class NotWatched(CallError):
    """Nothing is published of the changes of this table."""

    uri = "pgwamp.error.not_watched"


class Internal(CallError):
    """A defect in pgwamp or in a Python procedure; details are in the component's log."""

    def __init__(self) -> None:
        super().__init__("internal error; the component's log has the details")


#: The SQLSTATE of a statement that was prepared before a change of the schema, as pgwamp tells it.
STALE = "PW002"
#: The SQLSTATE of a RAISE that names its error's URI, in its DATATYPE.
NAMED = "PW001"
_IN_DATATYPE = "its URI in DATATYPE, such as com.example.error.sold_out"
_URI = re.compile(r"[0-9a-z_]+(\.[0-9a-z_]+)+")
#: Constraints whose violation PostgreSQL explains with the whole row, columns that are not exposed
#: included.
_OF_WHOLE_ROWS = ("23502", "23514")
#: The same of a view's WITH CHECK OPTION, of which PostgreSQL names no table.
_CHECK_OPTION = "44000"
#: numeric_value_out_of_range.
_OUT_OF_RANGE = "22003"
_FIELDS = ("message", "detail", "hint", "schema", "table", "column", "constraint")


def from_sqlstate(sqlstate: str, condition: str, fields: Mapping[str, str | None]) -> CallError:
    """A PostgreSQL error as the WAMP error of the contract.

    :param sqlstate: five characters, as in ``23505``.
    :param condition: PostgreSQL's condition name, as in ``unique_violation``.
    :param fields: ``message detail hint schema table column constraint datatype`` where known;
        the statement's text is never among them.
    """
    details: dict[str, Any] = {}
    for name in _FIELDS:
        text = fields.get(name)
        details[name] = None if text is None else excerpt(text, _MOST_MESSAGE)
    names_table = details["table"] is not None
    if sqlstate == _CHECK_OPTION or (sqlstate in _OF_WHOLE_ROWS and names_table):
        details["detail"] = None
    details["sqlstate"] = sqlstate
    message = fields.get("message") or condition
    if sqlstate == _OUT_OF_RANGE and details["detail"] is not None:
        # The message alone, "numeric field overflow", says neither the type nor its bounds.
        message = f"{message}: {details['detail']}"
    if sqlstate == "42501":
        return NotAuthorized(message, **_without_message(details))
    if sqlstate == "57014":
        return Timeout(message, sqlstate=sqlstate)
    uri = fields.get("datatype") or ""
    if sqlstate != NAMED or not _URI.fullmatch(uri):
        if sqlstate == NAMED:
            message = f"{message} (to name the error, {NAMED} needs {_IN_DATATYPE})"
        uri = f"pgwamp.error.{condition}"
    error = CallError(message, uri=uri, **_without_message(details))
    error.details["message"] = message
    return error


def _without_message(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name != "message"}
