"""A terminal that is closed ends what runs in it in order, as SIGTERM does."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from pgwamp.dev import ports
from tests.processes import Pgwamp
from tests.servers import server_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")


@pytest.mark.one_login
async def test_run_stops_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    os.kill(component.pid, signal.SIGHUP)
    assert await component.ended() == 0


@pytest.mark.slow
async def test_dev_leaves_no_server_and_no_note_of_itself() -> None:
    with server_folder() as folder:
        (folder / "pgwamp.toml").write_text('[expose]\nprefix = "com.example"\n')
        arguments = ("--port", str(ports.any_free()), "--postgres-port", str(ports.any_free()))
        dev = Pgwamp("dev", *arguments, environment={}, folder=folder)
        await dev.start(seconds=110)
        state = folder / ".pgwamp"
        servers = [state / "running.json", *state.rglob("postmaster.pid"), *state.rglob("node.pid")]
        assert len(servers) > 2
        os.kill(dev.pid, signal.SIGHUP)
        # The shell says so too.
        os.kill(dev.pid, signal.SIGHUP)
        assert await dev.ended(60) == 0
        assert [path for path in servers if path.exists()] == []
