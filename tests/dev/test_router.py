"""The Crossbar.io node of `pgwamp dev` and of the tests, on real processes.

The router is asked in plain WAMP messages, so that what is tested is the node and its
configuration, not a WAMP library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pgwamp.dev import environment, layout, probe
from pgwamp.dev.router import Router
from pgwamp.errors import StartError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REGISTER, REGISTERED, CALL, INVOCATION, YIELD, RESULT = 64, 65, 48, 68, 70, 50
SUBSCRIBE, SUBSCRIBED, PUBLISH, PUBLISHED, ERROR = 32, 33, 16, 17, 8
ROLES = {role: {} for role in ("callee", "caller", "publisher", "subscriber")}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path: a Unix socket's path may have about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="pgw-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def router(folder: Path) -> Iterator[Router]:
    with Router(folder / "node", port=0) as started:
        yield started


@pytest.fixture
def fresh(folder: Path) -> Iterator[Router]:
    """A node of a test's own, not started."""
    own = Router(Path(tempfile.mkdtemp(dir=folder)) / "node", port=0)
    yield own
    own.kill()


@contextlib.contextmanager
def joined(url: str) -> Iterator[tuple[Any, Any]]:
    """A WAMP session at one of a router's addresses: its send and receive."""
    if url.startswith("rs+unix://"):
        listener = probe.Listener(socket=url.removeprefix("rs+unix://"))
    else:
        port, path = url.removeprefix("ws://127.0.0.1:").split("/")
        listener = probe.Listener(port=int(port), path=f"/{path}")
    with contextlib.closing(probe._connect(listener, 10)) as connection:
        send, receive = (
            probe._websocket(connection, listener.path)
            if listener.path
            else probe._rawsocket(connection)
        )
        send([1, "realm1", {"roles": ROLES}])
        assert receive()[0] == 2
        yield send, receive


def processes_of(router: Router) -> list[psutil.Process]:
    """The living controller and worker of a node."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(router.node) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def template(folder: Path, change: Any) -> Path:
    """The project's node configuration with a change."""
    config = yaml.safe_load(environment.shipped("config.yaml").read_text())
    change(config["workers"][0])
    path = Path(tempfile.mkdtemp(dir=folder)) / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_it_accepts_sessions_as_soon_as_it_is_started(router: Router) -> None:
    with joined(router.url), joined(router.component_url):
        pass


def test_it_lives_in_a_process_group_of_its_own(router: Router) -> None:
    groups = {os.getpgid(process.pid) for process in processes_of(router)}
    assert len(processes_of(router)) == 2
    assert len(groups) == 1
    assert os.getpgid(0) not in groups


def test_only_its_owner_can_reach_the_components_socket(folder: Path) -> None:
    node = folder / "open to all" / "node"
    node.mkdir(parents=True)
    node.chmod(0o755)
    with Router(node, port=0) as router:
        socket_file = Path(router.component_url.removeprefix("rs+unix://"))
        assert socket_file.parent == node
        # Crossbar opens the socket itself to everybody; when it no longer does, say so in
        # crossbar/config.yaml.
        assert socket_file.stat().st_mode & 0o777 == 0o666
        assert node.stat().st_mode & 0o777 == 0o700


def handshake(router: Router, *headers: str, path: str = "/ws") -> str:
    """The head of the router's answer to a GET with these headers."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{router.port}", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", router.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = connection.recv(4096)
            if not received:
                break
            answer += received
    return answer.decode()


def upgrade(router: Router, *headers: str, protocol: str = "wamp.2.json") -> str:
    """The first line of the router's answer to a WebSocket handshake."""
    return handshake(
        router,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {protocol}",
        *headers,
    ).split("\r\n")[0]


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:5173",
        "http://localhost",
        "http://127.0.0.1:8080",
        "https://localhost:8443",
        "https://127.0.0.1",
    ],
)
def test_a_page_of_this_machine_may_connect(router: Router, origin: str) -> None:
    assert " 101 " in upgrade(router, f"Origin: {origin}")


