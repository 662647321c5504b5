"""A router whose dynamic authenticator and authorizer join after the component has begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgwamp.component import Component
from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router
from pgwamp.session import Call, Link, Procedure, Serving, transports
from pgwamp.session import link as link_module
from pgwamp.session.link import REFUSALS
from pgwamp.settings import LimitSettings, RouterSettings
from tests.checks.conftest import Said
from tests.conftest import MakeSettings
from tests.servers import server_folder

AUTHENTICATE, AUTHORIZE = "org.helper.authenticate", "org.helper.authorize"
TICKET = {"method": "ticket", "authid": "pgwamp", "secret": "right"}


def _configuration(folder: Path) -> Path:
    """The shipped node with a role that is authorized by a helper, and one that logs in by one."""
    config = yaml.safe_load(shipped("config.yaml").read_text())
    worker = config["workers"][0]
    socket = next(t for t in worker["transports"] if t["type"] == "rawsocket")
    everything = dict.fromkeys(("register", "publish", "call", "subscribe"), True)
    worker["realms"][0]["roles"] += [
        {"name": "authorized", "authorizer": AUTHORIZE},
        {
            "name": "helper",
            "permissions": [{"uri": "org.helper.", "match": "prefix", "allow": everything}],
        },
    ]
    for name, auth in {
        "authorized": {"anonymous": {"type": "static", "role": "authorized"}},
        "helper": {"anonymous": {"type": "static", "role": "helper"}},
        "ticket": {"ticket": {"type": "dynamic", "authenticator": AUTHENTICATE}},
    }.items():
        transport = {
            **socket,
            "id": name,
            "endpoint": {**socket["endpoint"], "path": f"{name}.sock"},
        }
        worker["transports"].append({**transport, "auth": auth})
    path = folder / "helpers.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def node() -> Iterator[Router]:
    with (
        server_folder() as folder,
        Router(folder / "node", port=0, config=_configuration(folder)) as router,
    ):
        yield router


@asynccontextmanager
async def helper(node: Router) -> AsyncIterator[None]:
    """The component that answers the router's questions."""

    async def authenticate(call: Call) -> Any:
        assert call.args[2]["ticket"] == "right"
        return {"realm": "realm1", "role": "component"}

    async def authorize(_: Call) -> Any:
        return {"allow": True, "disclose": True}

    procedures = {
        uri: Procedure(uri, handler)
        for uri, handler in ((AUTHENTICATE, authenticate), (AUTHORIZE, authorize))
    }
    settings = RouterSettings(url=f"rs+unix://{node.node}/helper.sock")
    serving = Serving(LimitSettings(), "realm1", procedures)
    link = Link(settings, max_bytes=1_000_000, serving=serving)
    await link.start()
    try:
        yield
    finally:
        await link.stop()


@pytest.mark.parametrize("name", ["authorized", "ticket"])
async def test_a_late_helper_is_waited_for(
    node: Router,
    make_settings: MakeSettings,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    tried = asyncio.Semaphore(0)

    async def open_transport(*arguments: Any) -> asyncio.Transport:
        tried.release()
        return await transports.open_transport(*arguments)

    monkeypatch.setattr(link_module, "open_transport", open_transport)
    router: dict[str, Any] = {"url": f"rs+unix://{node.node}/{name}.sock"}
    if name == "ticket":
        router["auth"] = TICKET
    component = Component(make_settings(router=router))
    starting = asyncio.create_task(component.__aenter__())
    try:
        entry = await said.until("not joined, trying again")
        assert "asks a component that has not joined yet" in entry["problem"]
        assert f"({AUTHENTICATE if name == 'ticket' else AUTHORIZE}): start" in entry["problem"]
        # More often than a router is believed that says no.
        async with asyncio.timeout(20):
            for _ in range(REFUSALS + 1):
                await tried.acquire()
        async with helper(node), asyncio.timeout(20):
            await starting
            assert component.link.is_up
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await component.stop()
