"""What an application imports from pgwamp."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pgwamp
from tests.conftest import Connect, Database, MakeSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
_INNER = re.compile(r"\b(?:from|import) (pgwamp\.[\w.]+)")
#: Modules of pgwamp that are written down for others: Alembic imports them by these names.
_OUTER = {"pgwamp.schema"}


def test_every_public_name_is_there() -> None:
    for name in pgwamp.__all__:
        assert getattr(pgwamp, name) is not None
    assert set(dir(pgwamp)) == set(pgwamp.__all__)


def test_another_name_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'pgwamp' has no attribute 'Compnent'"):
        _ = pgwamp.Compnent


def test_importing_pgwamp_loads_nothing_else() -> None:
    code = "import pgwamp, sys; print({'autobahn', 'asyncpg', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("file", [*PAGES, *EXAMPLES], ids=lambda file: file.name)
def test_docs_and_examples_import_public_names_only(file: Path) -> None:
    imported = set(_INNER.findall(file.read_text(encoding="utf-8")))
    assert {name for name in imported if not any(name.startswith(o) for o in _OUTER)} == set()


async def test_a_program_of_ones_own_runs_a_component(
    database: Database, make_settings: MakeSettings, connect: Connect, prefix: str
) -> None:
    database.execute("create table item (id int primary key)", "insert into item values (1)")
    settings: pgwamp.Settings = make_settings()
    async with pgwamp.Component(settings):
        client = await connect()
        assert await client.call(f"{prefix}.item.count") == 1
