"""An unexpected error shows no traceback, no variable and no secret, at any moment of a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import run_pgwamp

SECRETS = ("s3cr3t-word", "t1cket-word")
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://u:s3cr3t-word@127.0.0.1:1/d",
    "PGWAMP_ROUTER__AUTH__METHOD": "ticket",
    "PGWAMP_ROUTER__AUTH__AUTHID": "me",
    "PGWAMP_ROUTER__AUTH__SECRET": "t1cket-word",
    "PGWAMP_EXPOSE__SCHEMAS": "public",
}
#: Meets a defect while it loads the settings.
BEFORE = """
import sys
from pgwamp.cli import main
from pgwamp.settings import Settings
load = Settings.load
def fail(path, **sections):
    secret = load(path).database.dsn()
    raise KeyError("surprise")
Settings.load = fail
sys.argv = ["pgwamp", "check"]
main()
"""
#: Meets one with the settings, when the log is configured.
AFTER = """
import sys
from pgwamp import checks
from pgwamp.cli import main
async def fail(settings, report):
    secret = settings.database.dsn()
    raise KeyError("surprise")
checks.check_all = fail
sys.argv = ["pgwamp", "check"]
main()
"""


def run_program(program: str, **variables: str) -> tuple[int, str]:
    """Run a program of Python to its end: the exit code, and all that it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ENVIRONMENT, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("command", [("check",), ("run",), ("db", "current")])
@pytest.mark.parametrize(
    ("name", "value"),
    [("PGWAMP_EVENTS__RETAIN", "9" * 20 + "d"), ("PGWAMP_EXPOSE__SCHEMAS", "[" * 3000)],
)
async def test_a_setting_beyond_all_bounds_is_one_line(
    tmp_path: Path, command: tuple[str, ...], name: str, value: str
) -> None:
    environment = {**ENVIRONMENT, name: value}
    code, out, err = await run_pgwamp(*command, environment=environment, folder=tmp_path)
    (line,) = (out + err).strip().splitlines()
    assert name in line
    assert not any(secret in line for secret in SECRETS)
    assert code == (1 if command == ("check",) else 2)


@pytest.mark.parametrize("program", [BEFORE, AFTER], ids=["before", "after"])
def test_a_defect_before_or_after_the_log_is_configured_is_one_line(program: str) -> None:
    code, said = run_program(program)
    assert code == 70
    (line,) = said.strip().splitlines()
    assert "unexpected KeyError: 'surprise'" in line


def test_the_log_at_level_debug_has_the_traceback_of_a_defect_without_values() -> None:
    code, said = run_program(AFTER, PGWAMP_LOG__LEVEL="debug")
    assert code == 70
    assert "Traceback" in said
    assert not any(secret in said for secret in SECRETS)


OWN_PROGRAM = """
from pgwamp import Component, Settings, logs
component = Component(Settings.load())
log = logs.get("pgwamp.events.publisher")
try:
    secret = component._settings.database.dsn()
    raise KeyError("surprise")
except KeyError:
    log.debug("not asked for")
    log.exception("publisher failed, trying again")
"""


def test_a_program_that_configures_no_log_shows_no_values_either() -> None:
    code, said = run_program(OWN_PROGRAM)
    assert code == 0
    assert "publisher failed, trying again" in said
    assert said.count("Traceback") == said.count("KeyError: 'surprise'") == 1
    assert "not asked for" not in said
    assert not any(secret in said for secret in SECRETS)


#: Is interrupted while it imports its modules, which takes half a second.
INTERRUPTED = """
import sys
from importlib.abc import MetaPathFinder
class Interrupt(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pgwamp.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from pgwamp.__main__ import main
main()
"""


def test_an_interrupt_while_modules_are_imported_shows_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
