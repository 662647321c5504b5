"""Alembic's environment of the shop: nothing in it knows pgwamp."""

from __future__ import annotations

import os

from alembic import context
from shop.models import Base
from sqlalchemy import create_engine, make_url


def _url() -> str:
    url = make_url(os.environ["DATABASE_URL"])
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


with create_engine(_url()).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
