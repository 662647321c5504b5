"""The ``wamp`` schema in PostgreSQL: its Alembic environment, SQL functions and models.

It lives in the application's own database, in a schema and with a version table of its own, so
that it never meets the application's migrations. Installed as ``pgwamp.schema``.
"""
