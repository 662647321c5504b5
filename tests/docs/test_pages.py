"""What stands in the blocks of the reference pages is run, loaded or compiled."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pgwamp.settings import Settings
from tests.docs.test_commands import ROOT, Stack
from tests.docs.test_commands import shop as shop  # a fixture
from tests.servers import execute

PAGES = sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
#: README and the tutorial are run by test_commands, as a reader goes through them.
REFERENCE = [page for page in PAGES if page != "docs/tutorial.md"]
#: The pages' example tables that the shop does not have.
MISSING = ("create schema sales", "create table sales.invoices (id int primary key)")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block, and where it stands."""

    page: str
    kind: str
    text: str


def blocks(kind: str) -> list[Block]:
    """All blocks of a kind, of all reference pages; ``text`` is drawn, and nothing runs it."""
    found = [Block(page, *parts) for page in REFERENCE for parts in _BLOCK.findall(_text(page))]
    assert {block.kind for block in found} <= {"sh", "sql", "python", "toml", "ini", "ts", "text"}
    return [block for block in found if block.kind == kind]


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture
async def stack(shop: Path) -> AsyncIterator[Stack]:
    running = Stack(shop)
    await running.start()
    try:
        yield running
    finally:
        await running.dev.interrupt()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_commands_and_sql_of_the_pages_work(stack: Stack) -> None:
    database = stack.database
    server = re.sub(r".*@|/.*", "", database.removeprefix("postgresql://"))
    execute(database, *MISSING)
    commands = blocks("sh")
    assert commands
    # The reader's own database is not the shop's, and neither is its configuration.
    (socket,) = (stack.folder / ".pgwamp").rglob("*.sock")
    (stack.folder / "own.toml").write_text('[expose]\nschemas = ["public"]\n')
    for page, _, text in commands:
        if "db.example.com" in text:
            text = text.replace("db.example.com", server)
            # As the component it comes in over the socket.
            router = f"export PGWAMP_ROUTER__URL=rs+unix://{socket}"
            text = f"export PGWAMP_CONFIG=own.toml\n{router}\n{text}"
        code, output = await stack.shell(f"set -e\n{text}")
        assert code == 0, f"{page}:\n{text}\n{output}"
    for block in blocks("sql"):
        # The logins of that page are made by test_security, on a server of its own.
        if block.page != "docs/security.md":
            execute(database, block.text)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_configuration_of_the_pages_can_be_loaded(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "pgwamp.toml"
    file.write_text(block.text)
    Settings.load(file)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_of_the_pages_is_python(block: Block) -> None:
    compile(block.text, block.page, "exec")


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", _text(page)):
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]
            assert anchor in anchors, f"{target}#{anchor}"
