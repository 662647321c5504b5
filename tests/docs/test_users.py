"""The part of a node's configuration in docs/operations.md lets users log in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pgwamp.component import Component
from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router
from pgwamp.errors import StartError
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.conftest import Database, MakeSettings
from tests.servers import server_folder

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```text\n(roles:\n.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
async def test_a_user_with_a_ticket_has_its_role(
    make_settings: MakeSettings, database: Database
) -> None:
    added = yaml.safe_load(BLOCK)
    config = yaml.safe_load(shipped("config.yaml").read_text())
    worker = config["workers"][0]
    worker["realms"][0]["roles"] += added["roles"]
    worker["transports"][0]["paths"]["ws"]["auth"] = added["auth"]
    database.execute(
        "create function me() returns text language sql stable as "
        "$$ select current_setting('wamp.authid') || ' ' || current_setting('wamp.authrole') $$"
    )
    with server_folder() as folder:
        template = folder / "users.yaml"
        template.write_text(yaml.safe_dump(config))
        with Router(folder / "node", port=0, config=template) as router:

            def client(secret: str) -> Client:
                auth = {"method": "ticket", "authid": "anna", "secret": secret}
                return Client(RouterSettings(url=router.url, auth=auth))  # type: ignore[arg-type]

            settings = make_settings(
                router={"url": router.component_url}, expose={"prefix": "com.example"}
            )
            async with Component(settings, patience=5):
                async with client("a-long-secret") as anna:
                    assert await anna.call("com.example.me") == "anna user"
                with pytest.raises(StartError):
                    async with client("another"):
                        pass
