"""One PostgreSQL server of our own, over a data directory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self
from urllib.parse import quote

import psutil
import psycopg2

from pgwamp.dev import password, ports, processes
from pgwamp.dev.account import Account
from pgwamp.dev.claim import Claim
from pgwamp.dev.journal import append, last_words
from pgwamp.errors import StartError

SUPERUSER = "postgres"

# How often a port that was free a moment ago may turn out to be taken by a faster program.
_ATTEMPTS = 5
_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres:
    """A PostgreSQL server on 127.0.0.1 over ``data``, which is created when it does not exist.

    It accepts TCP connections only (a Unix socket's path may be too short for a deep folder), with
    a password that is made when the data are. Beside the data are the log, ``<data>.log``, and the
    superuser's password, ``<data>.pgpass``.

    :param data: the data directory.
    :param bin: the folder of ``postgres`` and ``initdb``; the embedded PostgreSQL 18 when missing.
    :param port: the port to prefer. When it is taken, and with 0, a free one is used. Once
        started, the server keeps its port.
    :param options: server settings, as in ``{"fsync": "off"}``.
    :param trust: let in every user of this machine without a password, as the superuser, who may
        run programs as the server's user. For the servers of tests, which live for minutes and are
        connected to thousands of times: checking a password takes milliseconds.
    """

    def __init__(
        self,
        data: Path,
        *,
        bin: Path | None = None,
        port: int = 0,
        options: Mapping[str, str] = MappingProxyType({}),
        trust: bool = False,
    ) -> None:
        self.data = data.absolute()
        self.log = self.data.with_name(self.data.name + ".log")
        #: What ``PGPASSFILE`` may name; it does not exist with ``trust``.
        self.passfile = self.data.with_name(self.data.name + ".pgpass")
        self.options = dict(options)
        self._trust = trust
        self._password: str | None = None
        self._bin = bin
        self._port = port
        self._port_is_ours = False
        self._claim = Claim(self.data)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The TCP port; 0 until a server without a preferred one was started."""
        return self._port

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """The address of ``database`` for ``user``, as ``postgresql://...``.

        With the superuser's password, which is known once the server was started: for programs and
        their environments. A command line shows it to every user of the machine.
        """
        secret = f":{self._password}" if self._password and user == SUPERUSER else ""
        return self._address(database, user, secret)

    def public_url(self, database: str = "postgres") -> str:
        """The address without the password, to be shown: ``PGPASSFILE`` has that."""
        return self._address(database, SUPERUSER, "")

    def _address(self, database: str, user: str, secret: str) -> str:
        return (
            f"postgresql://{quote(user, safe='')}{secret}@{ports.LOOPBACK}:{self._port}"
            f"/{quote(database, safe='')}"
        )

    def start(self, timeout: float = 60) -> None:
        """Start the server and wait until it answers a connection.

        A server over the same data that an earlier, killed run left behind is stopped first.

        :param timeout: seconds, for creating the data directory as for the start itself.
        :raises StartError: it cannot start; the message says why.
        """
        if self.running:
            return
        self._claim.take()
        try:
            account = Account.choose()
            bin = self._bin or _embedded()
            version = _version(bin, account)
            self._stop_leftovers()
            if not (self.data / "PG_VERSION").exists():
                self._create(bin, account, timeout)
            self._require(version)
            account.own(self.data)
            if not self._trust:
                run_alone = partial(self._run_alone, bin, account, timeout)
                self._password = password.ensure(self.data, self.passfile, SUPERUSER, run_alone)
            self._launch(bin, account, timeout)
        except BaseException:
            # Also when Ctrl-C comes in the middle: nothing may be left behind.
            self.kill()
            raise

    def stop(self, mode: Literal["fast", "immediate"] = "fast", timeout: float = 30) -> None:
        """Stop the server: ``fast`` ends its sessions cleanly, ``immediate`` skips the checkpoint.

        After ``timeout`` seconds it is killed. Harmless when it does not run.
        """
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(_STOP_SIGNALS[mode])
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        self._claim.release()

    def kill(self) -> None:
        """End the server as a crash would: SIGKILL, no checkpoint, no farewell to its clients.

        Returns when its sessions have noticed, so that a start can follow at once.
        """
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            # Held still, it cannot fork a session between the list and the end.
            process.send_signal(signal.SIGSTOP)
            sessions = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            processes.gone_within(sessions, timeout=3)
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

    def _stop_leftovers(self) -> None:
        # We hold the claim, so no living program answers for them.
        leftovers = processes.at_home_in(self.data, "postgres")
        servers = [p for p in leftovers if p.pid == _postmaster(self.data)]
        processes.end(servers, signal.SIGINT, timeout=30)
        processes.gone_within(leftovers, timeout=5)

    def _create(self, bin: Path, account: Account, timeout: float) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise StartError(f"{self.data} is neither empty nor a PostgreSQL data directory")
        # An initdb that is interrupted must not leave behind what looks like a data directory.
        unfinished = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account.own(unfinished)
        if not self._initdb(bin, account, unfinished, "C.UTF-8", timeout):
            # Not every system has the locale C.UTF-8.
            shutil.rmtree(unfinished)
            unfinished.mkdir(mode=0o700)
            account.own(unfinished)
            if not self._initdb(bin, account, unfinished, "C", timeout):
                raise StartError(f"PostgreSQL's initdb failed: {_why(self.log)} (log: {self.log})")
        if self.data.exists():
            self.data.rmdir()
        unfinished.rename(self.data)

    def _initdb(self, bin: Path, account: Account, data: Path, locale: str, timeout: float) -> bool:
        command = [
            *(str(bin / "initdb"), "-D", str(data), "-U", SUPERUSER),
            # Nobody comes in before there is a password.
            f"--auth={'trust' if self._trust else 'reject'}",
            *("--encoding=UTF8", f"--locale={locale}"),
        ]
        if self.options.get("fsync") == "off":
            command.append("--no-sync")
        with append(self.log) as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=data,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
                **account.credentials,
            )
        try:
            return process.wait(timeout) == 0
        except BaseException:
            process.kill()
            process.wait()
            raise

    def _run_alone(self, bin: Path, account: Account, timeout: float, statement: str) -> None:
        """Run a statement in a server of one session, which listens nowhere."""
        try:
            answer = subprocess.run(
                [str(bin / "postgres"), "--single", "-D", str(self.data), "postgres"],
                input=f"{statement}\n",
                capture_output=True,
                text=True,
                timeout=timeout,
                cwd=self.data,
                start_new_session=True,
                **account.credentials,
            )
        except subprocess.TimeoutExpired:
            raise StartError(
                f"PostgreSQL did not set the password of {SUPERUSER} within {timeout:g} s"
            ) from None
        # It ends well also after a statement that failed; the statement, which follows, is secret.
        failures = re.findall(r"(?:ERROR|FATAL|PANIC):.*", answer.stderr)
        if failures or answer.returncode != 0:
            why = failures[-1] if failures else f"exit code {answer.returncode}"
            raise StartError(f"PostgreSQL could not set the password of {SUPERUSER}: {why}")

    def _require(self, version: str) -> None:
        holds = (self.data / "PG_VERSION").read_text().strip()
        if holds != version:
            raise StartError(
                f"{self.data} holds data of PostgreSQL {holds}, and this is PostgreSQL {version}:"
                " use the other server, or move the folder away"
            )

    def _launch(self, bin: Path, account: Account, timeout: float) -> None:
        for attempt in range(_ATTEMPTS):
            if not self._port_is_ours and (self._port == 0 or not ports.is_free(self._port)):
                self._port = ports.any_free()
            with append(self.log) as log:
                begins = log.tell()
                self._process = subprocess.Popen(
                    self._command(bin),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.data,
                    start_new_session=True,
                    **account.credentials,
                )
            if self._answers(time.monotonic() + timeout):
                self._port_is_ours = True
                return
            if self._process.poll() is None:
                raise StartError(
                    f"PostgreSQL did not answer within {timeout:g} s: {_why(self.log)}"
                    f" (log: {self.log})"
                )
            lost_the_race = b"could not bind" in self.log.read_bytes()[begins:]
            if self._port_is_ours or not lost_the_race or attempt == _ATTEMPTS - 1:
                break
            self._port = 0
        raise StartError(f"PostgreSQL did not start: {_why(self.log)} (log: {self.log})")

    def _command(self, bin: Path) -> list[str]:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            **self.options,
        }
        command = [str(bin / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _answers(self, deadline: float) -> bool:
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            # Somebody else's server may answer on the port: ask ours for its state first.
            if _postmaster(self.data, ready=True) == self._process.pid:
                try:
                    psycopg2.connect(self.url(), connect_timeout=5).close()
                except psycopg2.OperationalError as error:
                    if "authentication failed" in str(error):
                        raise StartError(
                            f"the password in {self.passfile} is not that of {SUPERUSER}:"
                            " remove the file, and the next start sets a new one"
                        ) from None
                else:
                    return True
            time.sleep(0.02)
        return False


def _embedded() -> Path:
    from pgwamp.dev import embedded

    return embedded.programs()


def _version(bin: Path, account: Account) -> str:
    """The server's major version, by running it as the user it will run as."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(bin / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            cwd="/",
            **account.credentials,
        )

    def runs() -> bool:
        try:
            return run().returncode == 0
        except OSError:
            return False

    if not (bin / "postgres").is_file():
        raise StartError(f"there is no PostgreSQL server in {bin}")
    account.make_runnable(bin, runs)
    try:
        answer = run()
    except OSError as error:
        raise StartError(f"the PostgreSQL server in {bin} does not run: {error}") from error
    found = re.search(r"\) (\d+)", answer.stdout)
    if found is None:
        raise StartError(f"the PostgreSQL server in {bin} does not run: {answer.stderr.strip()}")
    return found[1]


def _postmaster(data: Path, *, ready: bool = False) -> int | None:
    """The process number in the data directory's ``postmaster.pid``, as soon as it is ``ready``."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if ready and (len(lines) < 8 or lines[7].strip() != "ready"):
        return None
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def _why(log: Path) -> str:
    return last_words(log, r"FATAL|PANIC|initdb: error|could not|HINT")
