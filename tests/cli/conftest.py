"""Commands of ``pgwamp`` in a folder and a database of the test's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import Addresses, Database
from tests.processes import run_pgwamp

Run = Callable[..., Awaitable[tuple[int, str, str]]]
SECRET = "s3cr3t-word"


@pytest.fixture
def environment(addresses: Addresses, database: Database, prefix: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database.url,
        "PGWAMP_ROUTER__URL": addresses.component,
        "PGWAMP_EXPOSE__SCHEMAS": '["public"]',
        "PGWAMP_EXPOSE__PREFIX": prefix,
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    async def run(*arguments: str, **changes: str) -> tuple[int, str, str]:
        merged = {**environment, **changes}
        return await run_pgwamp(
            *arguments,
            environment={k: v for k, v in merged.items() if v},
            folder=tmp_path,
        )

    return run


def one_line(text: str) -> str:
    """The only line of an error, checked to be one and no traceback."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert "Traceback" not in text
    assert SECRET not in text
    return lines[0]
