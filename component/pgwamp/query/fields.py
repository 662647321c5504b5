"""One value of a row: a column, a computed column, a part of either, a cast of it.

``name``, ``data->a->>b``, ``address->city``, ``tags->0``, ``total::text``. The arrows are
PostgreSQL's own for json; here they reach into composites, arrays and hstore as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from pgwamp.errors import InvalidArgument, Mentions, excerpt
from pgwamp.query.limits import Values, check_name
from pgwamp.query.request import suggest
from pgwamp.query.scope import Scope
from pgwamp.query.unknown import unknown_column
from pgwamp.values import TEXT_TYPE, Type

#: An arrow and a key; a key that holds an arrow or a cast's colons stands in double quotes.
_STEP = re.compile(
    r'->(?P<text>>)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>(?:(?!->|::)[^"])+))(?=->|::|\Z)',
    re.DOTALL,
)
_CAST = "::"
_INDEX = re.compile(r"-?\d{1,9}", re.ASCII)
#: Dimensions of an array in PostgreSQL.
_MOST_DIMENSIONS = 6
#: Values that have parts: a step behind such an element of an array goes into the element.
_WITH_PARTS = ("composite", "array", "json", "hstore")


@dataclass(frozen=True, slots=True)
class Step:
    """One step into a value.

    :ivar name: of a composite's field.
    :ivar position: of the key or index among the values of the call.
    :ivar further: of the indexes in the further dimensions of an array.
    """

    kind: Literal["key", "index", "element", "field", "text"]
    name: str = ""
    position: int = -1
    further: tuple[int, ...] = ()
    as_text: bool = False

    @property
    def positions(self) -> tuple[int, ...]:
        """The positions of all its keys and indexes."""
        return () if self.position < 0 else (self.position, *self.further)


@dataclass(frozen=True, slots=True)
class Field:
    """A value of a row of a relation."""

    column: str
    type: Type = field(compare=False)
    steps: tuple[Step, ...] = ()
    cast: str = ""
    computed: bool = False

    @property
    def is_column(self) -> bool:
        """Whether it is a column as it stands in the table."""
        return not (self.steps or self.cast or self.computed)


def parse_field(scope: Scope, text: str, path: str, values: Values) -> Field:
    """``column``, ``column->key->>key``, either with ``::type``.

    Keys are appended to ``values``: they travel as parameters.

    :raises InvalidArgument: no such column, part or type; ``path`` names the place.
    """
    known = scope.columns.get(text)
    if known is not None:
        return Field(text, known.type, computed=text in scope.computed)
    check_name(values.limits, text, path)
    name = _column_of(scope, text)
    if name is None:
        wrong = text.partition("->")[0].partition(_CAST)[0]
        raise unknown_column(scope.relation, wrong, path, computed=scope.computed, in_list=True)
    of = scope.columns[name].type
    steps: list[Step] = []
    spelled = ""
    try:
        kind, end = _parse_steps(text, len(name), of, path, values, steps)
        if end < len(text):
            cast = text[end + len(_CAST) :]
            if _CAST in cast:
                raise InvalidArgument(path, "one cast is enough")
            kind, spelled = scope.castable(cast.strip(), path)
    except InvalidArgument as error:
        mention_field(error.mentions, scope, Field(name, of, tuple(steps)))
        raise
    return Field(name, kind, tuple(steps), spelled, computed=name in scope.computed)


def mention_field(mentions: Mentions, scope: Scope, field: Field) -> None:
    """Add what a field is made of.

    An error about it may tell the name of its type, its labels and its parts.
    """
    kind = scope.columns[field.column].type
    for step in field.steps:
        if step.kind == "field" and kind.relation is not None:
            mentions.row_fields.append((kind.relation, step.name))
        kind = _part_type(kind, step)
    scope.mention(mentions, field.column)


def _part_type(kind: Type, step: Step) -> Type:
    """The type of what a step into a value of type ``kind`` leads to."""
    if step.kind == "field":
        return dict(kind.fields)[step.name]
    return kind.element or kind


def _column_of(scope: Scope, text: str) -> str | None:
    """The longest column name that an arrow or a cast follows."""
    for end in range(min(scope.longest_name, len(text)), 0, -1):
        if text.startswith(("->", _CAST), end) and text[:end] in scope.columns:
            return text[:end]
    return None


def _parse_steps(
    text: str, at: int, kind: Type, path: str, values: Values, steps: list[Step]
) -> tuple[Type, int]:
    """Append the steps that begin at ``at``.

    :returns: the type of what they lead to, and where they end.
    """
    most, number = values.limits.max_depth, 0
    array: Type | None = None
    while at < len(text) and not text.startswith(_CAST, at):
        match = _STEP.match(text, at)
        if match is None:
            raise InvalidArgument(path, "expected arrows and keys, as in data->a->0->>b")
        if steps and steps[-1].as_text:
            raise InvalidArgument(path, "->> ends a path")
        number += 1
        if number > most:
            raise InvalidArgument(path, f"a path of more than {most} steps (limits.max_depth)")
        if match["quoted"] is not None:
            key, quoted = re.sub(r"\\(.)", r"\1", match["quoted"], flags=re.DOTALL), True
        else:
            key, quoted = match["plain"], False
        array, as_text = (kind if kind.form == "array" else array), bool(match["text"])
        if array is not None and steps and _is_dimension(steps[-1], kind, key):
            step, kind = _step(array, key, quoted, as_text, path, values)
            steps[-1] = _deeper(steps[-1], step, path)
        else:
            step, kind = _step(kind, key, quoted, as_text, path, values)
            steps.append(step)
        at = match.end()
    values.ask_for("columns", number, path)
    return kind, at


def _is_dimension(before: Step, kind: Type, key: str) -> bool:
    """Whether an index behind an element, which has no parts, means a further dimension.

    The type of an array does not tell how many it has.
    """
    element = before.kind == "element" and kind.form not in _WITH_PARTS
    return element and _INDEX.fullmatch(key) is not None


def _deeper(before: Step, step: Step, path: str) -> Step:
    """Both steps into an array as one: PostgreSQL takes all indexes at once."""
    further = (*before.further, step.position)
    if len(further) >= _MOST_DIMENSIONS:
        raise InvalidArgument(path, f"an array has at most {_MOST_DIMENSIONS} dimensions")
    return replace(before, further=further, as_text=step.as_text)


def _step(
    kind: Type, key: str, quoted: bool, as_text: bool, path: str, values: Values
) -> tuple[Step, Type]:
    if "\x00" in key:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    index = int(key) if not quoted and _INDEX.fullmatch(key) else None
    if kind.form == "composite":
        fields = dict(kind.fields)
        if key not in fields:
            # Columns of a relation are told to those only who may see them.
            known = "" if kind.relation else suggest(key, fields)
            raise InvalidArgument(path, f'no field "{excerpt(key)}" in {kind.name}{known}')
        step, inner = Step("field", name=key, as_text=as_text), fields[key]
    elif kind.form == "array" and kind.element is not None:
        if index is None or index < 0:
            raise InvalidArgument(path, "an array has elements 0, 1, 2, ...")
        values.append(index + 1)
        step, inner = Step("element", position=len(values) - 1, as_text=as_text), kind.element
    elif kind.form in ("json", "hstore"):
        numbered = kind.form == "json" and index is not None
        values.append(index if numbered else key)
        form: Literal["index", "key"] = "index" if numbered else "key"
        # The one arrow of hstore gives text.
        hstore = kind.form == "hstore"
        step = Step(form, position=len(values) - 1, as_text=as_text and not hstore)
        inner = TEXT_TYPE if hstore else kind
    else:
        raise InvalidArgument(path, f"a value of type {kind.describe()} has no parts")
    return step, TEXT_TYPE if as_text else inner
