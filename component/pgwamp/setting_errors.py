"""Wrong and unknown settings, as one line that names the key."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pgwamp.errors import SettingsError
from pgwamp.variables import ENV_PREFIX, FILE_SUFFIX, URL_VARIABLE

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
            if meant := _with_two_underscores(section, model, sections):
                raise SettingsError(
                    f"{name}: unknown setting: did you mean {meant} (two underscores)?"
                )
            raise SettingsError(f"{name}: unknown setting{_suggest(section, sections)}")
        if not separator:
            raise SettingsError(
                f"{name}: a section needs a key after two underscores, "
                f"such as {name}__{next(iter(_keys(model, section))).upper()}"
            )


def _with_two_underscores(name: str, model: type[BaseModel], sections: Iterable[str]) -> str | None:
    """Return the variable that was meant by one with a single underscore after the section."""
    meant = (
        f"{section}__{key}"
        for section in sections
        for key in _keys(model, section)
        if name == f"{section}_{key}"
    )
    found = next(meant, None)
    return found and ENV_PREFIX + found.upper()


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


class Sources:
    """Where the value of each setting comes from, as errors name it.

    :param file: the configuration file.
    :param data: what it sets.
    :param environ: the environment.
    :param variables: the values that it gives to settings, those of files among them.
    """

    def __init__(
        self,
        file: Path,
        data: Mapping[str, Any],
        environ: Mapping[str, str],
        variables: Mapping[str, str],
    ):
        self._file = file
        self._data = data
        self._variables = {
            name: name + FILE_SUFFIX if name + FILE_SUFFIX in environ else name
            for name, value in variables.items()
            if value or name != URL_VARIABLE  # that one sets nothing when it is empty
        }

    def _variable_of(self, location: tuple[int | str, ...]) -> str | None:
        """Return the variable that sets a key, or a section that holds it; None if none does."""
        parts = _variable_parts(location)
        names = [_variable(parts[:end]) for end in range(len(parts), 0, -1)]
        if parts == ["database", "url"]:
            names.append(URL_VARIABLE)
        return next((self._variables[name] for name in names if name in self._variables), None)

    def setting(self, location: tuple[str, ...]) -> str | None:
        """Return what sets a key: a variable, or the key in the file; None if nothing does."""
        return self._variable_of(location) or (
            ".".join(location) if self._is_in_file(location) else None
        )

    def place(self, location: tuple[int | str, ...]) -> str:
        """Return where to correct a key; of a section that several places set, all of these."""
        if found := self._variable_of(location):
            return found
        variable = _variable(_variable_parts(location))
        places = [v for name, v in self._variables.items() if name.startswith(f"{variable}__")]
        if self._is_in_file(location):
            places.insert(0, str(self._file))
        return " and ".join(places) or variable

    def _is_in_file(self, location: tuple[int | str, ...]) -> bool:
        found: Any = self._data
        for part in _variable_parts(location):
            if not isinstance(found, Mapping) or part not in found:
                return False
            found = found[part]
        return True


def _variable(parts: Sequence[str]) -> str:
    return ENV_PREFIX + "__".join(parts).upper()


def _variable_parts(location: tuple[int | str, ...]) -> list[str]:
    return list(itertools.takewhile(_VARIABLE_PART.fullmatch, map(str, location)))


def explain(
    error: ValidationError, sources: Sources, model: type[BaseModel], hidden: Set[str]
) -> str:
    """One line for each wrong key, never with the value of a secret."""
    lines = []
    for item in error.errors():
        location = item["loc"]
        key = ".".join(_named(part) for part in location if part != "[key]")
        if item["type"] == "extra_forbidden":
            known = _known_keys(model, location[:-1], hidden)
            problem = f"unknown setting{_suggest(str(location[-1]), known)}"
        else:
            message = item["msg"].removeprefix("Value error, ")
            problem = f"{message[:1].lower()}{message[1:]}"
        lines.append(f"{key}: {problem} (set in {sources.place(location)})")
    return "; ".join(lines)
