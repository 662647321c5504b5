"""A router that asks for a ticket, and people who have one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import yaml

from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.servers import server_folder

LogIn = Callable[[str], Awaitable[Client]]


@contextmanager
def ticket_router(people: Mapping[str, str]) -> Iterator[Router]:
    """A node whose WebSocket asks for a ticket, and that tells the component who calls.

    :param people: authid -> authrole, each with their name as the ticket.
    """
    with server_folder() as folder:
        config = yaml.safe_load(shipped("config.yaml").read_text())
        worker = config["workers"][0]
        component, anonymous = worker["realms"][0]["roles"]
        roles = [{**anonymous, "name": role} for role in sorted(set(people.values()))]
        worker["realms"][0]["roles"] = [component, *roles]
        principals = {who: {"ticket": who, "role": role} for who, role in people.items()}
        auth = {"ticket": {"type": "static", "principals": principals}}
        worker["transports"][0]["paths"]["ws"]["auth"] = auth
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        with Router(folder / "node", port=0, config=folder / "config.yaml") as router:
            yield router


@asynccontextmanager
async def logins(router: Router) -> AsyncIterator[LogIn]:
    """Lets people join by their name; they leave in the end."""
    async with AsyncExitStack() as stack:

        async def start(who: str) -> Client:
            auth = {"method": "ticket", "authid": who, "secret": who}
            settings = RouterSettings(url=router.url, auth=auth)  # type: ignore[arg-type]
            return await stack.enter_async_context(Client(settings))

        yield start
