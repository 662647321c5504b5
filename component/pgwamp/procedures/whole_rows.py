"""Requests for whole rows: of those that a role may not read as a whole, columns must be named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pgwamp.catalog import Relation
from pgwamp.errors import below
from pgwamp.query.scope import Scope

#: The argument of each verb that names the columns of its answer.
_NAMING: Mapping[str, str] = {
    "select": "columns",
    "get": "columns",
    "insert": "returning",
    "update": "returning",
    "upsert": "returning",
    "delete": "returning",
}


class WholeRows(NamedTuple):
    """A relation whose whole rows a request asks for.

    :ivar argument: names the columns that are wanted instead.
    """

    relation: Relation
    argument: str

    @property
    def cure(self) -> str:
        """How to ask for less."""
        instead = ", or say returning=false" if self.argument == "returning" else ""
        return f"name the columns that it may read in {self.argument}{instead}"


def whole_rows(scope: Scope, verb: str, request: Mapping[str, Any]) -> Iterator[WholeRows]:
    """The relations whose whole rows a request, which has been parsed, asks for."""
    naming = _NAMING.get(verb)
    if naming is None or request.get("csv") is not None or request.get(naming) is False:
        return
    if request.get(naming) in (None, True):
        yield WholeRows(scope.relation, naming)
    yield from _included(scope, request.get("include"), "include")


def _included(scope: Scope, include: Any, path: str) -> Iterator[WholeRows]:
    if isinstance(include, str):
        include = [include]
    for key in include or ():
        given = include[key] if isinstance(include, Mapping) else None
        request = given if isinstance(given, Mapping) else {}
        place = below(path, key)
        _, relationship = scope.relationship(key, place)
        target = scope.target(relationship)
        if request.get("columns") is None:
            yield WholeRows(target.relation, f"{place}.columns")
        yield from _included(target, request.get("include"), f"{place}.include")
