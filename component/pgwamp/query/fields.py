"""One value of a row: a column, a computed column, a part of either, a cast of it.

``name``, ``data->a->>b``, ``address->city``, ``tags->0``, ``total::text``. The arrows are
PostgreSQL's own for json; here they reach into composites, arrays and hstore as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pgwamp.errors import InvalidArgument
from pgwamp.pgtypes import TEXT_TYPE, Type
from pgwamp.query.request import suggest
from pgwamp.query.scope import Scope

#: An arrow and a key; a key that holds an arrow stands in double quotes.
_STEP = re.compile(
    r'->(?P<text>>)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>(?:(?!->)[^"])+))(?=->|$)', re.DOTALL
)
_INDEX = re.compile(r"-?\d{1,9}", re.ASCII)
_MAX_STEPS = 20


@dataclass(frozen=True, slots=True)
class Step:
    """One step into a value.

    :ivar name: of a composite's field.
    :ivar position: of the key or index among the values of the call.
    """

    kind: Literal["key", "index", "element", "field", "text"]
    name: str = ""
    position: int = -1
    as_text: bool = False


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


def parse_field(scope: Scope, text: str, path: str, values: list[Any]) -> Field:
    """``column``, ``column->key->>key``, either with ``::type``.

    Keys are appended to ``values``: they travel as parameters.

    :raises InvalidArgument: no such column, part or type; ``path`` names the place.
    """
    known = scope.columns.get(text)
    if known is not None:
        return Field(text, known.type, computed=text in scope.computed)
    body, separator, cast = text.rpartition("::")
    if separator:
        inner = parse_field(scope, body, path, values)
        kind, spelled = scope.castable(cast.strip(), path)
        if inner.cast:
            raise InvalidArgument(path, "one cast is enough")
        return Field(inner.column, kind, inner.steps, spelled, inner.computed)
    name = _column_of(scope, text)
    if name is None:
        wrong = text.partition("->")[0]
        raise InvalidArgument(
            path, f'no column "{wrong}" in {scope.relation.name}{suggest(wrong, scope.columns)}'
        )
    steps, kind = _parse_steps(text[len(name) :], scope.columns[name].type, path, values)
    return Field(name, kind, steps, computed=name in scope.computed)


def _column_of(scope: Scope, text: str) -> str | None:
    """The longest column name that an arrow follows."""
    end = text.rfind("->")
    while end > 0:
        if text[:end] in scope.columns:
            return text[:end]
        end = text.rfind("->", 0, end)
    return None


def _parse_steps(
    text: str, kind: Type, path: str, values: list[Any]
) -> tuple[tuple[Step, ...], Type]:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise InvalidArgument(path, "expected arrows and keys, as in data->a->0->>b")
        if (steps and steps[-1].as_text) or len(steps) >= _MAX_STEPS:
            raise InvalidArgument(path, f"->> ends a path; a path has at most {_MAX_STEPS} steps")
        if match["quoted"] is not None:
            key, quoted = re.sub(r"\\(.)", r"\1", match["quoted"], flags=re.DOTALL), True
        else:
            key, quoted = match["plain"], False
        step, kind = _step(kind, key, quoted, bool(match["text"]), path, values)
        steps.append(step)
        at = match.end()
    return tuple(steps), kind


def _step(
    kind: Type, key: str, quoted: bool, as_text: bool, path: str, values: list[Any]
) -> tuple[Step, Type]:
    if "\x00" in key:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    index = int(key) if not quoted and _INDEX.fullmatch(key) else None
    if kind.form == "composite":
        fields = dict(kind.fields)
        if key not in fields:
            raise InvalidArgument(path, f'no field "{key}" in {kind.name}{suggest(key, fields)}')
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
