"""How the component authenticates at the router."""

from __future__ import annotations

import re
from typing import Any

from autobahn.wamp.auth import create_authenticator

from pgwamp.errors import StartError
from pgwamp.settings import RouterAuth

#: An Ed25519 seed.
KEY_BYTES = 32
#: In hex alone, or as Crossbar writes it in key.priv.
_KEY_IN_FILE = re.compile(rb"(?:\A\s*|^private-key-ed25519:\s*)([0-9a-fA-F]{64})\s*$", re.MULTILINE)


def authenticator_of(auth: RouterAuth) -> Any | None:
    """Autobahn's authenticator for the configured method; anonymous needs none.

    :raises StartError: the key cannot be read, or a package for the method is missing.
    """
    secret = auth.secret.get_secret_value()
    arguments: dict[str, Any] = {"authid": auth.authid}
    try:
        match auth.method:
            case "anonymous":
                return None
            case "ticket":
                arguments["ticket"] = secret
            case "wampcra":
                arguments["secret"] = secret
            case "scram":
                arguments["password"] = secret
            case "cryptosign":
                arguments["privkey"] = _private_key(auth)
        return create_authenticator(auth.method, **arguments)
    except (ImportError, RuntimeError, ValueError) as error:
        raise StartError(f"router.auth.method {auth.method}: {error}") from None


def _private_key(auth: RouterAuth) -> str:
    """The key as hex, from the setting or from a file: of 32 bytes, of hex, or Crossbar's own."""
    path = auth.key_file()
    if path is None:
        return auth.private_key.get_secret_value()
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise StartError(
            f"router.auth.private_key: neither 64 hex digits nor a readable file: {reason}"
        ) from None
    if len(data) == KEY_BYTES:
        return data.hex()
    if match := _KEY_IN_FILE.search(data):
        return match[1].decode()
    raise StartError(
        f"router.auth.private_key: {path} holds no Ed25519 key: neither {KEY_BYTES} bytes, nor "
        "64 hex digits, nor a key file of Crossbar"
    )
