"""What a row leads to, for ``describe``: relationships and computed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgwamp.catalog import Catalog, Routine
from pgwamp.catalog.relationship import Relationship
from pgwamp.describe.schemas import Schemas, or_null
from pgwamp.naming import Naming
from pgwamp.query.scope import Scope

#: Relationships of a relation that are described. Of one that has more none are: what is there
#: by name could not be told from what is not.
MOST_RELATIONSHIPS = 200


@dataclass(frozen=True)
class Related:
    """What a catalog's rows lead to, as ``describe`` tells it.

    :ivar relations: schema.name of each exposed relation, by the oid of the type of its rows.
    """

    schemas: Schemas
    naming: Naming
    relations: Mapping[int, str]

    @classmethod
    def within(cls, catalog: Catalog, naming: Naming, schemas: Schemas) -> Related:
        """What leads to the exposed relations of a catalog."""
        exposed = {
            relation.row_type: ".".join(relation.key)
            for relation in catalog.relations
            if naming.is_exposed(*relation.key)
        }
        return cls(schemas, naming, exposed)

    def relation_of(self, routine: Routine) -> str | None:
        """The relation whose rows a function returns."""
        return None if routine.returns is None else self.relations.get(routine.returns.oid)

    def of(self, scope: Scope) -> dict[str, Any]:
        """The computed columns and the relationships of a relation, by name, where it has any."""
        described: dict[str, Any] = {}
        computed = {
            name: {"function": uri, "schema": or_null(self.schemas.type(routine.returns))}
            for name, routine in scope.computed.items()
            if routine.returns is not None and (uri := self._uri(routine))
        }
        if computed:
            described["computed"] = computed
        if len(scope.relationships) <= MOST_RELATIONSHIPS:
            described["relationships"] = {
                name: self._relationship(way) for name, way in scope.plain_keys()
            }
        return described

    def _relationship(self, way: Relationship) -> dict[str, Any]:
        described: dict[str, Any] = {"relation": ".".join(way.target.key), "many": not way.to_one}
        if way.routine is not None:
            described["function"] = self._uri(way.routine)
        elif way.junction is None:
            described["columns"] = dict(way.pairs)
        else:
            middle = way.junction
            described["through"] = ".".join(middle.relation.key)
            described["columns"] = dict(middle.source_pairs)
            described["further"] = {near: far for far, near in middle.target_pairs}
        return described

    def _uri(self, routine: Routine) -> str | None:
        return self.naming.path(routine.schema, routine.name)
