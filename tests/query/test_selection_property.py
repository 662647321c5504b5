"""Whole requests against plain SQL that the test writes itself, table by table.

The oracle embeds nothing: it fetches the rows of each level with a textual SELECT of their own and
puts them together in Python.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwamp.query.reads import Reads
from pgwamp.query.scope import Scope
from tests.query.conftest import Bench
from tests.query.schemas import VALUES, Schema, Table, Way, generate, insertion, literal

SEEDS = (1, 2, 3, 4)
COMPARISONS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
AGGREGATES = {
    "int": ("sum", "avg", "min", "max", "count"), "numeric": ("sum", "avg", "min", "max", "count"),
    "text": ("min", "max", "count"), "timestamptz": ("min", "max", "count"),
    "bool": ("bool_and", "bool_or", "count"), "jsonb": ("count",),
}  # fmt: skip
ran: Counter[str] = Counter()


@dataclass
class Case:
    """What to ask of the rows of a table, as a request and as SQL text.

    ``outputs`` are names and SQL expressions, in order; in these and the conditions ``{t}`` stands
    for the alias.
    """

    table: str
    request: dict[str, Any] = field(default_factory=dict)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    condition: str = "true"
    order: list[str] = field(default_factory=list)
    group: list[str] | None = None
    limit: int | None = None
    offset: int | None = None
    embeds: list[Embedded] = field(default_factory=list)


@dataclass
class Embedded:
    """A level below."""

    label: str
    way: Way
    case: Case
    inner: bool
    spread: bool


# --- generating --------------------------------------------------------------------------------


class Cases:
    """Draws requests about one schema."""

    def __init__(self, schema: Schema, draw: Any):
        self._schema = schema
        self._draw = draw
        self._labels = 0

    def case(self, table: Table, depth: int = 0) -> Case:
        """A request about a table, at most three levels deep."""
        found = Case(table.name)
        grouped = depth < 2 and self._draw(st.integers(0, 5)) == 0
        if grouped:
            plain = self._aggregate(found, table)
            ways = self._schema.ways(table.name)
            ways = [way for way in ways if (way.key if way.to_one else "id") in plain]
            self._embed(found, ways, depth)
        else:
            if depth < 3:
                self._embed(found, self._schema.ways(table.name), depth)
            self._columns(found, table)
        if self._draw(st.booleans()):
            where, found.condition = self.where(table, 0)
            found.request["where"] = where
        if not grouped:
            self._order(found, table)
        for name in ("limit", "offset"):
            if self._draw(st.integers(0, 3)) == 0:
                found.request[name] = self._draw(st.integers(0, 6))
                setattr(found, name, found.request[name])
        return found

    def _label(self) -> str:
        self._labels += 1
        return f"x{self._labels}"

    def _columns(self, found: Case, table: Table) -> None:
        spread = any(e.spread for e in found.embeds)
        columns = table.all_columns()
        if not spread and self._draw(st.booleans()):
            found.outputs = [(name, output(f"{{t}}.{name}", k)) for name, k in columns.items()]
            return
        items = []
        for name in self._draw(st.lists(st.sampled_from(sorted(columns)), max_size=3, unique=True)):
            label, kind = self._label(), columns[name]
            way = self._draw(st.sampled_from(["plain", "text", "path", "path text"]))
            value = f"{{t}}.{name}"
            if way == "text" or (way != "plain" and kind != "jsonb"):
                items.append(f"{label}:{name}::text")
                found.outputs.append((label, f"{value}::text"))
            elif way == "plain":
                items.append(f"{label}:{name}")
                found.outputs.append((label, output(value, kind)))
            elif way == "path":
                items.append(f"{label}:{name}->b->c")
                found.outputs.append((label, output(f"({value} -> 'b' -> 'c')", "jsonb")))
            else:
                items.append(f"{label}:{name}->>a")
                found.outputs.append((label, f"({value} ->> 'a')"))
        if not items and not found.embeds:
            items, found.outputs = ["id"], [("id", "{t}.id")]
        found.request["columns"] = items

    def _aggregate(self, found: Case, table: Table) -> list[str]:
        """Ask for groups of rows, by the columns that are answered."""
        columns = table.all_columns()
        # Often by the columns of a key, from where groups lead on.
        pool = sorted(columns) if self._draw(st.booleans()) else ["id", *table.keys]
        plain = self._draw(st.lists(st.sampled_from(pool), max_size=2, unique=True))
        found.group, items = [f"{{t}}.{name}" for name in plain], list(plain)
        for name in plain:
            found.outputs.append((name, output(f"{{t}}.{name}", columns[name])))
        for name in self._draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, max_size=2)):
            function = self._draw(st.sampled_from(AGGREGATES[columns[name]]))
            label = self._label()
            items.append(f"{label}:{name}.{function}()::text")
            found.outputs.append((label, f"{function}({{t}}.{name})::text"))
        items.append("n:count()")
        found.outputs.append(("n", "count(*)"))
        order = []
        for name in plain:
            descending = self._draw(st.booleans())
            order.append(f"{name}.desc" if descending else name)
            found.order.append(f"{{t}}.{name}" + (" desc" if descending else ""))
        found.request.update(columns=items, order=order)
        return plain

    def _order(self, found: Case, table: Table) -> None:
        terms = []
        for name in self._draw(st.lists(st.sampled_from(sorted(table.columns)), max_size=2)):
            term, sql = name, f"{{t}}.{name}"
            if self._draw(st.booleans()) and table.keys:
                key = self._draw(st.sampled_from(sorted(table.keys)))
                target = self._schema.tables[table.keys[key]]
                column = self._draw(st.sampled_from(sorted(target.columns)))
                term = f"{key}({column})"
                sql = f"(select o.{column} from {target.name} as o where o.id = {{t}}.{key})"
            suffix = self._draw(st.sampled_from(["", ".asc", ".desc"]))
            nulls = self._draw(st.sampled_from(["", ".nullsfirst", ".nullslast"]))
            terms.append(term + suffix + nulls)
            spelled = (suffix + nulls).replace(".", " ").replace("nulls", "nulls ")
            found.order.append(sql + spelled)
        found.request["order"] = [*terms, "id"]
        found.order.append("{t}.id")

    def _embed(self, found: Case, ways: list[Way], depth: int) -> None:
        if not ways:
            return
        include = {}
        for way in self._draw(st.lists(st.sampled_from(ways), max_size=2 - depth // 2)):
            case = self.case(self._schema.tables[way.target], depth + 1)
            label = self._label()
            inner = self._draw(st.integers(0, 3)) == 0
            spread = False
            if way.to_one:
                for name in ("limit", "offset"):
                    case.request.pop(name, None)
                    setattr(case, name, None)
                explicit = "columns" in case.request and case.group is None
                spread = explicit and self._draw(st.booleans()) and bool(case.outputs)
                spread = spread and all(n.startswith("x") for n, _ in case.outputs)
            if case.group is not None and (way.to_one or inner):
                continue
            request = dict(case.request)
            if inner:
                request["inner"] = True
            if spread:
                request["spread"] = True
            include[f"{label}:{way.key}"] = request
            found.embeds.append(Embedded(label, way, case, inner, spread))
        if include:
            found.request["include"] = include

    def where(self, table: Table, depth: int) -> tuple[dict[str, Any], str]:
        """A filter, and the same as SQL."""
        where: dict[str, Any] = {}
        parts = []
        columns = table.all_columns()
        for name in self._draw(st.lists(st.sampled_from(sorted(columns)), max_size=2, unique=True)):
            where[name], sql = self._condition(f"{{t}}.{name}", columns[name])
            parts.append(sql)
        if depth < 2 and self._draw(st.booleans()):
            kind = self._draw(st.sampled_from(["and", "or", "not"]))
            inner = [self.where(table, depth + 1) for _ in range(1 if kind == "not" else 2)]
            where[kind] = inner[0][0] if kind == "not" else [w for w, _ in inner]
            joined = f" {kind} ".join(f"({sql})" for _, sql in inner)
            parts.append(f"not {joined}" if kind == "not" else joined)
        ways = self._schema.ways(table.name)
        # A bare foreign key column is the column itself.
        ways = [way for way in ways if not way.to_one]
        if depth < 2 and ways and self._draw(st.integers(0, 2)) == 0:
            way = self._draw(st.sampled_from(ways))
            alias = f"f{depth}"
            inner_where, inner_sql = self.where(self._schema.tables[way.target], 2)
            absent = self._draw(st.booleans())
            if absent:
                inner_where, inner_sql = {}, "true"
            join = way.join.format(here="{t}", there=alias)
            exists = (
                f"exists (select from {way.target} as {alias} where {join} "
                f"and ({inner_sql.replace('{t}', alias)}))"
            )
            where[way.key] = None if absent else inner_where
            parts.append(f"not {exists}" if absent else exists)
        return where, " and ".join(f"({part})" for part in parts) or "true"

    def _condition(self, sql: str, kind: str) -> tuple[Any, str]:
        value = self._draw(st.sampled_from(VALUES[kind]))
        way = self._draw(st.sampled_from(["null", "compare", "in", "any", "not"]))
        if way == "null":
            return None, f"{sql} is null"
        if way == "in":
            values = self._draw(st.lists(st.sampled_from(VALUES[kind]), max_size=3))
            options = [f"{sql} = {literal(v, kind)}" for v in values] or ["false"]
            return {"in": values}, " or ".join(options)
        if way == "any" and kind != "jsonb":
            values = self._draw(st.lists(st.sampled_from(VALUES[kind]), min_size=1, max_size=3))
            options = [f"{sql} >= {literal(v, kind)}" for v in values]
            return {"gte": {"any": values}}, " or ".join(options)
        if way == "not":
            return {"not": {"eq": value}}, f"not ({sql} = {literal(value, kind)})"
        operator = self._draw(st.sampled_from(sorted(COMPARISONS)))
        return {operator: value}, f"{sql} {COMPARISONS[operator]} {literal(value, kind)}"


def output(value: str, kind: str) -> str:
    """What the driver hands over as a caller gets it; jsonb is parsed by the oracle."""
    if kind == "numeric":
        return f"{value}::text"
    if kind == "timestamptz":
        # As RFC 3339 has it.
        return f"to_json({value}) #>> '{{}}'"
    return f"json:{value}::text" if kind == "jsonb" else value


# --- the oracle --------------------------------------------------------------------------------


class Oracle:
    """Answers cases with one plain SELECT for each level and parent."""

    def __init__(self, bench: Bench):
        self._bench = bench

    def rows(self, case: Case, join: str = "true", alias: str = "a") -> list[dict[str, Any]]:
        """The rows of a case that meet ``join`` too."""
        outputs = [sql.removeprefix("json:").replace("{t}", alias) for _, sql in case.outputs]
        # The embedded levels below join by the values of this row.
        hidden = [f"{alias}.*"] if case.group is None else case.group
        hidden = [name.replace("{t}", alias) for name in hidden]
        conditions = [join, case.condition.replace("{t}", alias)]
        conditions += [self._exists(e, alias) for e in case.embeds if e.inner]
        text = f"select {', '.join([*outputs, *hidden])} from {case.table} as {alias} where "
        text += " and ".join(f"({c})" for c in conditions)
        if case.group:
            text += f" group by {', '.join(case.group)}".replace("{t}", alias)
        if case.order:
            text += f" order by {', '.join(case.order)}".replace("{t}", alias)
        text += f" limit {'all' if case.limit is None else case.limit} offset {case.offset or 0}"
        return [self._row(case, list(record.values()), record) for record in self._fetch(text)]

    def _fetch(self, text: str) -> list[Any]:
        return self._bench.fetch(text)

    def _row(self, case: Case, values: list[Any], record: Any) -> dict[str, Any]:
        row = {}
        for (name, sql), value in zip(case.outputs, values, strict=False):
            parse = sql.startswith("json:") and value is not None
            row[name] = json.loads(value) if parse else value
        own = dict(list(record.items())[len(case.outputs) :])
        for embed in case.embeds:
            found = self.rows(embed.case, self._joined(embed.way, own), "b")
            if embed.spread:
                names = [name for name, _ in embed.case.outputs] + _spread(embed.case)
                lent = found[0] if found else dict.fromkeys(names)
                row.update(lent)
            elif embed.way.to_one:
                row[embed.label] = found[0] if found else None
            else:
                row[embed.label] = found
        return row

    def _joined(self, way: Way, own: dict[str, Any]) -> str:
        """The join with the parent's values in place of its columns."""
        text = way.join.replace("{there}", "b")
        for name, value in own.items():
            if type(value) is int or value is None:
                text = text.replace(f"{{here}}.{name}", "null" if value is None else str(value))
        assert "{here}" not in text
        return text

    def _exists(self, embed: Embedded, alias: str) -> str:
        below = f"{alias}e{embed.label}"
        conditions = [
            embed.way.join.format(here=alias, there=below),
            embed.case.condition.replace("{t}", below),
            *(self._exists(e, below) for e in embed.case.embeds if e.inner),
        ]
        joined = " and ".join(f"({c})" for c in conditions)
        return f"exists (select from {embed.case.table} as {below} where {joined})"


