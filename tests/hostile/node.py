"""A router with callers of several roles, each over a Unix socket that takes any serializer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router

#: Socket -> authrole of whoever comes over it. The victim comes in as ``anonymous``, too.
ROLES = {"anonymous": "anonymous", "attackers": "attacker", "strangers": "stranger"}
#: The router does not tell the component who these are.
UNDISCLOSED = "stranger"


class HostileNode:
    """The shipped node with further roles and sockets, in a folder of its own."""

    def __init__(self, folder: Path):
        self._folder = folder
        template = folder / "hostile.yaml"
        template.write_text(yaml.safe_dump(_config(folder)))
        self.router = Router(folder / "node", port=0, config=template)

    def socket(self, name: str) -> str:
        """Where callers of :data:`ROLES` connect."""
        return f"rs+unix://{_socket(self._folder, name)}"


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(shipped("config.yaml").read_text())
    worker = config["workers"][0]
    roles = worker["realms"][0]["roles"]
    anonymous = next(role for role in roles if role["name"] == "anonymous")
    for name in sorted({*ROLES.values()} - {"anonymous"}):
        role = copy.deepcopy(anonymous)
        role["name"] = name
        role["permissions"][0]["disclose"]["caller"] = name != UNDISCLOSED
        roles.append(role)
    component = next(t for t in worker["transports"] if t["type"] == "rawsocket")
    for name, role_name in ROLES.items():
        transport = copy.deepcopy(component)
        transport["id"] = f"hostile_{name}"
        transport["endpoint"]["path"] = str(_socket(folder, name))
        transport["auth"]["anonymous"]["role"] = role_name
        worker["transports"].append(transport)
    return config


def _socket(folder: Path, name: str) -> Path:
    return folder / f"{name}.sock"
