"""An immutable picture of what a database offers: relations, routines, types."""

from pgwamp.catalog.load import load_catalog
from pgwamp.catalog.model import (
    Argument,
    Catalog,
    Column,
    Relation,
    Routine,
    WatchedRelation,
)

__all__ = [
    "Argument",
    "Catalog",
    "Column",
    "Relation",
    "Routine",
    "WatchedRelation",
    "load_catalog",
]