def _spread(case: Case) -> list[str]:
    names = []
    for embed in case.embeds:
        if embed.spread:
            names += [name for name, _ in embed.case.outputs] + _spread(embed.case)
        else:
            names.append(embed.label)
    return names


# --- the tests ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(bench: Bench) -> Iterator[list[tuple[Schema, dict[str, Scope]]]]:
    made = []
    for seed in SEEDS:
        schema, statements = generate(seed)
        bench.execute(f"create schema s{seed}; set search_path = s{seed}")
        for statement in statements:
            bench.execute(statement)
        made.append((schema, bench.scopes(f"s{seed}")))
    yield made
    print(f"\nrequests compared with SQL: {dict(ran)}")


def use(bench: Bench, index: int) -> None:
    """Let the oracle's plain names mean the tables of one schema."""
    bench.execute(f"set search_path = s{SEEDS[index]}")


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_request_answers_what_plain_sql_answers(
    bench: Bench, schemas: list[tuple[Schema, dict[str, Scope]]], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(SEEDS) - 1))
    schema, scopes = schemas[index]
    use(bench, index)
    table = schema.tables[data.draw(st.sampled_from(sorted(schema.tables)))]
    case = Cases(schema, data.draw).case(table)
    reads = Reads(scopes[table.name], max_rows=1000)
    expected = Oracle(bench).rows(case)
    assert bench.rows(reads.select(case.request)) == expected, case.request
    ran["requests"] += 1
    ran["groups that lead on"] += case.group is not None and bool(case.embeds)
    ran["embedded levels"] += str(case.request).count("'order'") - 1
    if case.group is None:
        page = reads.select({**case.request, "count": "exact"})
        total = len(Oracle(bench).rows(_unlimited(case)))
        records = bench.fetch(page.bound.statement.sql, *page.bound.parameters)
        assert page.count(records) in (total, None)
        ran["counts"] += 1


