"""Generated schemas with generated data: tables, foreign keys of every kind, junctions."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Values of a column, by its type; null is one of them where the column allows it.
VALUES: dict[str, list[Any]] = {
    "int": [-3, 0, 1, 2, 7, 40],
    "text": ["", "a", "A", "ab", "b%", "o'b", "ü", "zz"],
    "numeric": ["-1.5", "0", "1", "2.50", "100.00"],
    "timestamptz": ["2024-01-01 00:00:00+00", "1999-12-31 23:59:59.5+00", "2030-06-01 12:00:00+00"],
    "bool": [True, False],
    "jsonb": [{"a": 1, "b": {"c": "x"}}, {"a": None}, {"a": [1, 2]}, [1], "s", 5],
}
KINDS = tuple(VALUES)


@dataclass
class Table:
    """A table with a key ``id``, columns of random types, and foreign keys ``<target>_<n>``."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    def all_columns(self) -> dict[str, str]:
        """Every column and its type, in the table's order."""
        return {"id": "int", **self.columns, **dict.fromkeys(self.keys, "int")}


@dataclass(frozen=True)
class Way:
    """A way from a table to another, as a request spells it and as SQL joins it.

    ``join`` is a format of two aliases, ``here`` and ``there``.
    """

    key: str
    target: str
    to_one: bool
    join: str


@dataclass
class Schema:
    """Some tables, and the ways between them."""

    tables: dict[str, Table]
    junctions: dict[str, tuple[str, str]]

    def ways(self, name: str) -> list[Way]:
        """Where one can go from a table."""
        found = []
        for table in self.tables.values():
            for column, target in table.keys.items():
                if table.name == name:
                    there = f"{{there}}.id = {{here}}.{column}"
                    found.append(Way(column, target, True, there))
                if target == name:
                    there = f"{{there}}.{column} = {{here}}.id"
                    found.append(Way(f"{table.name}!{column}", table.name, False, there))
        for junction, (one, two) in self.junctions.items():
            for near, far in ((one, two), (two, one)):
                if near == name and one != two:
                    join = (
                        f"exists (select from {junction} as j where j.{near}_id = {{here}}.id "
                        f"and j.{far}_id = {{there}}.id)"
                    )
                    found.append(Way(f"{far}!{junction}", far, False, join))
        return found


def literal(value: Any, kind: str) -> str:
    """A value as SQL text, of the type that the column has."""
    if value is None:
        return f"null::{kind}"
    text = json.dumps(value) if kind == "jsonb" else str(value)
    return "'" + text.replace("'", "''") + f"'::{kind}"


def generate(seed: int) -> tuple[Schema, Iterator[str]]:
    """A schema, and the statements that make and fill it."""
    rng = random.Random(seed)
    tables: dict[str, Table] = {}
    for number in range(rng.randint(3, 5)):
        table = Table(f"t{number}", rows=rng.randint(4, 14))
        for index in range(rng.randint(2, 4)):
            table.columns[f"c{index}"] = rng.choice(KINDS)
        for index in range(rng.randint(0, 2) if number else 0):
            table.keys[f"k{index}"] = rng.choice(sorted(tables))
        if rng.random() < 0.4:
            table.keys["parent"] = table.name
        tables[table.name] = table
    pairs = [(a, b) for a in tables for b in tables if a < b]
    junctions = {f"j{i}": pair for i, pair in enumerate(rng.sample(pairs, 2))}
    schema = Schema(tables, junctions)
    return schema, _statements(schema, rng)


def _statements(schema: Schema, rng: random.Random) -> Iterator[str]:
    for table in schema.tables.values():
        columns = [f"{name} {kind}" for name, kind in table.columns.items()]
        columns += [f"{name} int references {target}" for name, target in table.keys.items()]
        yield f"create table {table.name} (id int primary key, {', '.join(columns)})"
        for row in range(1, table.rows + 1):
            yield insertion(schema, table, row, rng)
    for name, (one, two) in schema.junctions.items():
        yield (
            f"create table {name} ({one}_id int references {one}, {two}_id int references {two}, "
            f"primary key ({one}_id, {two}_id))"
        )
        for a in range(1, schema.tables[one].rows + 1):
            for b in range(1, schema.tables[two].rows + 1):
                if rng.random() < 0.3:
                    yield f"insert into {name} values ({a}, {b})"


def insertion(
    schema: Schema, table: Table, row: int, rng: random.Random, *, related: bool = True
) -> str:
    """A statement that inserts a row with this id and random values.

    :param related: the row may refer to others.
    """
    values = [str(row)]
    for kind in table.columns.values():
        values.append(literal(rng.choice([*VALUES[kind], None]), kind))
    for target in table.keys.values():
        highest = row - 1 if target == table.name else schema.tables[target].rows
        values.append(
            str(rng.randint(1, highest)) if related and highest and rng.random() < 0.8 else "null"
        )
    return f"insert into {table.name} values ({', '.join(values)})"
