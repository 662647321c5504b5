"""Whether an API can be made of the settings and the database: queries, modules, names, roles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import asyncpg

from pgwamp.catalog import Catalog
from pgwamp.checks.finding import Finding
from pgwamp.database.connect import CONNECTION_ERRORS
from pgwamp.errors import StartError, Unavailable
from pgwamp.exposure import Reader
from pgwamp.naming import MIGRATION_TABLES, Naming
from pgwamp.settings import Settings

#: The place of a value in a topic, and what a null is there.
_VALUE, OF_NULL = re.compile(r"\{[^{}]*\}"), "-"


async def check_api(settings: Settings) -> tuple[list[Finding], list[str]]:
    """Build what a start would serve, and return the topics of watched tables with the findings."""
    reader = Reader(settings)
    try:
        await reader.database.start()
        async with reader.snapshot() as connection:
            catalog, exposure = await reader.read(connection)
    except StartError as error:
        return [_stops(str(error))], []
    except Unavailable as error:
        return [_stops(f"the catalog could not be read: {error.message}")], []
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        return [_stops(f"the catalog could not be read: {error}")], []
    finally:
        await reader.database.stop()
    findings = [Finding("api", line, level="advice") for line in exposure.left_out]
    findings += migration_tables(reader.naming, catalog)
    return findings, sample_topics(exposure.description)


def sample_topics(description: Mapping[str, Any]) -> list[str]:
    """Return the topics of watched tables; with that of null in the place of values of rows."""
    found = (
        _VALUE.sub(OF_NULL, entry["topic"]) if entry.get("template") else entry["topic"]
        for entry in description["topics"]
    )
    return list(dict.fromkeys(found))


def migration_tables(naming: Naming, catalog: Catalog) -> list[Finding]:
    """Return a finding for each table of a migration tool that is exposed."""
    return [
        Finding(
            "api",
            f"expose.include names {relation.schema}.{relation.name}, where a migration tool keeps "
            "its state: callers can read it, and whoever may write to it confuses the tool; take "
            "it out of expose.include",
            level="advice",
        )
        for relation in catalog.relations
        if relation.name in MIGRATION_TABLES and naming.is_exposed(relation.schema, relation.name)
    ]


def _stops(problem: str) -> Finding:
    return Finding("api", problem, stops=True)
