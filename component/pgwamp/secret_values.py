"""Secrets among the values of settings, and files that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pgwamp.database_url import parse_database_url

#: A cryptosign key, or seed, as it is written.
HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
#: Parameters of a database URL that are secrets, and those that name files with secrets.
_SECRET_PARAMETERS = ("password", "sslpassword")
_FILE_PARAMETERS = ("sslkey", "passfile")


def holds_secret(data: Mapping[str, Any]) -> bool:
    """Whether the content of a configuration file has a password, a ticket or a key in it."""
    database, router = data.get("database"), data.get("router")
    auth = router.get("auth") if isinstance(router, dict) else None
    urls = list(database.values()) if isinstance(database, dict) else []
    urls += [url for value in urls if isinstance(value, dict) for url in value.values()]
    key = auth.get("private_key") if isinstance(auth, dict) else None
    return (
        any(isinstance(url, str) and _has_password(url) for url in urls)
        or bool(isinstance(auth, dict) and auth.get("secret"))
        or bool(isinstance(key, str) and HEX_KEY.fullmatch(key))
        # A proxy's token.
        or bool(isinstance(router, dict) and "?" in str(router.get("url")))
    )


def _has_password(text: str) -> bool:
    try:
        url = parse_database_url(text)
    except ValueError:
        return False  # the settings are refused
    return bool(url.password or any(name in url.query for name in _SECRET_PARAMETERS))


def files_of_urls(urls: Iterable[str]) -> list[Path]:
    """Return the files with secrets that database URLs name, as both drivers find them."""
    queries = [parse_database_url(url).query for url in urls if url]
    named = [query[name] for query in queries for name in _FILE_PARAMETERS if name in query]
    return [Path(name) for name in named if isinstance(name, str)]
