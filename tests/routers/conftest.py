"""xconn's router, a second one beside Crossbar.io, in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from pgwamp.dev import ports

ROOT = Path(__file__).parents[2]
#: Of the component, for ticket and WAMP-CRA.
SECRET = "a secret of tests"


class Xconn:
    """xconn's router on a port of its own; its logins stand in ``xconn_server``.

    :ivar private_key: of the component, in hex, for cryptosign.
    """

    def __init__(self) -> None:
        key = SigningKey.generate()
        self.private_key = key.encode().hex()
        self._public_key = key.verify_key.encode().hex()
        self._port = ports.any_free()
        self.url = f"ws://127.0.0.1:{self._port}/ws"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, or start again at the same address."""
        arguments = (str(self._port), self._public_key, SECRET)
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.routers.xconn_server", *arguments),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # It logs a traceback for each session that it ends.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "the router listens" in line:
                return
        raise AssertionError("xconn's router ended before it listened")

    def stop(self) -> None:
        """Kill it: it has nothing to keep."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _start() -> Iterator[Xconn]:
    if importlib.util.find_spec("xconn") is None:
        pytest.skip("xconn is not installed: run 'make test', or 'pip install xconn==0.5.1'")
    router = Xconn()
    try:
        router.start()
        yield router
    finally:
        router.stop()


#: One for all tests that leave it as it is, and one for a test that does not.
xconn = pytest.fixture(scope="module")(_start)
own_xconn = pytest.fixture(_start)
