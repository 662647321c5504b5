"""Connections to PostgreSQL, and the transaction that one call runs in."""

from pgwamp.database.connect import connect_directly
from pgwamp.database.session_sql import ISOLATION_LEVELS
from pgwamp.database.transactions import Database

__all__ = ["ISOLATION_LEVELS", "Database", "connect_directly"]
