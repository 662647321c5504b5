"""One Crossbar.io node of our own, in a node directory made from the project's template."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pgwamp.dev import environment, layout, ports, probe, processes
from pgwamp.dev.claim import Claim
from pgwamp.dev.environment import Progress
from pgwamp.dev.journal import last_words
from pgwamp.errors import StartError

# What Crossbar writes about a start that fails; it says much besides.
_TELLING = r"[Ee]rror|invalid|[Uu]nable|[Cc]ould not|failed"
# The answers that no password would change.
_FATAL = ("wamp.error.no_such_realm", "wamp.error.no_such_role")
_TRY_AGAIN = 0.1  # seconds
_REPORT_EVERY = 2.0  # seconds
_PORT_PATIENCE = 1.0  # seconds


class Router:
    """A Crossbar.io node: controller and router worker, in the node directory ``node``.

    Its log is ``<node>/node.log``.

    :param node: the node directory, which is made; its ``config.yaml`` is written at each start.
    :param port: the WebSocket's TCP port on 127.0.0.1; 0 picks a free one at the first start.
    :param socket: the Unix socket for the component; in the node directory when missing.
    :param executable: the ``crossbar`` command; :func:`environment.crossbar` finds it when missing.
    :param config: another template than ``crossbar/config.yaml``. The first WebSocket transport in
        it gets the port and the first Unix socket the path. Each transport must speak JSON.
    :param prefix: below which the component may register and publish, and clients call and
        subscribe.
    """

    def __init__(
        self,
        node: Path,
        *,
        port: int,
        socket: Path | None = None,
        executable: Path | None = None,
        config: Path | None = None,
        prefix: str = "com.example",
    ) -> None:
        self.node = node.absolute()
        self.log = self.node / "node.log"
        self._port = port
        self._socket = socket
        self._executable = executable
        self._config = config
        self._prefix = prefix
        self._claim = Claim(self.node)
        self._layout: layout.Layout | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The WebSocket's TCP port; 0 until a router without a chosen one was started."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect, as ``ws://127.0.0.1:8080/ws``; known once started."""
        return self._known().websocket.url

    @property
    def component_url(self) -> str:
        """Where the component connects, as ``rs+unix:///path``; known once started."""
        return self._known().component.url

    @property
    def running(self) -> bool:
        """Whether the node's controller lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 90, progress: Progress | None = None) -> None:
        """Start the node and wait until a client can join its realm on every transport.

        A node that an earlier, killed run left behind in the same directory is stopped first.

        :param timeout: seconds; five to twenty are usual.
        :param progress: told, one line at a time, what it waits for.
        :raises StartError: it cannot start; the message says why.
        """
        if self.running:
            return
        self._claim.take()
        try:
            executable = self._executable or environment.crossbar(progress)
            self.require_port()
            self._layout = layout.write(
                self.node,
                self._config or environment.shipped("config.yaml"),
                self._port,
                self._socket or layout.socket_path(self.node),
                self._prefix,
            )
            self._launch(executable)
            self._wait(time.monotonic() + timeout, timeout, progress)
        except BaseException:
            # Also when Ctrl-C comes in the middle: nothing may be left behind.
            self.kill()
            raise

    def require_port(self) -> None:
        """Claim the node, stop what an earlier run left behind, and choose the port.

        :raises StartError: another program uses the port, or the node.
        """
        self._claim.take()
        try:
            self.node.mkdir(parents=True, exist_ok=True)
            # Also one that was there before: Crossbar lets everybody open the socket in it.
            self.node.chmod(0o700)
            self._stop_leftovers()
            if self._port == 0:
                self._port = ports.any_free()
            elif not ports.free_within(self._port, _PORT_PATIENCE):
                raise StartError(
                    f"port {self._port}, where Crossbar is to listen, is taken: stop the program "
                    "that uses it, or choose another port: --port 8090 (of make run: "
                    'ARGS="--port 8090")'
                )
        except BaseException:
            self._claim.release()
            raise

    def stop(self, timeout: float = 15) -> None:
        """Stop the node; after ``timeout`` seconds kill it.

        Its sessions see their connections close: Crossbar says no GOODBYE. Harmless
        when it does not run.
        """
        if self._process is not None:
            deadline = time.monotonic() + timeout
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
            # A worker outlives a controller that was killed, for a while.
            group = processes.in_group(self._process.pid)
            processes.gone_within(group, max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End controller and worker as a crash would: SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            # The controller is the leader of the group that its workers are born into.
            group = processes.in_group(process.pid)
            if group:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            processes.gone_within(group, timeout=0)
        self._claim.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _known(self) -> layout.Layout:
        if self._layout is None:
            raise StartError("the addresses of a router are known once it was started")
        return self._layout

    def _stop_leftovers(self) -> None:
        # We hold the claim, so no living program answers for them; and Crossbar refuses to start
        # while node.pid names a living process, whoever that is by now.
        leftovers = processes.at_home_in(self.node, "crossbar")
        processes.end(leftovers, signal.SIGTERM, timeout=10)
        (self.node / "node.pid").unlink(missing_ok=True)

    def _launch(self, executable: Path) -> None:
        # Paths meant for our own interpreter must not reach Crossbar's.
        ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        command = [str(executable), "start", "--cbdir", str(self.node)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--loglevel", "warn", "--color", "false"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.node,
                env={name: value for name, value in os.environ.items() if name not in ours},
                start_new_session=True,
            )

    def _wait(self, deadline: float, timeout: float, progress: Progress | None) -> None:
        assert self._process is not None
        known = self._known()
        report = time.monotonic() + _REPORT_EVERY
        for listener in known.listeners:
            while True:
                try:
                    probe.join(listener, known.realm)
                    break
                except probe.Refused as refusal:
                    # A realm that demands a password has answered, too.
                    if refusal.reason not in _FATAL:
                        break
                    raise StartError(f"Crossbar lets nobody join: {refusal}") from refusal
                except probe.NotYet as so_far:
                    reason = str(so_far)
                if self._process.poll() is not None:
                    raise StartError(
                        f"Crossbar ended while starting: {last_words(self.log, _TELLING)}"
                        f" (log: {self.log})"
                    )
                if time.monotonic() >= deadline:
                    raise StartError(
                        f"Crossbar let nobody join on {listener.url} within {timeout:g} s:"
                        f" {reason} (log: {self.log})"
                    )
                if progress is not None and time.monotonic() >= report:
                    progress(f"Waiting for Crossbar on {listener.url} ...")
                    report += _REPORT_EVERY
                time.sleep(_TRY_AGAIN)
