"""Names that the database chooses: things without a URI of their own are left out, and told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pgwamp.catalog import Catalog, Routine
from pgwamp.naming import Naming
from pgwamp.session import Procedure

#: Lines that one log or check has: a role that may create functions could make thousands.
MOST_LINES = 10
_OWNERS = {"query": "a named query", "live": "a live query", "python": "a Python procedure"}


class Named(NamedTuple):
    """Procedures of the database by URI, and a line for each thing that has none."""

    procedures: Mapping[str, Procedure]
    left_out: Sequence[str]


def unambiguous(
    procedures: Iterable[Procedure],
    ours: Mapping[str, Procedure],
    reserved: Mapping[str, str],
    functions: Mapping[str, Sequence[Routine]],
) -> Named:
    """Leave out procedures of the database whose URI is taken.

    Roles that may create in an exposed schema choose names there: they take none of ours, and where
    two have one name neither can pass for the other.

    :param ours: that have their names in any case.
    :param reserved: further URIs that are taken, and by what.
    :param functions: of the database, by URI.
    """
    owners = {uri: _OWNERS.get(of.kind, "pgwamp's own") for uri, of in ours.items()}
    owners |= reserved
    made: dict[str, Procedure] = {}
    relations: dict[str, set[str]] = {}
    left_out: set[str] = set()
    for procedure in procedures:
        uri = procedure.uri
        if relation := procedure.description.get("relation"):
            relations.setdefault(uri, set()).add(relation)
        if uri in owners or uri in made:
            left_out.add(uri)
        else:
            made[uri] = procedure
    lines = []
    for uri in sorted(left_out):
        made.pop(uri, None)
        things = [f"relation {name}" for name in sorted(relations.get(uri, ()))]
        things += sorted({f"{of.kind} {of.schema}.{of.name}" for of in functions.get(uri, ())})
        lines.append(_taken(uri, things, owners.get(uri)))
    return Named(made, list(dict.fromkeys(lines)))


def without_uri(naming: Naming, catalog: Catalog) -> Iterator[str]:
    """Return a line for each thing that is to be exposed and whose name no URI can hold."""
    things = {("relation", of.schema, of.name): None for of in catalog.relations}
    things |= {(str(of.kind), of.schema, of.name): None for of in catalog.routines}
    for kind, schema, name in things:
        if naming.path(schema, name) is None and naming.is_exposed(schema, name):
            yield (
                f"{kind} {schema}.{name} is not exposed: its name cannot be part of a URI; "
                f"{_alias(f'{schema}.{name}')}"
            )


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines, and how many there are besides."""
    others = len(lines) - MOST_LINES
    further = [f"{others} more are not exposed because of their names"] if others > 0 else []
    return [*lines[:MOST_LINES], *further]


def _taken(uri: str, things: Sequence[str], owner: str | None) -> str:
    if owner is None and all(thing.startswith("relation ") for thing in things):
        uri = uri.rpartition(".")[0]  # one line for all procedures of both
    reason = f"which is {owner}" if owner else "the name of each"
    verb = "is" if len(things) == 1 else "are"
    cure = _alias(things[-1].partition(" ")[2])
    return f"{' and '.join(things)} {verb} not exposed as {uri}, {reason}; {cure}"


def _alias(name: str) -> str:
    return (
        f'name it in pgwamp.toml, [expose.alias] "{name}" = "...", or leave it out, expose.exclude'
    )
