"""The requirements of a component, in one list with a cure for each entry.

``pgwamp check`` prints what is not as it should be. The start asks for the same: it ends with what
would keep it from working, and logs the rest.
"""

from pgwamp.checks.api import migration_tables, sample_topics
from pgwamp.checks.finding import Finding
from pgwamp.checks.requirements import ask_database, ask_settings, check_all
from pgwamp.checks.router import ask_router
from pgwamp.checks.schema import missing_schemas, require_schema

__all__ = [
    "Finding",
    "ask_database",
    "ask_router",
    "ask_settings",
    "check_all",
    "migration_tables",
    "missing_schemas",
    "require_schema",
    "sample_topics",
]
