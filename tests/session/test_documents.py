"""JSON of the database that no session carries arrives as its own text; all else as its value."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pgwamp.values import loads
from tests.conftest import Connect, Database, Serve


def _nested(depth: int, kind: str = "list") -> str:
    return "[" * depth + "]" * depth if kind == "list" else '{"a":' * depth + "1" + "}" * depth


#: Only the type json holds these two.
HALF, NUL, NUL_KEY = r'{"a": "\ud800"}', r'["\u0000x"]', r'{"\u0000": 1}'
#: The same as whole values.
HALF_TEXT, NUL_TEXT = r'"\ud800"', r'"\u0000x"'
DEEP = (_nested(101), _nested(400, "dict"), _nested(1100), _nested(3000))
CARRIED = (
    _nested(100),
    '{"a": [1, 1.5, 1e2, null, "x\\u00e9\\ud83d\\ude00\\u0001", true]}',
    '"[[["',
    '"a\\u0000"',
    "null",
    '{"\\"\\u0000": "\\\\u0000"}',
)
SERIALIZERS = ("json", "msgpack", "cbor")


@pytest.mark.parametrize("text", [HALF, NUL, NUL_KEY, HALF_TEXT, NUL_TEXT, *DEEP])
def test_a_document_that_no_session_carries_is_its_text(text: str) -> None:
    assert loads(text) == text


@pytest.mark.parametrize("text", CARRIED)
def test_every_other_document_is_its_value(text: str) -> None:
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", "18446744073709551616"),
        ("[-9223372036854775808, -9223372036854775809]", [-(2**63), "-9223372036854775809"]),
        ("1e308", 1e308),
        ("[1e309, -1e400, 1e-400]", ["1e309", "-1e400", 0.0]),
        ("9" * 5000, "9" * 5000),
        ('{"1234567890123456789012": 1}', {"1234567890123456789012": 1}),
        ("0.1234567890123456789012", 0.12345678901234568),
        ("[1, 1.0]", [1, 1.0]),
    ],
)
def test_numbers_are_exact_or_text(text: str, value: Any) -> None:
    found = loads(text)
    assert found == value
    assert type(found) is type(value)


def test_deep_documents_cost_linear_time() -> None:
    """Quadratic time would be minutes."""
    for depth in (50, 49_000):
        text = "[" + _nested(depth) + ", 1" * 50_000 + "]"
        assert (loads(text) == text) == (depth > 100)


TABLES = (
    "create type boxed as (n int, doc json)",
    "create table shelf (id int primary key, name text)",
    "create table book (id int primary key, shelf int references shelf, title text, doc json, "
    "docs json[], boxed boxed, facts jsonb)",
    "create function doc_of(book int) returns json stable language sql "
    "as 'select doc from book b where b.id = book'",
    "create function all_docs() returns setof json stable language sql "
    "as 'select doc from book order by id'",
    "insert into shelf values (1, 'one')",
)


def _fill(database: Database) -> list[str]:
    """A book for each document; returns the documents."""
    texts = [HALF, NUL, NUL_KEY, *DEEP[:3], HALF_TEXT, NUL_TEXT, '{"fine": [1]}']
    rows = []
    for number, text in enumerate(texts):
        facts = text if text in DEEP else '{"b": 2}'
        rows.append(
            f"({number}, 1, 'title {number}', '{text}', array['{text}', null, '1']::json[], "
            f"row({number}, '{text}')::boxed, '{facts}')"
        )
    database.execute(*TABLES, f"insert into book values {', '.join(rows)}")
    return texts


@pytest.mark.parametrize("theirs", SERIALIZERS)
@pytest.mark.parametrize("ours", SERIALIZERS)
async def test_every_way_of_reading_answers(
    database: Database, serve: Serve, connect: Connect, prefix: str, ours: str, theirs: str
) -> None:
    texts = _fill(database)
    component = await serve(router={"serializer": ours})
    session = component.link.session
    client = await connect(theirs)
    documents = [*texts[:-1], {"fine": [1]}]
    async with asyncio.timeout(20):
        rows = await client.call(f"{prefix}.book.select", [], {"order": ["id"]})
        assert [row["doc"] for row in rows] == documents
        assert [row["docs"] for row in rows] == [[document, None, 1] for document in documents]
        # PostgreSQL writes jsonb with its own spaces.
        assert [json.loads(row["facts"]) for row in rows[3:5]] == list(map(json.loads, DEEP[:2]))
        assert [row["title"] for row in rows] == [f"title {n}" for n in range(len(rows))]
        assert [row["boxed"] for row in rows] == [
            {"n": number, "doc": document} for number, document in enumerate(documents)
        ]
        for number, document in enumerate(documents):
            assert (await client.call(f"{prefix}.book.get", [number]))["doc"] == document
            assert await client.call(f"{prefix}.doc_of", [number]) == document
        assert await client.call(f"{prefix}.all_docs") == documents
        found = await client.call(
            f"{prefix}.shelf.select",
            [],
            {"include": {"book": {"columns": ["title", "doc", "docs"], "order": ["id"]}}},
        )
        assert [book["doc"] for book in found[0]["book"]] == documents
        assert [book["docs"][0] for book in found[0]["book"]] == documents
        assert [book["title"] for book in found[0]["book"]] == [row["title"] for row in rows]
        deeper = {"shelf": {"include": {"book": {"columns": ["doc"], "order": ["id"]}}}}
        row = await client.call(f"{prefix}.book.get", [0], {"include": deeper})
        assert [book["doc"] for book in row["shelf"]["book"]] == documents
    assert component.link.session is session


async def test_a_json_null_within_an_included_row_is_null(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    database.execute(
        *TABLES,
        "insert into book (id, shelf, doc) values (1, 1, 'null'), (2, 1, null), (3, 1, '\"null\"')",
    )
    await serve()
    client = await connect()
    include = {"book": {"columns": ["doc"], "order": ["id"]}}
    (shelf,) = await client.call(f"{prefix}.shelf.select", [], {"include": include})
    assert shelf["book"] == [{"doc": None}, {"doc": None}, {"doc": "null"}]
