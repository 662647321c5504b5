"""An immutable picture of what a database offers: relations, routines, types."""

from pgwamp.catalog.graph import Graph
from pgwamp.catalog.load import load_catalog
from pgwamp.catalog.model import (
    Argument,
    Catalog,
    Column,
    ForeignKey,
    Relation,
    Routine,
    WatchedRelation,
)
from pgwamp.catalog.relationship import Junction, Relationship

__all__ = [
    "Argument",
    "Catalog",
    "Column",
    "ForeignKey",
    "Graph",
    "Junction",
    "Relation",
    "Relationship",
    "Routine",
    "WatchedRelation",
    "load_catalog",
]
