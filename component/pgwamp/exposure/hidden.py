"""Which errors of constraints show values of columns that are not exposed.

PostgreSQL explains a violated key with its columns and values. It leaves out those that the role
may not read, but it knows nothing of ``expose.exclude``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pgwamp.catalog import Catalog, ForeignKey, Relation
from pgwamp.naming import Naming

#: SQLSTATE of a violated foreign key, and the first digits of that of every constraint.
_FOREIGN_KEY, _CONSTRAINTS = "23503", "23"


#: The columns in ``Key (a, b)=(1, 2) already exists``.
_KEY = re.compile(r"\((.*?)\)=\(", re.DOTALL)


class HiddenKeys:
    """Tells whether an error's ``detail`` has to be left out.

    :param catalog: as it is in the database, with the columns that are not exposed.
    """

    def __init__(self, naming: Naming, catalog: Catalog):
        self._naming = naming
        self._relations = {relation.key: relation for relation in catalog.relations}
        self._by_oid = {relation.oid: relation for relation in catalog.relations}
        self._foreign_keys = {(key.source, key.name): key for key in catalog.foreign_keys}

    def __call__(self, details: Mapping[str, Any]) -> bool:
        """Judge the details of an error, as :func:`pgwamp.errors.from_sqlstate` makes them."""
        if details["table"] is None or not details["sqlstate"].startswith(_CONSTRAINTS):
            return False
        relation = self._relations.get((details["schema"], details["table"]))
        if relation is None or not self._shows(relation, ()):
            return True
        if details["sqlstate"] == _FOREIGN_KEY:
            key = self._foreign_keys.get((relation.oid, details["constraint"]))
            return key is None or not self._shows_key(relation, key)
        if self._shows(relation, tuple(column.name for column in relation.columns)):
            return False
        # An index may be on an expression of hidden columns: only known keys are told.
        named = _KEY.search(details["detail"])
        return named is None or named[1].replace('"', "") not in {
            ", ".join(key).replace('"', "")
            for key in (relation.primary_key, *relation.unique)
            if self._shows(relation, key)
        }

    def _shows_key(self, source: Relation, key: ForeignKey) -> bool:
        target = self._by_oid.get(key.target)
        return (
            target is not None
            and self._shows(source, key.columns)
            and self._shows(target, key.target_columns)
        )

    def _shows(self, relation: Relation, columns: tuple[str, ...]) -> bool:
        return self._naming.is_exposed(*relation.key) and all(
            self._naming.shows_column(*relation.key, name) for name in columns
        )
