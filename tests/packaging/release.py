"""``python -m tests.packaging.release``: everything of a release but publishing it.

The source archive and, of that, the wheel are built into ``dist/``. The wheel is installed with the
newest dependencies that it allows, as users install it, and serves the example application.
"""

from __future__ import annotations

import asyncio
import configparser
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
SHOP = ROOT / "examples" / "shop"
#: What the shop answers to a first call.
CALL = ("call", "com.example.products.select", "-k", "limit=1")
READY = b"pgwamp is ready"
#: Seconds until it must be ready: it makes a database, and migrates it.
READY_SECONDS = 120


class Failure(Exception):
    """A release cannot be made, and what to do."""


def version() -> str:
    """The version of the checkout."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    return config["metadata"]["version"]


def require_clean() -> None:
    """See to it that what is built is what is committed."""
    changed = run("git", "status", "--porcelain")
    if changed:
        raise Failure(f"commit or undo first:\n{changed}")


def section(of: str) -> str:
    """The heading of a version in the changelog."""
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(rf"^## .*\b{re.escape(of)}\b.*$", text, re.MULTILINE)
    if found is None:
        raise Failure(f"CHANGELOG.md has no section of {of}")
    return found[0]


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """What a command prints.

    :raises Failure: it fails.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def build() -> Path:
    """Build both archives; the wheel of what the source archive holds."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ROOT)
    (wheel,) = DIST.glob("*.whl")
    return wheel


async def serve_shop(python: Path, folder: Path) -> None:
    """Start the shop with an installed pgwamp, call it, and stop it."""
    shop = folder / "shop"
    shutil.copytree(SHOP, shop, ignore=shutil.ignore_patterns(".pgwamp", "__pycache__"))
    command = python.parent / "pgwamp"
    process = await asyncio.create_subprocess_exec(
        command,
        "dev",
        cwd=shop,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(READY_SECONDS):
            while READY not in said:
                line = await process.stdout.readline()
                if not line:
                    raise Failure(f"pgwamp dev ended:\n{said.decode()}")
                said += line
        called = await asyncio.to_thread(run, command, *CALL, folder=shop)
        if not called.startswith("{"):
            raise Failure(f"the shop answers {called}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    if process.returncode:
        raise Failure(f"pgwamp dev ended with {process.returncode}")


def main() -> int:
    """Do all of it; say each step."""
    try:
        of = version()
        print(f"Release of {of}: {section(of)}")
        require_clean()
        print("Building ...", flush=True)
        wheel = build()
        with tempfile.TemporaryDirectory(prefix="pgwamp-release-") as name:
            folder = Path(name)
            print(f"Installing {wheel.name}[dev] ...", flush=True)
            venv.create(folder / "environment", with_pip=True, symlinks=True)
            python = folder / "environment" / "bin" / "python"
            run(python, "-m", "pip", "install", "--quiet", f"{wheel}[dev]")
            run(python, "-m", "pip", "check")
            if (found := run(python.parent / "pgwamp", "--version")) != f"pgwamp {of}":
                raise Failure(f"the wheel says that it is {found}")
            print("Serving the shop ...", flush=True)
            # PostgreSQL's own user runs the programs of the environment.
            folder.chmod(0o755)
            asyncio.run(serve_shop(python, folder))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"All of {of} is in dist/. To publish it: tag the commit, upload both files.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