def test_a_program_that_is_no_browser_may_connect(router: Router) -> None:
    assert " 101 " in upgrade(router)


@pytest.mark.parametrize(
    "origin",
    [
        "https://attacker.example",
        "http://localhost.attacker.example",
        "http://127.0.0.1.attacker.example:80",
        "http://127.0.0.1:80@attacker.example",
        "http://192.168.0.5:8080",
        "null",
        "file://",
    ],
)
def test_a_page_of_another_site_is_refused(router: Router, origin: str) -> None:
    answer = upgrade(router, f"Origin: {origin}")
    assert " 400 " in answer
    assert f"origin '{origin}' not allowed" in answer


@pytest.mark.parametrize("protocol", ["wamp.2.json", "wamp.2.msgpack"])
def test_a_client_chooses_among_serializers(router: Router, protocol: str) -> None:
    assert " 101 " in upgrade(router, protocol=protocol)


def test_a_client_that_speaks_cbor_alone_is_told_what_is_spoken(router: Router) -> None:
    answer = upgrade(router, protocol="wamp.2.cbor")
    assert " 400 " in answer
    assert "only speaks" in answer
    assert "wamp.2.msgpack" in answer
    assert "wamp.2.json" in answer
    assert "cbor" not in answer


@pytest.mark.parametrize("path", ["/", "/ws", "/info"])
def test_there_is_no_page_about_the_node(router: Router, path: str) -> None:
    answer = handshake(router, "Connection: close", path=path)
    assert " 200 " not in answer.split("\r\n")[0]


def test_a_connection_that_asks_for_nothing_is_closed(router: Router) -> None:
    with socket.create_connection(("127.0.0.1", router.port), timeout=30) as connection:
        assert connection.recv(1) == b""


@pytest.fixture(scope="module")
def variant(folder: Path) -> Iterator[Router]:
    """A node with clients of three kinds, to try what crossbar/config.yaml says.

    At /ws a deny stands below what is allowed, at /listed one table is allowed, and at /small
    messages may have 10,000 bytes.
    """

    def change(worker: dict[str, Any]) -> None:
        client = worker["realms"][0]["roles"][1]
        (below,) = client["permissions"]
        hidden = {"uri": "com.example.payroll.", "match": "prefix", "allow": {"subscribe": False}}
        client["permissions"].append(hidden)
        table = {**below, "uri": "com.example.orders."}
        worker["realms"][0]["roles"].append({"name": "listed", "permissions": [table]})
        paths = worker["transports"][0]["paths"]
        auth = {"anonymous": {"type": "static", "role": "listed"}}
        paths["listed"] = {**paths["ws"], "auth": auth}
        options = {**paths["ws"]["options"], "max_message_size": 10_000}
        paths["small"] = {**paths["ws"], "options": options}

    with Router(folder / "variant", port=0, config=template(folder, change)) as router:
        yield router


def subscribing(router: Router, path: str, match: str, topic: str) -> int:
    """The type of the router's answer."""
    with joined(f"ws://127.0.0.1:{router.port}/{path}") as (send, receive):
        send([SUBSCRIBE, 1, {"match": match}, topic])
        return int(receive()[0])


def test_a_deny_does_not_hide_a_topic_from_patterns(variant: Router) -> None:
    assert subscribing(variant, "ws", "exact", "com.example.payroll.updated") == ERROR
    assert subscribing(variant, "ws", "prefix", "com.example.payroll.") == ERROR
    assert subscribing(variant, "ws", "prefix", "com.example.") == SUBSCRIBED
    assert subscribing(variant, "ws", "wildcard", "com.example..updated") == SUBSCRIBED


def test_an_entry_for_one_table_lets_no_pattern_see_others(variant: Router) -> None:
    assert subscribing(variant, "listed", "prefix", "com.example.orders.") == SUBSCRIBED
    assert subscribing(variant, "listed", "wildcard", "com.example.orders.") == SUBSCRIBED
    assert subscribing(variant, "listed", "prefix", "com.example.") == ERROR
    assert subscribing(variant, "listed", "wildcard", "com.example..updated") == ERROR
    assert subscribing(variant, "listed", "exact", "com.example.payroll.updated") == ERROR


