"""``describe`` as TypeScript: compiled with ``tsc --strict``, and run with autobahn-js."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgwamp.component import Component, describe_database
from pgwamp.describe.typescript import typescript
from pgwamp.settings import Settings
from tests.conftest import Addresses, Database
from tests.describe.conftest import NASTY, ROOT

HERE = Path(__file__).parent / "typescript"
#: npm's names for a registry that cannot be reached; anything else is a defect of the lock file.
_AWAY = re.compile(r"ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|E40[13]\b|ENETUNREACH")
_BLOCK = re.compile(r"^```ts\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: To the end of its line, or of the last one that a quote or a backslash continues.
_CALL = re.compile(
    r"^(?: {4})?(?:timeout 5 )?pgwamp call ((?:[^'\n\\]|\\\n|'[^']*')+)$", re.MULTILINE
)
#: What a block of a page takes for granted.
_DECLARED = """import type { Session } from "autobahn";
declare const session: Session;
declare function show(...values: unknown[]): void;"""

pytestmark = [
    pytest.mark.one_login,
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")),
        reason="Node.js and npm are not installed: no TypeScript compiler to test with",
    ),
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked compiler and client, installed once into a temporary folder."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    if done.returncode and _AWAY.search(done.stderr):
        pytest.skip("npm cannot reach its registry: no TypeScript compiler to test with")
    assert done.returncode == 0, done.stderr
    return folder


def _blocks() -> list[str]:
    """The blocks of TypeScript of all pages."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    found = [b for page in pages for b in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert found
    return found


def _calls() -> list[list[str]]:
    """The words of each ``pgwamp call`` of the pages."""
    calls = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for text in _CALL.findall(page.read_text(encoding="utf-8")):
            calls.append(shlex.split(text.replace("\\\n", " ")))
    return calls


def _as_typescript(words: list[str], names: Mapping[str, list[str]]) -> str:
    """A call as the module has it: what shapes the answer of a verb goes by name.

    :param names: the arguments of each verb, and none for other procedures.
    """
    uri, *rest = words
    given: list[tuple[str | None, str]] = []
    while rest:
        word = rest.pop(0)
        name, _, text = rest.pop(0).partition("=") if word == "-k" else (None, "", word)
        try:
            value = json.dumps(json.loads(text))
        except ValueError:
            value = json.dumps(text)
        given.append((name, value))
    args = [value for name, value in given if name is None]
    kwargs = [f"{name}: {value}" for name, value in given if name is not None]
    if names[uri]:
        shaping = zip(names[uri][1:], args[1:], strict=False)
        kwargs += [f"{name}: {value}" for name, value in shaping]
        args = args[:1]
    return f"await call(session, '{uri}')([{', '.join(args)}], {{{', '.join(kwargs)}}});"


