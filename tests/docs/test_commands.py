"""The commands of README and the tutorial work beside ``pgwamp dev``, and print what they show."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pgwamp.dev import ports
from pgwamp.dev.embedded import programs
from tests.processes import Pgwamp
from tests.servers import server_folder

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "shop"
#: Not run here: what starts or installs everything (the clean clone that CI makes does), and the
#: reader's own database, whose commands tests/acceptance runs against Chinook.
ELSEWHERE = (
    "make run",
    "make test",
    "pip install ",
    "pgwamp dev",
    "cd examples/shop",
    "python3 -m venv ~/crossbar",
    "~/crossbar/bin/crossbar start",
    "export ",
    "pgwamp db upgrade",
    "pgwamp watch add orders",
    "pgwamp check",
    "pgwamp run",
)
BANNER_DATABASE = "postgresql://postgres@127.0.0.1:54320/shop"
#: Has the password; in the example's folder.
PASSFILE = ".pgwamp/postgres.pgpass"
#: The beginning of the title of README's first section.
EMPTY = "Try it in an empty folder"
_BLOCK = re.compile(r"```(sh|console)\n(.*?)```", re.DOTALL)


def commands(page: str, *, empty: bool = False) -> list[tuple[str, list[str]]]:
    """The commands of a page, and what each is said to print.

    They are the lines of sh blocks, of which nothing is said, and those after ``$`` in console
    blocks.

    :param empty: those of the section about an empty folder, and not the others.
    """
    found: list[tuple[str, list[str]]] = []
    for section in re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE):
        if section.startswith(EMPTY) is not empty:
            continue
        for kind, block in _BLOCK.findall(section):
            for line in block.splitlines():
                if kind == "sh":
                    found.append((line.split("  #")[0].rstrip(), []))
                elif line.startswith("$ "):
                    found.append((line[2:], []))
                else:
                    found[-1][1].append(line)
    return [(line, said) for line, said in found if line and not line.startswith(ELSEWHERE)]


def require_printed(command: str, said: list[str], output: str) -> None:
    """Compare what a command has printed with the page, where ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in "\n".join(said).split("..."))
    assert re.fullmatch(pattern, output.rstrip("\n")), f"{command}\n{output}"


@pytest.fixture(scope="module")
def shop() -> Iterator[Path]:
    with server_folder() as parent:
        folder = parent / "shop"
        shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns(".pgwamp", "__pycache__"))
        yield folder


#: The banner is for people, who have a terminal.
PEOPLE = {"PGWAMP_LOG__FORMAT": "console"}


class Stack:
    """An application under ``pgwamp dev``, and a shell beside it.

    :param database: its name.
    """

    def __init__(self, folder: Path, database: str = "shop"):
        self.folder = folder
        self._name = database
        self._port = ports.any_free()
        arguments = ("--port", str(self._port), "--postgres-port", str(ports.any_free()))
        self.dev = Pgwamp("dev", *arguments, environment=PEOPLE, folder=folder)

    async def start(self) -> None:
        """Start, or start again with the same data."""
        seen = len(self.dev.lines)
        await self.dev.start("Ctrl-C stops", seconds=110)
        banner = "\n".join(self.dev.lines[seen:])
        match = re.search(rf"postgresql://postgres@127\.0\.0\.1:(\d+)/{self._name}", banner)
        assert match is not None, banner
        assert f"PGPASSFILE={self.folder / PASSFILE} " in banner
        self._database = match[0]

    @property
    def database(self) -> str:
        """The database's address for libpq, with where the password is."""
        return f"{self._database}?passfile={self.folder / PASSFILE}"

    @property
    def _environment(self) -> dict[str, str]:
        """That of a reader, who has exported what the tutorial says."""
        folders = (str(Path(sys.executable).parent), str(programs()), os.environ["PATH"])
        exported = {"DATABASE_URL": self._database, "PGPASSFILE": str(self.folder / PASSFILE)}
        return {
            **os.environ,
            "PATH": os.pathsep.join(folders),
            **(exported if self._name == "shop" else {}),
            "PGWAMP_ROUTER__URL": f"ws://127.0.0.1:{self._port}/ws",
        }

    async def tail(self, command: str) -> Pgwamp:
        """Start a tail that ends with the first event, and wait until it listens."""
        arguments = shlex.split(command.removesuffix(" &"))[1:]
        if "--count" not in arguments:
            arguments += ["--count", "1"]
        tail = Pgwamp(*arguments, environment=self._environment, folder=self.folder)
        await tail.start("listening to")
        return tail

    async def shell(self, command: str) -> tuple[int, str]:
        """Run a command as a reader would, in the example's folder."""
        command = command.replace(".venv/bin/pgwamp", "pgwamp")
        command = command.replace(BANNER_DATABASE, self._database)
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode()


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
async def test_the_commands_of_readme_and_tutorial_work(stack: Stack, shop: Path) -> None:
    assert f"export PGPASSFILE=examples/shop/{PASSFILE}\n" in (ROOT / "README.md").read_text()
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    assert f'export PGPASSFILE="$PWD/{PASSFILE}"\n' in tutorial
    tail: Pgwamp | None = None
    for page in ("README.md", "docs/tutorial.md"):
        for command, said in commands(page):
            if " tail " in command:
                tail = await stack.tail(command)
                continue
            if command.startswith("alembic revision"):
                add_a_column(shop)
            code, output = await stack.shell(command)
            assert code == 0, f"{page}: {command}\n{output}\n{stack.dev.output}"
            if said:
                require_printed(command, said, output)
            if command.startswith("psql"):
                assert tail is not None
                assert await tail.ended() == 0, tail.output
                assert '"com.example.orders.updated"' in tail.output
                assert ('"note": "gift"' in tail.output) == ("note" in command)
    await the_rights_of_callers(stack)
    assert await stack.dev.interrupt() == 0, stack.dev.output
    assert "Traceback" not in stack.dev.output


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_the_commands_for_an_empty_folder_work() -> None:
    with server_folder() as folder:
        stack = Stack(folder, "app")
        await stack.start()
        try:
            tail: Pgwamp | None = None
            for command, said in commands("README.md", empty=True):
                if " tail " in command:
                    tail = await stack.tail(command)
                    continue
                code, output = await stack.shell(command)
                assert code == 0, f"{command}\n{output}\n{stack.dev.output}"
                require_printed(command, said, output)
            assert tail is not None
            assert await tail.ended() == 0, tail.output
            assert '"new": {"id": 1, "text": "hello"}' in tail.output
        finally:
            await stack.dev.interrupt()


async def the_rights_of_callers(stack: Stack) -> None:
    """Callers are web_anon, which may not delete, and no secret is shown."""
    code, output = await stack.shell(
        """pgwamp call com.example.orders.delete '{"id": 1}' -k returning=false"""
    )
    assert code == 1
    assert "permission denied" in output
    password = (stack.folder / PASSFILE).read_text().strip().rpartition(":")[2]
    assert len(password) > 20
    assert password not in stack.dev.output


def add_a_column(shop: Path) -> None:
    """The edit that the tutorial asks for."""
    models = shop / "shop" / "models.py"
    before = models.read_text()
    line = "    note: Mapped[str | None] = mapped_column(Text)\n"
    assert line in (ROOT / "docs" / "tutorial.md").read_text()
    after = before.replace("class OrderItem(Base):", f"{line}\n\nclass OrderItem(Base):", 1)
    assert after != before
    models.write_text(
        after.replace("server_default=NOW)\n\n\n    note", "server_default=NOW)\n    note")
    )
