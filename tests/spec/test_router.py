"""The whole specification again, through a component and a router, in every serializer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pgwamp.errors import CallError
from pgwamp.session import Client
from tests.conftest import Connect, Database, Serve
from tests.spec import (
    test_columns,
    test_include,
    test_pages,
    test_routines,
    test_where,
    test_writes,
)
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import SCHEMA, exact, ran, refused

CASES: list[Case | Refusal] = [
    *test_where.CASES, *test_where.REFUSED, *test_columns.CASES, *test_columns.REFUSED,
    *test_include.CASES, *test_include.REFUSED, *test_pages.REFUSED, *test_writes.REFUSED,
    *test_routines.CASES, *test_routines.REFUSED,
]  # fmt: skip


def can_travel(case: Case | Refusal) -> bool:
    """Whether every serializer carries the arguments."""
    try:
        given = json.dumps([case.args, case.kwargs], allow_nan=False)
    except (TypeError, ValueError):
        return False
    # A caller's integers end at 64 bits, and JSON has text that begins with NUL for bytes.
    long = any(str(number) in given for number in (2**63, 2**64))
    return "\\u0000" not in given and not long and json.loads(given) == [[*case.args], case.kwargs]


@pytest.fixture
async def served(database: Database, serve: Serve) -> AsyncIterator[None]:
    database.execute(SCHEMA)
    await serve()
    ran.clear()
    yield
    print(f"\ncases of the specification through the router: {dict(ran)}")


async def check(client: Client, prefix: str, case: Case | Refusal) -> None:
    """Call through the router, and compare with what the case expects."""
    ran[type(case).__name__] += 1
    uri = f"{prefix}.{case.call}"
    if isinstance(case, Refusal):
        with pytest.raises(CallError) as caught:
            await client.call(uri, case.args, case.kwargs)
        refused(caught.value, case)
        return
    value, also = await client.call_full(uri, case.args, case.kwargs)
    assert exact([value, also]) == exact([case.expected, case.also]), named(case)


@pytest.mark.parametrize("serializer", ["cbor", "msgpack", "json"])
@pytest.mark.usefixtures("served")
async def test_every_serializer_carries_the_same_answers(
    connect: Connect, prefix: str, serializer: str
) -> None:
    client = await connect(serializer)
    travelling = [case for case in CASES if can_travel(case)]
    assert len(travelling) > 0.95 * len(CASES)
    for case in travelling:
        await check(client, prefix, case)


@pytest.mark.usefixtures("served")
async def test_progressive_results_together_are_the_same_answer(
    connect: Connect, prefix: str
) -> None:
    client = await connect()
    for case in CASES:
        whole = isinstance(case, Case) and isinstance(case.expected, list) and not case.also
        if not whole or not case.call.endswith((".select", "rows_of", "people", "numbers")):
            continue
        if not can_travel(case):
            continue
        ran["progressive"] += 1
        received: list[Any] = []
        await client.call(
            f"{prefix}.{case.call}", case.args, case.kwargs, on_progress=received.extend
        )
        assert exact(received) == exact(case.expected), named(case)
