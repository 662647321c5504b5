"""Whether a value of one table can make a topic that belongs to the changes of another.

Whoever writes such a value says something on the topic of the other table, whose subscribers, and
the router's rules for them, know nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import asyncpg

from pgwamp.checks.finding import Finding
from pgwamp.naming import EVENT_SUFFIX, Naming
from pgwamp.settings import Settings

#: The place of a value in a template.
_VALUE = re.compile(r"\{[^{}]+\}")
#: TRUNCATE has no row that a template could take values of.
_ROW_SUFFIXES = [suffix for operation, suffix in EVENT_SUFFIX.items() if operation != "truncate"]


class _Table(NamedTuple):
    schema: str
    name: str
    #: The template of its topic, if it is watched with one.
    template: str | None


async def check_templates(settings: Settings, connection: asyncpg.Connection[Any]) -> list[Finding]:
    """Whether the topic of a watched table can be that of the changes of another one."""
    naming = Naming(settings.expose)
    rows = await connection.fetch(_TABLES, list(settings.expose.schemas))
    tables = []
    for schema, name, options in rows:
        if options is not None or naming.is_exposed(schema, name):
            template = json.loads(options or "{}").get("topic")
            tables.append(_Table(schema, name, template))
    # Many templates among thousands of tables: others are served meanwhile.
    return await asyncio.to_thread(lambda: list(_findings(naming, tables)))


def _findings(naming: Naming, tables: list[_Table]) -> Iterator[Finding]:
    owners: dict[str, list[_Table]] = {}
    for table in tables:
        for topic in _topics(naming, table):
            owners.setdefault(topic, []).append(table)
    topics = "\n".join(owners)
    for table in tables:
        if table.template is None or (found := _clash(table, topics, owners)) is None:
            continue
        topic, owner = found
        problem = (
            f'the topic "{table.template}" of {table.schema}.{table.name} can be {topic}, a topic '
            f"of {owner.schema}.{owner.name}: whoever writes to the one sends events to "
            "subscribers of the other; give it a part of its own in the place of a value, such as "
            "the name of the table"
        )
        yield Finding("events", problem, level="advice")


def _topics(naming: Naming, table: _Table) -> list[str]:
    """All topics of a table, with ``{}`` for values of rows."""
    operations: Iterable[str] = EVENT_SUFFIX if table.template is None else ["truncate"]
    plain = [naming.topic(table.schema, table.name, operation) for operation in operations]
    return [*filter(None, plain), *_of_rows(table)]


def _of_rows(table: _Table) -> list[str]:
    """The topics that a template makes, with ``{}`` for values."""
    template = table.template or ""
    made = (_VALUE.sub("{}", template.replace("{op}", suffix)) for suffix in _ROW_SUFFIXES)
    return list(dict.fromkeys(filter(None, made)))


def _clash(
    table: _Table, topics: str, owners: dict[str, list[_Table]]
) -> tuple[str, _Table] | None:
    """A topic of another table that the template of this one can make, and that table.

    Where both have a value in the same places they share a topic on purpose.
    """
    for mine in _of_rows(table):
        pattern = r"\.".join(map(_pattern, mine.split(".")))
        for match in re.finditer(f"^{pattern}$", topics, re.MULTILINE):
            topic = match[0]
            others = (owner for owner in owners[topic] if owner is not table)
            if (other := next(others, None)) is not None and _takes_place(mine, topic):
                return topic, other
    return None


def _takes_place(mine: str, theirs: str) -> bool:
    """Whether a value stands for a part that is plain in the other, or nothing varies there."""
    pairs = zip(mine.split("."), theirs.split("."), strict=True)
    return "{}" not in theirs or any("{}" in a and "{}" not in b for a, b in pairs)


def _pattern(part: str) -> str:
    """The parts of topics that can be the same as this one: at most one run of anything in each."""
    first, *rest = part.split("{}")
    same = re.escape(first) + (r"[^.\n]+" + re.escape(rest[-1]) if rest else "")
    return rf"(?:{same}|[^.\n]*\{{\}}[^.\n]*)"


_TABLES = """
select n.nspname, c.relname, w.options::text
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
left join wamp.watch as w on w.relation = c.oid
where c.relkind in ('r', 'p') and not c.relispartition
    and (n.nspname = any ($1::text[]) or w.relation is not null)
    and w.options -> 'publish' is distinct from 'false'
order by 1, 2
"""
