"""Wrong and unknown settings, as one line that names the key."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pgwamp.errors import SettingsError
from pgwamp.variables import ENV_PREFIX

#: A key of a setting as a variable can name it: no position in a list, no URL.
_VARIABLE_PART = re.compile(r"[A-Za-z_]\w*")


def refuse_unknown_variables(
    environ: Mapping[str, str], model: type[BaseModel], hidden: Set[str]
) -> None:
    """Refuse variables that set nothing: a typo must not be silent.

    :param hidden: fields of the model that are no settings.
    """
    sections = set(model.model_fields) - hidden
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        section, separator, _ = name[len(ENV_PREFIX) :].lower().partition("__")
        if section not in sections:
            raise SettingsError(f"{name}: unknown setting{_suggest(section, sections)}")
        if not separator:
            raise SettingsError(
                f"{name}: a section needs a key after two underscores, "
                f"such as {name}__{next(iter(_keys(model, section))).upper()}"
            )


def _keys(model: type[BaseModel], section: str) -> list[str]:
    kind = model.model_fields[section].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return []


def _suggest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, sorted(known), 1)
    return f' (did you mean "{close[0]}"?)' if close else f" (known: {', '.join(sorted(known))})"


def _known_keys(model: Any, location: tuple[int | str, ...], hidden: Set[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is None or not (isinstance(field.annotation, type)):
            return []
        model = field.annotation
        if not issubclass(model, BaseModel):
            return []
    return [name for name in model.model_fields if name not in hidden]


def _named(part: int | str) -> str:
    """A part of a location: a URL that is given for a key may hold a password."""
    return "(a URL)" if "://" in str(part) else str(part)


def explain(
    error: ValidationError, file: Path | None, model: type[BaseModel], hidden: Set[str]
) -> str:
    """One line for each wrong key, never with the value of a secret."""
    lines = []
    for item in error.errors():
        location = item["loc"]
        key = ".".join(_named(part) for part in location if part != "[key]")
        if item["type"] == "extra_forbidden":
            known = _known_keys(model, location[:-1], hidden)
            lines.append(f"{key}: unknown setting{_suggest(str(location[-1]), known)}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: {message[:1].lower()}{message[1:]}")
    path = itertools.takewhile(_VARIABLE_PART.fullmatch, map(str, error.errors()[0]["loc"]))
    variable = ENV_PREFIX + "__".join(path).upper()
    place = f"{file} or {variable}" if file else variable
    return "; ".join(lines) + f" (set in {place})"