def _unlimited(case: Case) -> Case:
    return Case(case.table, outputs=[], condition=case.condition, embeds=case.embeds)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_pages_hold_every_row_that_stays_once_and_in_order(
    bench: Bench,
    schemas: list[tuple[Schema, dict[str, Scope]]],
    data: st.DataObject,
    seed: int,
) -> None:
    index = data.draw(st.integers(0, len(SEEDS) - 1))
    schema, scopes = schemas[index]
    use(bench, index)
    table = schema.tables[data.draw(st.sampled_from(sorted(schema.tables)))]
    case = Case(table.name)
    Cases(schema, data.draw)._order(case, table)
    order = case.request["order"]
    if data.draw(st.booleans()):
        order = order[:-1]  # the key is added then
    reads = Reads(scopes[table.name], max_rows=1000)
    rng = random.Random(seed)
    changing = data.draw(st.booleans())
    bench.execute("begin")
    try:
        stayed = {row["id"] for row in bench.fetch(f"select id from {table.name}")}
        after, found, fresh = None, [], 1000
        while True:
            page = reads.select(
                {"columns": ["id"], "order": order, "after": after, "limit": rng.randint(1, 4)}
            )
            records = bench.fetch(page.bound.statement.sql, *page.bound.parameters)
            found += [row["id"] for row in bench.run(page.rows(records))]
            after = page.next(records)
            if after is None:
                break
            if changing:
                fresh += 1
                row = rng.choice((-1, 1)) * fresh
                bench.execute(insertion(schema, table, row, rng, related=False))
                gone = rng.choice(sorted(stayed))
                free = not any(
                    bench.fetch(f"select from {t.name} where {column} = {gone}")
                    for t in schema.tables.values()
                    for column, target in t.keys.items()
                    if target == table.name
                ) and not any(
                    bench.fetch(f"select from {j} where {table.name}_id = {gone}")
                    for j, pair in schema.junctions.items()
                    if table.name in pair
                )
                if free:
                    bench.execute(f"delete from {table.name} where id = {gone}")
                    stayed.discard(gone)
        assert len(found) == len(set(found))
        assert stayed <= set(found)
        if not changing:
            terms = ", ".join(case.order).replace("{t}", "a")
            direct = bench.fetch(f"select a.id from {table.name} as a order by {terms}")
            if order == case.request["order"]:
                assert found == [row["id"] for row in direct]
        ran["walks"] += 1
    finally:
        bench.execute("rollback")
