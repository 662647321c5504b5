"""Representative requests of each kind of relation and routine, and the statements made of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgwamp.catalog import Graph, load_catalog
from pgwamp.query.keyset import encode_key
from pgwamp.query.loads import Load
from pgwamp.query.reads import Page, Reads
from pgwamp.query.routines import RoutineCalls
from pgwamp.query.scope import Scopes
from pgwamp.query.statement import Bound
from pgwamp.query.writes import Writes
from tests.golden.files import comments, formatted, listed
from tests.query.conftest import Bench
from tests.query.golden_kinds import KINDS, SCHEMA, Ask

FOLDER = Path(__file__).with_name("golden")
SCHEMAS = ["public", 'o"dd.schema']


@dataclass
class Made:
    """What is made of one request: statements, and the values of the first one."""

    ask: Ask
    statements: list[tuple[str, str]]
    values: Sequence[Any] = field(default_factory=list)

    def text(self) -> str:
        """The request, its statements and the values below them."""
        asked = json.dumps(self.ask.request, ensure_ascii=False, default=repr)
        big = ', bigint = "string"' if self.ask.big else ""
        parts = [comments([f"{self.ask.verb} of {self.ask.of}{big}: {asked}"])]
        for note, sql in self.statements:
            parts.append(comments([note]) if note else "")
            parts.append(f"{formatted(sql)};\n" if sql else "")
        parts.append(listed(f"${n} = {value!r}" for n, value in enumerate(self.values, 1)))
        return "".join(parts)


class Maker:
    """Makes statements of requests, as the component does."""

    def __init__(self, bench: Bench):
        bench.execute(SCHEMA)
        self._catalog = bench.run(load_catalog(bench.connection, SCHEMAS, watched=False))
        self._scopes = Scopes(self._catalog, Graph(self._catalog, self._catalog.relations))

    def file(self, kind: str) -> str:
        """The text of a golden file."""
        return "\n".join(made.text() for made in self.all(KINDS[kind]))

    def all(self, asks: Iterable[Ask]) -> list[Made]:
        """What is made of some requests."""
        return [self.make(ask) for ask in asks]

    def make(self, ask: Ask) -> Made:
        """What is made of a request."""
        if ask.verb == "call":
            return _made(ask, self._call(ask))
        (relation,) = (r for r in self._catalog.relations if r.name == ask.of)
        scope = self._scopes.of(relation)
        reads = Reads(scope, max_rows=1000, bigint_as_string=ask.big)
        writes = Writes(scope, bigint_as_string=ask.big)
        if "csv" in ask.request:
            return _loaded(ask, writes.load(ask.request, upsert=ask.verb == "upsert"))
        if ask.request.get("format") == "csv":
            return _made(ask, reads.stream(ask.request, plain=True))
        of = reads if ask.verb in ("select", "get", "count") else writes
        asked: Bound | Page = getattr(of, ask.verb)(_with_cursor(reads, ask.request))
        return _made(ask, asked.bound if isinstance(asked, Page) else asked)

    def _call(self, ask: Ask) -> Bound:
        overloads = [routine for routine in self._catalog.routines if routine.name == ask.of]
        calls = RoutineCalls(overloads, self._scopes, max_rows=1000, bigint_as_string=ask.big)
        return asyncio.run(calls.bind((), ask.request)).bound


def _with_cursor(reads: Reads, request: dict[str, Any]) -> dict[str, Any]:
    """The request with a cursor in the place of the values that it holds."""
    if request.get("after") is None:
        return request
    keyset = reads.select({**request, "after": None}).keyset
    assert keyset is not None
    return {**request, "after": encode_key(keyset, request["after"])}


def _made(ask: Ask, bound: Bound) -> Made:
    statements = [("", bound.statement.sql)]
    if ask.small:
        assert bound.statement.small is not None
        statements.append(("or, if its answer is small:", bound.statement.small.sql))
    return Made(ask, statements, bound.parameters)


def _loaded(ask: Ask, load: Load) -> Made:
    into = f"COPY into {load.schema}.{load.table}: {', '.join(load.columns)}"
    steps = [("", load.stage), (into, load.merge), ("", load.clear)]
    return Made(ask, [(note, sql) for note, sql in steps if sql] or [(into, "")])