def test_the_size_of_messages_holds_in_both_directions(variant: Router) -> None:
    small = f"ws://127.0.0.1:{variant.port}/small"
    large = "x" * 20_000
    with (
        joined(variant.component_url) as (component_sends, component_receives),
        joined(small) as (client_sends, client_receives),
    ):
        component_sends([REGISTER, 1, {}, "com.example.large"])
        assert component_receives()[0] == REGISTERED
        client_sends([CALL, 1, {}, "com.example.large"])
        component_sends([YIELD, component_receives()[1], {}, [large]])
        answer = client_receives()
        assert (answer[0], answer[4]) == (ERROR, "wamp.error.invalid_argument")

        client_sends([SUBSCRIBE, 2, {}, "com.example.event"])
        assert client_receives()[0] == SUBSCRIBED
        for payload in (large, "small"):
            component_sends([PUBLISH, 2, {"acknowledge": True}, "com.example.event", [payload]])
            assert component_receives()[0] == PUBLISHED
        # The first is lost without a word.
        assert client_receives()[4] == ["small"]

        client_sends([CALL, 3, {}, "com.example.large", [large]])
        with pytest.raises(ValueError, match="exceeds payload limit of 10000"):
            client_receives()


def test_the_component_learns_who_calls(router: Router) -> None:
    with (
        joined(router.component_url) as (component_sends, component_receives),
        joined(router.url) as (client_sends, client_receives),
    ):
        component_sends([REGISTER, 1, {}, "com.example.echo"])
        assert component_receives()[0] == REGISTERED
        client_sends([CALL, 2, {}, "com.example.echo", ["hello"]])
        invocation = component_receives()
        assert invocation[0] == INVOCATION
        assert invocation[3]["caller_authrole"] == "anonymous"
        assert invocation[3]["caller_authid"]
        component_sends([YIELD, invocation[1], {}, invocation[4]])
        result = client_receives()
        assert (result[0], result[1], result[3]) == (RESULT, 2, ["hello"])


@pytest.mark.parametrize(
    "request_",
    [
        [REGISTER, 1, {}, "com.example.mine"],
        [PUBLISH, 1, {"acknowledge": True}, "com.example.orders.inserted"],
        [CALL, 1, {}, "com.other.procedure"],
        [CALL, 1, {}, "wamp.session.list"],
        [SUBSCRIBE, 1, {}, "com.other.topic"],
        [SUBSCRIBE, 1, {"match": "prefix"}, "com."],
        [SUBSCRIBE, 1, {"match": "prefix"}, ""],
        [SUBSCRIBE, 1, {"match": "wildcard"}, "com..orders.inserted"],
    ],
    ids=str,
)
def test_a_client_may_not(router: Router, request_: list[Any]) -> None:
    with joined(router.url) as (send, receive):
        send(request_)
        answer = receive()
        assert (answer[0], answer[4]) == (ERROR, "wamp.error.not_authorized")


@pytest.mark.parametrize("match", ["exact", "prefix", "wildcard"])
def test_a_client_may_subscribe_below_the_prefix(router: Router, match: str) -> None:
    topic = {"exact": "com.example.a", "prefix": "com.example.", "wildcard": "com.example..a"}
    with joined(router.url) as (send, receive):
        send([SUBSCRIBE, 1, {"match": match}, topic[match]])
        assert receive()[0] == SUBSCRIBED


@pytest.mark.parametrize(
    "request_",
    [
        [REGISTER, 1, {}, "com.other.procedure"],
        [PUBLISH, 1, {"acknowledge": True}, "com.other.topic"],
        [CALL, 1, {}, "wamp.registration.list"],
    ],
    ids=str,
)
def test_the_component_may_not(router: Router, request_: list[Any]) -> None:
    with joined(router.component_url) as (send, receive):
        send(request_)
        answer = receive()
        assert (answer[0], answer[4]) == (ERROR, "wamp.error.not_authorized")