class Project:
    """A folder with the API's module and programs that use it."""

    def __init__(self, folder: Path, packages: Path, api: Mapping[str, Any]):
        self.folder = folder
        self._prefix = api["prefix"]
        (folder / "node_modules").symlink_to(packages / "node_modules")
        shutil.copy(HERE / "tsconfig.json", folder)
        (folder / "api.ts").write_text(typescript(api), encoding="utf-8")

    def program(self, name: str) -> list[str]:
        """Bring a program of this folder, with the test's prefix; answers its lines."""
        text = (HERE / name).read_text(encoding="utf-8").replace("com.example.", self._prefix + ".")
        (self.folder / name).write_text(text, encoding="utf-8")
        return text.splitlines()

    def program_of(self, text: str, name: str = "page.ts") -> None:
        """Bring a program of these lines, with the test's prefix."""
        text = text.replace("com.example.", f"{self._prefix}.")
        (self.folder / name).write_text(text, encoding="utf-8")

    def compile(self) -> str:
        """What ``tsc`` says; nothing if it is content."""
        done = self._run("node_modules/typescript/bin/tsc", "--pretty", "false")
        assert (done.returncode != 0) == bool(done.stdout), done.stderr
        return done.stdout

    def run(self, *arguments: str) -> str:
        """Run a compiled program."""
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["node", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
async def project(shop: Settings, packages: Path, tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, packages, await describe_database(shop))


async def test_a_right_program_compiles_and_runs(
    project: Project, shop: Settings, addresses: Addresses
) -> None:
    project.program("right.ts")
    assert project.compile() == ""
    async with Component(shop, patience=5):
        out = await asyncio.to_thread(project.run, "out/right.js", addresses.clients)
    assert json.loads(out.splitlines()[-1]) == {
        "inserted": 2,
        "names": ["pen", "ink"],
        "changed": 1,
        "event": ["insert", "pen"],
        "seen": ["insert", "insert", "update"],
        "stocks": [[["ink", 0], ["pen", 5]], [["ink", 1], ["pen", 5]]],
        "reason": "wamp.error.canceled",
        "nasty": "two",
        "sums": [1, 3, 8, "haha", "6.5", "3.5"],
        "records": [0, {"x": 1, "y": 2}, [{"column1": 1, "column2": 2}]],
        "numbers": [5, 4],
        "csv": "name\npen\nink\n",
        "who": "Anna",
        "streamed": ["P-1", "P-2", "id", "1", "2", "0"],
        "follows": "P-1",
        "heard": ["1", "sent"],
    }


def test_a_place_in_a_topic_whose_column_is_not_named_takes_any_value() -> None:
    row = {"type": "object", "properties": {"id": {"type": "integer"}}}
    topic = {"topic": "a.{}.{id}.inserted", "op": "insert", "row": row, "template": True}
    topic["relation"] = "public.a"
    module = typescript({"prefix": "a", "procedures": [], "topics": [topic]})
    assert "[topic: `a.${string}.${string}.inserted`]" in module


def test_templates_that_differ_in_the_names_of_values_are_one() -> None:
    topics = [
        {
            "topic": f"a.{{{name}}}.inserted",
            "op": "insert",
            "row": {"type": "object", "properties": {name: {"type": "integer"}}},
            "template": True,
            "relation": f"public.{name}",
        }
        for name in ("x", "y")
    ]
    module = typescript({"prefix": "a", "procedures": [], "topics": topics})
    assert module.count("[topic: `a.${string}.inserted`]") == 1


async def test_typescript_of_the_pages_compiles(project: Project) -> None:
    for number, block in enumerate(_blocks()):
        imports = "\n".join(line for line in block.splitlines() if line.startswith("import "))
        rest = block.replace(imports, "")
        text = f"{_DECLARED}\n{imports}\nexport async function page() {{\n{rest}\n}}\n"
        project.program_of(text, f"page{number}.ts")
    assert project.compile() == ""


async def test_every_call_of_the_pages_compiles(project: Project, shop: Settings) -> None:
    api = await describe_database(shop)
    names = {
        entry["uri"].replace(shop.expose.prefix, "com.example"): [
            argument["name"] for argument in entry.get("arguments", ()) if "verb" in entry
        ]
        for entry in api["procedures"]
        if entry["kind"] != "live"
    }
    lines = [_as_typescript(words, names) for words in _calls() if words[0] in names]
    assert len(lines) > 10
    text = f"{_DECLARED}\nimport {{ call }} from './api';\nexport async function page() {{\n"
    project.program_of(text + "\n".join(lines) + "\n}\n")
    assert project.compile() == ""


async def test_each_wrong_use_is_refused_where_it_stands(project: Project) -> None:
    lines = project.program("wrong.ts")
    wrong = {n for n, line in enumerate(lines, 1) if "// wrong" in line}
    assert len(wrong) > 10
    found = {int(n) for n in re.findall(r"^wrong\.ts\((\d+),", project.compile(), re.MULTILINE)}
    assert found == wrong


async def test_a_bigint_is_text_where_it_is_answered_so(
    shop: Settings, database: Database, packages: Path, tmp_path: Path
) -> None:
    database.execute(
        "create table visits (id bigint primary key, number bigint)", "select wamp.watch('visits')"
    )
    expose = shop.expose.model_copy(update={"bigint": "string"})
    api = await describe_database(shop.model_copy(update={"expose": expose}))
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, packages, api)
    project.program_of(f"""{_DECLARED}
import {{ call, subscribe }} from './api';
export async function page() {{
  await call(session, "com.example.visits.insert")([{{ id: 1, number: "9007199254740993" }}]);
  const visits = call(session, "com.example.visits.select");
  const [row] = await visits([{{ id: 1, number: {{ gt: "2" }} }}]);
  const text: string = row!.id;
  const count: number = await call(session, "com.example.visits.count")();
  await subscribe(session, "com.example.visits.deleted", (event) => {{
    const key: string | undefined = event.key?.id;
    show(key, text, count);
  }});
}}
""")
    assert project.compile() == ""


async def test_texts_stay_inside_their_comments(project: Project) -> None:
    module = (project.folder / "api.ts").read_text(encoding="utf-8")
    assert project.compile() == ""
    assert "It ends *\\/ here | `there`" in module
    assert NASTY.count("*/") == 1
    for line in module.split("\n"):
        if "no heading" in line:
            assert line.lstrip().startswith("* ")


async def test_the_module_is_the_same_however_the_server_orders_things(shop: Settings) -> None:
    api = await describe_database(shop)
    turned = {**api, "topics": list(reversed(api["topics"]))}
    assert typescript(turned) == typescript(api)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages)
