"""Rows to write: dicts of a call, checked, as lists of values for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog.model import Column, Relation
from pgwamp.errors import InvalidArgument, at, below
from pgwamp.query.limits import Values
from pgwamp.query.unknown import unknown_column
from pgwamp.settings import LimitSettings
from pgwamp.values import Budget, writer


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that give the same columns; a single one is written without lists.

    :ivar number: of rows that give none.
    """

    columns: tuple[str, ...]
    single: bool
    number: int = 0

    @property
    def is_one(self) -> bool:
        """Whether it is a single row."""
        return self.single or self.number == 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to write, in groups that give the same columns.

    :ivar groups: what each of them is like.
    :ivar values: of each group, for each column, the values of all its rows.
    """

    groups: tuple[Group, ...]
    values: tuple[tuple[list[Any], ...], ...]

    @property
    def is_one(self) -> bool:
        """Whether it is a single row."""
        return len(self.groups) == 1 and self.groups[0].is_one

    def named(self) -> dict[str, Any]:
        """The lists of values, or the values of a single row, by the names of their parameters."""
        return {
            f"w{number}_{index}": values[0] if group.single else values
            for number, (group, lists) in enumerate(zip(self.groups, self.values, strict=True))
            for index, values in enumerate(lists)
        }


def parse_rows(
    relation: Relation,
    given: Any,
    path: str,
    asked: Values,
    missing: Any = None,
    *,
    key: tuple[str, ...] | None = None,
) -> Rows:
    """A dict, or a list of dicts, to be written to ``relation``.

    :param asked: the other values of the call, and the bounds of all.
    :param missing: ``"default"`` lets rows differ in their columns, ``"null"`` completes them.
    :param key: of rows that are there already; its columns are read, and not written.
    :raises InvalidArgument: naming the row and the column.
    """
    if missing not in (None, "default", "null"):
        raise InvalidArgument("missing", 'expected "default" or "null"')
    limits, single = asked.limits, isinstance(given, Mapping)
    rows: Sequence[Any] = [given] if single else given
    if not isinstance(rows, list | tuple) or not all(isinstance(r, Mapping) for r in rows):
        raise InvalidArgument(path, "expected a dict or a list of dicts")
    if not rows:
        return Rows((), ())
    if missing == "null":
        union = dict.fromkeys(name for row in rows for name in row)
        for name in union:
            if name not in relation.by_name:
                raise unknown_column(relation, name, path)
        if len(rows) * len(union) > limits.max_values:
            raise InvalidArgument(
                path, f"{len(rows) * len(union)} values with those that are missing, "
                f"at most {limits.max_values} (limits.max_values)"
            )  # fmt: skip
        rows = [{name: row.get(name) for name in union} for row in rows]
    groups = list(_groups(rows, path, missing is None, written=key is None).values())
    _check_size(relation, [len(rows[i[0]]) or len(i) for i in groups], path, limits)
    found = tuple(
        Group(tuple(rows[i[0]]), len(i) == 1, 0 if rows[i[0]] else len(i)) for i in groups
    )
    return Rows(
        found,
        tuple(
            tuple(
                _values(relation, name, rows, indexes, path, single, key or (), asked.budget)
                for name in group.columns
            )
            for group, indexes in zip(found, groups, strict=True)
        ),
    )


def _groups(
    rows: Sequence[Mapping[str, Any]], path: str, alike: bool, *, written: bool
) -> Mapping[frozenset[str], list[int]]:
    """The positions of the rows that give the same columns.

    :param alike: all of them have to.
    :param written: they are new rows.
    """
    groups: dict[frozenset[str], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(frozenset(row), []).append(index)
    if len(groups) > 1 and alike:
        first = min(indexes[0] for indexes in groups.values() if indexes[0])
        raise InvalidArgument(
            f"{path}[{first}]", f"its columns differ from those of {path}[0]; give all the same"
            + (', or say missing="default" or missing="null"' if written else "")
        )  # fmt: skip
    return groups


def _check_size(relation: Relation, sizes: Sequence[int], path: str, limits: LimitSettings) -> None:
    """Refuse rows that make a statement of more columns than a call may ask for.

    :param sizes: the number of columns of each kind of rows, and of rows without any; each kind
        makes a statement of its own within the whole, which answers all columns.
    """
    most = limits.max_columns
    if max(sizes) > most:
        raise InvalidArgument(path, f"{max(sizes)} columns, at most {most} (limits.max_columns)")
    further = (len(sizes) - 1) * len(relation.columns)
    if further > most:
        raise InvalidArgument(
            path, f"{len(sizes)} different sets of columns, of {len(relation.columns)} columns "
            f'each, at most {most} (limits.max_columns); complete the rows, or say missing="null"'
        )  # fmt: skip


def writable_column(relation: Relation, name: Any, path: str) -> Column:
    """The column, if values can be written to it. Raises :class:`InvalidArgument`."""
    column = relation.by_name.get(name)
    if column is None:
        raise unknown_column(relation, name, path)
    if column.generated:
        problem = "is computed by the server; leave it out"
        raise InvalidArgument(path, problem).about(relation.key, name)
    return column


def _values(
    relation: Relation,
    name: Any,
    rows: Sequence[Any],
    indexes: Sequence[int],
    path: str,
    single: bool,
    key: tuple[str, ...],
    budget: Budget,
) -> list[Any]:
    """The values of one column, checked and ready to be parameters."""

    def place(index: int) -> str:
        return below(path if single else at(path, index), name)

    known = relation.by_name[name] if name in key else None
    kind = (known or writable_column(relation, name, place(indexes[0]))).type
    write, values = writer(kind), []
    try:
        for index in indexes:
            value = rows[index][name]
            values.append(None if value is None else write(kind, value, "", budget))
    except InvalidArgument as error:
        raise error.within(place(index)).about(relation.key, name) from None
    return values