def test_crossbar_finds_nothing_wrong_with_the_configuration(router: Router) -> None:
    command = [str(environment.crossbar()), "check", "--cbdir", str(router.node)]
    check = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert check.returncode == 0, check.stdout + check.stderr


def test_a_node_that_another_program_runs_is_refused_and_left_alone(router: Router) -> None:
    with pytest.raises(StartError, match=rf"in use .*process {os.getpid()}"):
        Router(router.node, port=0).start()
    with joined(router.url):
        pass


def test_a_killed_node_is_gone_at_once_and_starts_again_on_its_port(fresh: Router) -> None:
    fresh.start()
    url = fresh.url
    fresh.kill()
    assert processes_of(fresh) == []
    fresh.start()
    assert fresh.url == url
    with joined(url):
        pass
    fresh.stop()
    assert processes_of(fresh) == []
    assert not fresh.running


def test_a_node_left_behind_by_a_killed_program_is_stopped_first(fresh: Router) -> None:
    program = (
        "import sys, pathlib; from pgwamp.dev.router import Router;"
        "Router(pathlib.Path(sys.argv[1]), port=0).start();"
        "print('started', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(fresh.node)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    left_behind = {process.pid for process in processes_of(fresh)}
    assert len(left_behind) == 2

    fresh.start()
    assert not left_behind & {process.pid for process in processes_of(fresh)}


def test_a_taken_port_is_named_before_anything_starts(fresh: Router) -> None:
    with socket.socket() as occupier:
        occupier.bind(("127.0.0.1", 0))
        occupier.listen()
        port = occupier.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port}, .* is taken: stop"):
            Router(fresh.node, port=port).start()
    assert not fresh.log.exists()


def test_a_configuration_crossbar_refuses_is_told_in_its_own_words(folder: Path) -> None:
    wrong = template(folder, lambda worker: worker.update(colour="blue"))
    router = Router(folder / "wrong", port=0, config=wrong)
    with pytest.raises(StartError, match="colour") as failure:
        router.start()
    assert str(router.log) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert processes_of(router) == []


def test_a_transport_nobody_can_join_is_named(folder: Path) -> None:
    def hide(worker: dict[str, Any]) -> None:
        # As the root, nodeinfo answers for every path: Crossbar's own check finds nothing wrong.
        worker["transports"][0]["paths"]["/"] = {"type": "nodeinfo"}

    router = Router(folder / "hidden", port=0, config=template(folder, hide))
    told: list[str] = []
    with pytest.raises(StartError, match=r"nobody join on ws://127.0.0.1:\d+/ws .* 200 OK"):
        router.start(timeout=15, progress=told.append)
    assert any("ws://127.0.0.1" in line for line in told)
    assert processes_of(router) == []


def test_a_realm_with_passwords_counts_as_started(folder: Path) -> None:
    def demand(worker: dict[str, Any]) -> None:
        users = {"joe": {"ticket": "secret", "role": "anonymous"}}
        service = worker["transports"][0]["paths"]["ws"]
        service["auth"] = {"ticket": {"type": "static", "principals": users}}

    with Router(folder / "ticket", port=0, config=template(folder, demand)) as router:
        assert router.running


def test_a_template_without_a_websocket_is_refused(folder: Path) -> None:
    lacking = template(folder, lambda worker: worker["transports"].pop(0))
    with pytest.raises(StartError, match="no WebSocket transport"):
        Router(folder / "lacking", port=0, config=lacking).start()


def test_a_deep_folder_gets_a_short_socket_path(folder: Path) -> None:
    deep = folder / ("d" * 120)
    deep.mkdir()
    path = layout.socket_path(deep)
    try:
        assert len(bytes(path)) <= 100
        assert path == layout.socket_path(deep)
        assert path.parent.stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(path.parent)
