"""Names: from relations and routines to URIs, and which of them are exposed."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from pgwamp.settings import ExposeSettings

#: What WAMP allows in one part of a URI (loose form).
_PART = re.compile(r"[^\s.#]+")
#: The tables in which the usual tools for migrations keep their state.
MIGRATION_TABLES = frozenset(
    {
        "alembic_version", "django_migrations", "schema_migrations", "ar_internal_metadata",
        "flyway_schema_history", "databasechangelog", "databasechangeloglock", "_prisma_migrations",
        "knex_migrations", "knex_migrations_lock", "goose_db_version", "pgmigrations",
        "SequelizeMeta", "__EFMigrationsHistory", "__diesel_schema_migrations", "_sqlx_migrations",
    }
)  # fmt: skip
#: The topic's last part, by operation.
EVENT_SUFFIX = {
    "insert": "inserted",
    "update": "updated",
    "delete": "deleted",
    "truncate": "truncated",
}


class Naming:
    """The one place that maps ``schema.name`` to URIs."""

    def __init__(self, settings: ExposeSettings):
        self._settings = settings

    @property
    def prefix(self) -> str:
        """The first parts of every URI."""
        return self._settings.prefix

    def path(self, schema: str, name: str) -> str | None:
        """The URI of a relation or routine, or None when its name cannot stand in a URI.

        Names of the first exposed schema follow the prefix directly, others follow their
        schema's name. ``expose.alias`` replaces a name.
        """
        alias = self._settings.alias
        name = alias.get(f"{schema}.{name}", alias.get(name, name))
        first = self._settings.schemas[:1] or ("public",)
        parts = [name] if schema in first else [schema, name]
        if not all(_PART.fullmatch(part) for part in parts):
            return None
        return ".".join((self._settings.prefix, *parts))

    def topic(self, schema: str, name: str, operation: str) -> str | None:
        """The topic of a change of a relation, as in ``com.example.orders.updated``."""
        path = self.path(schema, name)
        return path and f"{path}.{EVENT_SUFFIX[operation]}"

    def is_exposed(self, schema: str, name: str) -> bool:
        """Whether ``include`` and ``exclude`` let it through; both match either form.

        A table of :data:`MIGRATION_TABLES` has to be included by its name.
        """

        settings = self._settings
        by_name = name in settings.include or f"{schema}.{name}" in settings.include
        return (
            schema in settings.schemas
            and _matches(settings.include, schema, name)
            and not self.is_excluded(schema, name)
            and (by_name or name not in MIGRATION_TABLES)
        )

    def is_excluded(self, schema: str, name: str) -> bool:
        """Whether ``exclude`` names a relation or routine, in an exposed schema or another."""
        return _matches(self._settings.exclude, schema, name)

    @property
    def hides_columns(self) -> bool:
        """Whether ``exclude`` may hide a column at all."""
        return bool(self._settings.exclude)

    def shows_column(self, schema: str, relation: str, column: str) -> bool:
        """Whether ``exclude`` lets a column through.

        Patterns match its name, or all of ``schema.relation.column``. A pattern with one dot is
        about relations and routines.
        """
        full = f"{schema}.{relation}.{column}"
        return not any(
            fnmatchcase(full, pattern) if pattern.count(".") > 1 else fnmatchcase(column, pattern)
            for pattern in self._settings.exclude
        )

    def exposed_path(self, schema: str, name: str) -> str | None:
        """The URI of something exposed, or None; also where :meth:`path` finds none."""
        return self.path(schema, name) if self.is_exposed(schema, name) else None


def _matches(patterns: tuple[str, ...], schema: str, name: str) -> bool:
    return any(
        fnmatchcase(name, pattern) or fnmatchcase(f"{schema}.{name}", pattern)
        for pattern in patterns
    )
