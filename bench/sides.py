"""Starting what is measured: pgwamp, the hand-written handler, FastAPI, PostGraphile."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from bench.former import NAME, Former
from bench.processes import ROOT, ask, running
from pgwamp.dev import ports
from pgwamp.dev.router import Router

WEB_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
POSTGRAPHILE = ROOT / "bench" / "postgraphile"
_START = 30.0  # seconds


@dataclass
class Side:
    """A server over a database, and a client of it."""

    name: str
    server: subprocess.Popen[str]
    client: subprocess.Popen[str]
    database: str

    def measure(self, order: dict[str, Any]) -> tuple[float, float, Any]:
        """Calls per second, CPU seconds of the server for each call, and the first answer.

        :raises RuntimeError: the side cannot do it.
        """
        used = self._cpu()
        answer = ask(self.client, order)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        number = order["number"]
        return number / answer["seconds"], (self._cpu() - used) / number, answer["answer"]

    def _cpu(self) -> float:
        times = psutil.Process(self.server.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def start(name: str, database: str, router: Router, *, uvloop: bool) -> Iterator[Side]:
    """One side, until the context ends.

    :param uvloop: the hand-written handler runs on uvloop too, as ``pgwamp run`` does.
    :raises FileNotFoundError: what it is made of is not installed.
    """
    with ExitStack() as stack:
        if name in ("pgwamp", "handwritten"):
            server = stack.enter_context(_wamp_server(name, database, router, uvloop))
            kind, url, python = "wamp", router.component_url, sys.executable
        else:
            port = ports.any_free()
            begin = _fastapi if name == "fastapi" else _postgraphile
            server = stack.enter_context(begin(database, port))
            kind, url, python = "http", f"http://127.0.0.1:{port}", str(WEB_PYTHON)
        client = stack.enter_context(
            running([python, "-m", "bench.client", kind, url], "ready", stdin=subprocess.PIPE)
        )
        yield Side(name, server, client, database)


@contextmanager
def start_former(former: Former, ours: Side, database: str, router: Router) -> Iterator[Side]:
    """A former revision as one more side, asked by the client of this one."""
    with former.component(database, router.component_url, "ready") as server:
        yield Side(NAME, server, ours.client, database)


def _wamp_server(name: str, database: str, router: Router, uvloop: bool) -> Any:
    if name == "pgwamp":
        return running(
            [sys.executable, "-m", "pgwamp", "run"],
            "ready",
            DATABASE_URL=database,
            PGWAMP_ROUTER__URL=router.component_url,
            PGWAMP_EXPOSE__SCHEMAS='["public"]',
        )
    return running(
        [sys.executable, "-m", "bench.handwritten", *(["--uvloop"] if uvloop else [])],
        "ready",
        DATABASE_URL=database,
        ROUTER_SOCKET=router.component_url.removeprefix("rs+unix://"),
    )


@contextmanager
def _fastapi(database: str, port: int) -> Iterator[subprocess.Popen[str]]:
    if not WEB_PYTHON.exists():
        raise FileNotFoundError("FastAPI is not installed: run make bench")
    command = [str(WEB_PYTHON), "-m", "uvicorn", "bench.web_api:app", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log"]
    with running(command, None, DATABASE_URL=database) as server:
        _until_it_answers(f"http://127.0.0.1:{port}/items/1")
        yield server


@contextmanager
def _postgraphile(database: str, port: int) -> Iterator[subprocess.Popen[str]]:
    modules = POSTGRAPHILE / "node_modules"
    node = modules / ".bin" / "node"
    if not node.exists() or not WEB_PYTHON.exists():
        raise FileNotFoundError("PostGraphile is not installed: it needs npm; then run make bench")
    command = [str(node), str(modules / "postgraphile" / "dist" / "cli-run.js")]
    command += ["-C", str(POSTGRAPHILE / "graphile.config.mjs")]
    environment = {"GRAPHILE_ENV": "production", "NODE_ENV": "production", "PORT": str(port)}
    with running(command, None, DATABASE_URL=database, **environment) as server:
        _until_it_answers(f"http://127.0.0.1:{port}/graphql?query=%7B__typename%7D")
        yield server


def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + _START
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing answers at {url}") from None
            time.sleep(0.1)
        else:
            return
