"""Whether a value of one table can make a topic that belongs to the changes of another.

Whoever writes such a value says something on the topic of the other table, whose subscribers, and
the router's rules for them, know nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

from pgwamp.checks.finding import Finding
from pgwamp.naming import EVENT_SUFFIX, Naming
from pgwamp.settings import Settings

#: Seconds that the topics of all tables are compared.
MOST_SECONDS = 2.0
#: The place of a value in a template.
_VALUE = re.compile(r"\{[^{}]+\}")
#: TRUNCATE has no row that a template could take values of.
_ROW_SUFFIXES = [suffix for operation, suffix in EVENT_SUFFIX.items() if operation != "truncate"]


@dataclass(slots=True)
class _Node:
    """Topics that begin alike.

    :ivar topic: the one that ends here.
    """

    parts: dict[str, _Node] = field(default_factory=dict)
    topic: str | None = None


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
        if naming.is_excluded(schema, name):
            continue  # it is not published
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
    tree = _tree(owners)
    ending = time.monotonic() + MOST_SECONDS
    for table in tables:
        if table.template is None or (found := _clash(table, tree, owners, ending)) is None:
            continue
        topic, owner = found
        problem = (
            f'the topic "{table.template}" of {table.schema}.{table.name} can be {topic}, a topic '
            f"of {owner.schema}.{owner.name}: whoever writes to the one sends events to "
            "subscribers of the other; give it a part of its own in the place of a value, such as "
            "the name of the table"
        )
        yield Finding("events", problem, level="advice")
    if time.monotonic() > ending:
        problem = "there are too many topics with values in them to compare all with one another"
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


def _tree(topics: Iterable[str]) -> _Node:
    """The topics by their parts, one after the other."""
    tree = _Node()
    for topic in topics:
        node = tree
        for part in topic.split("."):
            node = node.parts.setdefault(part, _Node())
        node.topic = topic
    return tree


def _clash(
    table: _Table, tree: _Node, owners: dict[str, list[_Table]], ending: float
) -> tuple[str, _Table] | None:
    """A topic of another table that the template of this one can make, and that table.

    Where both have a value in the same places they share a topic on purpose.
    """
    for mine in _of_rows(table):
        for topic in _alike(tree, mine.split(".")):
            if time.monotonic() > ending:
                return None
            others = (owner for owner in owners[topic] if owner is not table)
            if (other := next(others, None)) is not None and _takes_place(mine, topic):
                return topic, other
    return None


def _alike(node: _Node, parts: Sequence[str]) -> Iterator[str]:
    """The topics that can be the same as one of these parts."""
    if not parts:
        if node.topic is not None:
            yield node.topic
        return
    first, *rest = parts
    for part, further in node.parts.items():
        if _is_alike(first, part):
            yield from _alike(further, rest)


def _is_alike(mine: str, theirs: str) -> bool:
    """Whether two parts of topics can be the same: of values nobody knows how long they are."""
    if mine == theirs or "{}" in theirs:
        return True
    before, *between = mine.split("{}")
    if not between:
        return False
    after = between[-1]
    fits = theirs.startswith(before) and theirs.endswith(after)
    return fits and len(theirs) > len(before) + len(after)


def _takes_place(mine: str, theirs: str) -> bool:
    """Whether a value stands for a part that is plain in the other, or nothing varies there."""
    pairs = zip(mine.split("."), theirs.split("."), strict=True)
    return "{}" not in theirs or any("{}" in a and "{}" not in b for a, b in pairs)


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
