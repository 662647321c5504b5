"""docs/configuration.md names every setting, with its variable, and no variable that is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from pgwamp.settings import Settings
from pgwamp.variables import ENV_PREFIX

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
#: Variables with the prefix that are not settings.
OTHERS = {"PGWAMP_CONFIG", "PGWAMP_CROSSBAR", "PGWAMP_TEST_POSTGRES"}


def keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting below ``model``, as the parts of its dotted name."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, path)
        elif path != ("folder",):  # not configured: where pgwamp.toml lies
            yield path


SETTINGS = list(keys(Settings))


def variable(path: tuple[str, ...]) -> str:
    return ENV_PREFIX + "__".join(path).upper()


def test_the_settings_of_the_model_are_found() -> None:
    assert ("router", "auth", "method") in SETTINGS
    assert len(SETTINGS) > 30


@pytest.mark.parametrize("path", SETTINGS, ids=".".join)
def test_a_setting_has_a_row_with_its_variable(path: tuple[str, ...]) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{'.'.join(path)}` |")]
    assert len(rows) == 1
    assert f"| `{variable(path)}` |" in rows[0]


def test_no_row_names_an_unknown_setting() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(".".join(path) for path in SETTINGS)


def test_no_variable_is_unknown() -> None:
    named = set(re.findall(r"PGWAMP_\w*[A-Z]", PAGE))
    assert named == {variable(path) for path in SETTINGS} | OTHERS
