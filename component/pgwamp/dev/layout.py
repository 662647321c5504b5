"""A Crossbar.io node directory made from a template: its own port and Unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from pgwamp.dev.probe import Listener
from pgwamp.errors import StartError

# The kernel takes 107 bytes on Linux and 103 on macOS.
_LONGEST_SOCKET_PATH = 100
#: What the permissions of ``crossbar/config.yaml`` are about.
_TEMPLATE_PREFIX = "com.example."


@dataclass(frozen=True)
class Layout:
    """A node's first realm, and the addresses where it listens, in order."""

    realm: str
    listeners: tuple[Listener, ...]

    @property
    def websocket(self) -> Listener:
        """The first WebSocket listener."""
        return next(listener for listener in self.listeners if listener.path is not None)

    @property
    def component(self) -> Listener:
        """The first Unix socket, else the WebSocket."""
        sockets = (listener for listener in self.listeners if listener.socket is not None)
        return next(sockets, self.websocket)


def write(folder: Path, template: Path, port: int, socket: Path, prefix: str) -> Layout:
    """Write ``folder/config.yaml`` after ``template``.

    The first WebSocket transport gets ``port`` on 127.0.0.1, the first Unix socket ``socket``, and
    permissions below the template's ``com.example.`` then hold below ``prefix``.

    :raises StartError: the template is no configuration, or it has no WebSocket transport.
    """
    try:
        config = yaml.safe_load(template.read_text())
        router = next(worker for worker in config["workers"] if worker["type"] == "router")
        realm = str(router["realms"][0]["name"])
        transports = list(_endpoints(router))
    except (OSError, yaml.YAMLError, LookupError, TypeError, StopIteration) as error:
        raise StartError(
            f"{template} is no Crossbar configuration with a router worker and a realm"
            f" ({type(error).__name__}: {error})"
        ) from error
    for role in router["realms"][0].get("roles", ()):
        for permission in role.get("permissions", ()):
            if permission["uri"] == _TEMPLATE_PREFIX:
                permission["uri"] = f"{prefix}."
    for endpoint, path in transports:
        if path is not None and endpoint["type"] == "tcp":
            endpoint.update(interface="127.0.0.1", port=port)
            break
    else:
        raise StartError(f"{template} has no WebSocket transport over TCP")
    for endpoint, _ in transports:
        if endpoint["type"] == "unix":
            endpoint["path"] = str(socket)
            break
    note = f"# Written by pgwamp at each start, after {template}: change that one.\n"
    (folder / "config.yaml").write_text(note + yaml.safe_dump(config, sort_keys=False))
    return Layout(realm, tuple(_listener(folder, *transport) for transport in transports))


def socket_path(folder: Path) -> Path:
    """A path for the node's Unix socket that the kernel and Crossbar both take.

    :return: in ``folder``, or, when that is too deep or Crossbar would read a variable in it, in a
        private folder for temporary files, the same for the same ``folder``.
    """
    path = folder / "component.sock"
    if len(bytes(path)) <= _LONGEST_SOCKET_PATH and "$" not in str(path):
        return path
    name = sha256(bytes(folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"pgwamp-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    # In a folder for everybody's files somebody else may have been there before us.
    if short.is_symlink() or short.stat().st_uid != folder.stat().st_uid:
        raise StartError(f"{short} belongs to somebody else: remove it, or use a shorter folder")
    short.chmod(0o700)
    return short / "component.sock"


def _endpoints(router: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Each WAMP transport's endpoint, with its path when it is a WebSocket."""
    for transport in router["transports"]:
        match transport["type"]:
            case "web":
                for path, service in transport["paths"].items():
                    if service["type"] == "websocket":
                        yield transport["endpoint"], f"/{path.strip('/')}"
            case "websocket":
                yield transport["endpoint"], "/"
            case "rawsocket":
                yield transport["endpoint"], None


def _listener(folder: Path, endpoint: dict[str, Any], path: str | None) -> Listener:
    if endpoint["type"] == "unix":
        return Listener(socket=str(folder / endpoint["path"]), path=path)
    return Listener(port=int(endpoint["port"]), path=path, tls="tls" in endpoint)
