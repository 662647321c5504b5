"""Selecting rows of a table through the router."""

from __future__ import annotations

import pytest

from pgwamp.errors import CallError
from tests.conftest import Connect, Database, Serve

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def items(database: Database) -> None:
    database.execute(
        "create table item (id int primary key, name text not null, price numeric(10,2), "
        "added timestamptz)",
        "insert into item values (1, 'pen', 1.50, '2024-01-01 10:00+02'), (2, 'ink', 12, null), "
        "(3, 'pad', null, null)",
    )


@pytest.mark.usefixtures("items")
async def test_selects_rows_with_filter_columns_and_order(
    serve: Serve, connect: Connect, prefix: str
) -> None:
    await serve()
    client = await connect()
    rows = await client.call(
        f"{prefix}.item.select",
        [],
        {"where": {"price": {"gte": 1}}, "columns": ["name", "price"], "order": ["price.desc"]},
    )
    assert rows == [{"name": "ink", "price": "12.00"}, {"name": "pen", "price": "1.50"}]


@pytest.mark.usefixtures("items")
async def test_an_unknown_column_is_named_with_a_suggestion(
    serve: Serve, connect: Connect, prefix: str
) -> None:
    await serve()
    client = await connect()
    with pytest.raises(CallError, match='no column "nmae" in item; did you mean "name"') as error:
        await client.call(f"{prefix}.item.select", [{"nmae": 1}])
    assert error.value.uri == "wamp.error.invalid_argument"
    assert error.value.details["argument"] == "where.nmae"
