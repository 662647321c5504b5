"""Joining by cryptosign with each form of a key file, at a real router."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from autobahn.wamp.cryptosign import CryptosignKey

from pgwamp.dev.environment import shipped
from pgwamp.dev.router import Router
from pgwamp.errors import StartError
from pgwamp.session import Client
from pgwamp.settings import RouterSettings
from tests.servers import server_folder

SEED = bytes(range(32))
PUBLIC = CryptosignKey.from_bytes(SEED).public_key()


@pytest.fixture(scope="module")
def node() -> Iterator[Router]:
    """A node whose WebSocket lets in who has the key."""
    with server_folder() as folder:
        config = yaml.safe_load(shipped("config.yaml").read_text())
        principals = {"me": {"authorized_keys": [PUBLIC], "realm": "realm1", "role": "component"}}
        auth = {"cryptosign": {"type": "static", "principals": principals}}
        config["workers"][0]["transports"][0]["paths"]["ws"]["auth"] = auth
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        with Router(folder / "node", port=0, config=folder / "config.yaml") as router:
            yield router


def settings(node: Router, private_key: str) -> RouterSettings:
    auth: Any = {"method": "cryptosign", "authid": "me", "private_key": private_key}
    return RouterSettings(url=node.url, auth=auth)


def of_crossbar(node: Router, seed: str) -> bytes:
    """The file that Crossbar has made for its own key, with another key in it."""
    text = (node.node / "key.priv").read_text()
    assert re.search(r"^private-key-ed25519: [0-9a-f]{64}$", text, re.MULTILINE), text
    return re.sub(r"(?<=private-key-ed25519: )[0-9a-f]{64}", seed, text).encode()


FORMS = {
    "32 bytes": lambda _: SEED,
    "hex": lambda _: SEED.hex().encode(),
    "hex, with a line break": lambda _: SEED.hex().upper().encode() + b"\n",
    "Crossbar's key.priv": lambda node: of_crossbar(node, SEED.hex()),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_file_lets_us_join(node: Router, tmp_path: Path, form: str) -> None:
    key = tmp_path / "key"
    key.write_bytes(FORMS[form](node))
    async with Client(settings(node, str(key))) as client:
        assert client.link.details is not None
        assert client.link.details.authid == "me"


async def test_a_key_that_is_written_in_the_settings_lets_us_join(node: Router) -> None:
    async with Client(settings(node, SEED.hex())) as client:
        assert client.link.is_up


async def test_another_key_is_refused(node: Router, tmp_path: Path) -> None:
    key = tmp_path / "key.priv"
    key.write_bytes(of_crossbar(node, "00" * 32))
    with pytest.raises(StartError, match=r"refused to let us join: correct router\.auth"):
        async with Client(settings(node, str(key))):
            pass


@pytest.mark.parametrize("content", [b"", b"5a" * 31, b"-----BEGIN KEY-----\n", b"x" * 33])
async def test_a_file_without_a_key_is_named(node: Router, tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "key"
    key.write_bytes(content)
    with pytest.raises(StartError, match=r"router\.auth\.private_key: .*key holds no Ed25519 key"):
        async with Client(settings(node, str(key))):
            pass
