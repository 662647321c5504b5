"""Names: from relations and routines to URIs, and which of them are exposed."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from pgwamp import logs
from pgwamp.settings import ExposeSettings

log = logs.get(__name__)
#: What WAMP allows in one part of a URI (loose form).
_PART = re.compile(r"[^\s.#]+")
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
        """Whether ``include`` and ``exclude`` let it through; both match either form."""

        def matches(patterns: tuple[str, ...]) -> bool:
            return any(
                fnmatchcase(name, pattern) or fnmatchcase(f"{schema}.{name}", pattern)
                for pattern in patterns
            )

        settings = self._settings
        return (
            schema in settings.schemas
            and matches(settings.include)
            and not matches(settings.exclude)
        )

    def exposed_path(self, schema: str, name: str) -> str | None:
        """The URI of something exposed; warns about a name that no URI can hold."""
        if not self.is_exposed(schema, name):
            return None
        path = self.path(schema, name)
        if path is None:
            log.warning(
                "skipped: the name cannot be part of a URI",
                schema=schema,
                name=name,
                cure=f'give it one in pgwamp.toml: [expose.alias] "{schema}.{name}" = "..."',
            )
        return path
