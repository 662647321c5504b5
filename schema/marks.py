"""Marks on the models of an application: whether a table is watched, and with which options.

A wrong mark is an ``alembic.util.CommandError``, which names the table, the value and the cure: a
migration with it would fail, and one without it would watch nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import Table

_MARK = "pgwamp"
_KEYS = ("watch",)
_OLD = ("none", "key", "changed", "full")
_FLAGS = ("batch", "retain", "publish")
_TEXTS = ("old", "when", "topic", "eligible_authid", "eligible_authrole")
_OPTIONS = ("columns", *_TEXTS, *_FLAGS)
#: Names of columns in the template of a topic.
_IN_TOPIC = re.compile(r"\{([^{}]+)\}")
#: How like our mark another entry of ``info`` is that is taken for it.
_MISSPELT = 0.8


def marked(table: Table) -> dict[str, Any] | Literal[False] | None:
    """Return the options of ``info={"pgwamp": {"watch": ...}}``, as the database keeps them.

    :returns: False for a table that is not to be watched, None for one without a mark.
    :raises alembic.util.CommandError: the mark is wrong.
    """
    marks = table.info.get(_MARK)
    if marks is None:
        others = [key for key in table.info if isinstance(key, str)]
        if close := difflib.get_close_matches(_MARK, others, 1, _MISSPELT):
            raise _wrong(table, f'unknown key "{close[0]}" in info (did you mean "{_MARK}"?)')
        return None
    if not isinstance(marks, Mapping):
        raise _wrong(table, 'info["pgwamp"] must be a dict, such as {"watch": True}')
    for key in marks:
        if key not in _KEYS:
            raise _wrong(table, f'unknown key "{key}" in info["pgwamp"] ({_hint(key, _KEYS)})')
    watch = marks.get("watch")
    if watch is None:
        return None
    if isinstance(watch, bool):
        return {} if watch else False
    if not isinstance(watch, Mapping):
        raise _wrong(
            table,
            f'info["pgwamp"]["watch"] must be True, False or a dict of options, not {watch!r}',
        )
    options = {name: value for name, value in watch.items() if value is not None}
    for name, value in options.items():
        if problem := _problem(table, name, value):
            raise _wrong(table, f'{problem} in info["pgwamp"]["watch"]')
    return options


def _problem(table: Table, name: str, value: Any) -> str | None:
    """Say why an option is wrong; the database asks the same again."""
    if name not in _OPTIONS:
        return f'unknown option "{name}" ({_hint(name, _OPTIONS)})'
    if name in _FLAGS and not isinstance(value, bool):
        return f"{name} must be True or False, not {value!r},"
    if name in _TEXTS and not isinstance(value, str):
        return f"{name} must be a string, not {value!r},"
    if name == "old" and value not in _OLD:
        return f'old cannot be "{value}" ({_hint(value, _OLD)})'
    named: list[Any] = []
    if name == "columns":
        if not isinstance(value, list | tuple) or not value:
            return f"columns must be a list of names, not {value!r},"
        named = list(value)
    elif name in ("eligible_authid", "eligible_authrole"):
        named = [value]
    elif name == "topic":
        named = [column for column in _IN_TOPIC.findall(value) if column != "op"]
    columns = [column.name for column in table.columns]
    for column in named:
        if column not in columns:
            return f'{name} names "{column}", which is no column ({_hint(column, columns)})'
    return None


def _hint(given: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(given), list(known), 1)
    return f'did you mean "{close[0]}"?' if close else f"known: {', '.join(known)}"


def _wrong(table: Table, problem: str) -> Exception:
    from alembic.util import CommandError  # loads the plugin that imports this

    return CommandError(f"table {table.fullname}: {problem}")
