"""Settings from variables of the environment, as a nested dict of texts, lists and tables.

``PGWAMP_SECTION__KEY`` is a setting. With ``_FILE`` at its end the variable names a file whose
content is the value, as container platforms and systemd hand secrets over.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from pgwamp.errors import SettingsError

ENV_PREFIX = "PGWAMP_"
#: The variable of ``database.url`` that platforms set; ``PGWAMP_DATABASE__URL`` wins over it.
URL_VARIABLE = "DATABASE_URL"
FILE_SUFFIX = "_FILE"


def with_files(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Path]]:
    """Return the variables of settings with the content of the files that they name, and the files.

    :raises SettingsError: a file cannot be read, or a setting is given twice.
    """
    values: dict[str, str] = {}
    named: list[Path] = []
    for name in sorted(environ):
        if not (name.startswith(ENV_PREFIX) or name in (URL_VARIABLE, URL_VARIABLE + FILE_SUFFIX)):
            continue
        setting = name.removesuffix(FILE_SUFFIX)
        if setting == name:
            values[name] = environ[name]
            continue
        if environ.get(setting):
            raise SettingsError(f"{name}: {setting} is set too; set one of them")
        path = Path(environ[name])
        try:
            # Editors and `echo` end a file with a line break, which is no part of a secret.
            values[setting] = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            # The value is not repeated: it may be the secret itself.
            raise SettingsError(f"{name}: the file cannot be read: {reason}") from None
        named.append(path)
    return values, named


def nested(values: Mapping[str, str], model: type[BaseModel]) -> dict[str, Any]:
    """Return what the variables set, by section and key.

    :raises SettingsError: a value is not of the form that its setting has.
    """
    found: dict[str, Any] = {}
    for name, text in values.items():
        if not name.startswith(ENV_PREFIX):
            continue
        *path, last = name[len(ENV_PREFIX) :].lower().split("__")
        place, kind = found, _kind(model, path[0] if path else last)
        for number, part in enumerate(path):
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise SettingsError(
                    f"{name}: {'__'.join(path[: number + 1])} is set as a whole too"
                )
            if number:
                kind = _kind(kind, part)
        place[last] = _value(name, text, _kind(kind, last) if path else kind)
    return found


def _kind(of: Any, key: str) -> Any:
    """The type of a key of a section or table; None if there is no such key."""
    if isinstance(of, type) and issubclass(of, BaseModel):
        field = of.model_fields.get(key)
        return None if field is None else _plain(field.annotation)
    return None


def _plain(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    return kind


def _value(name: str, text: str, kind: Any) -> Any:
    """A list may be written with commas, and both lists and tables as JSON."""
    origin = get_origin(kind) or kind
    is_list = origin is tuple
    is_table = origin is not None and (
        origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, BaseModel))
    )
    if not (is_list or is_table):
        return text
    if is_list and text.lstrip()[:1] not in ("[", "{"):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list if is_list else dict):
        form = 'a,b or ["a", "b"]' if is_list else '{"a": "b"}'
        # The value may hold a password.
        raise SettingsError(f"{name}: expected {form}")
    return value
