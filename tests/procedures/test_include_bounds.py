"""Lists of related rows: each has its bound, and lists in lists stay within a message."""

from __future__ import annotations

from typing import Any

from tests.procedures.conftest import Start

TABLES = (
    "create table author (id int primary key)",
    "create table book (id int primary key, author_id int references author)",
    "insert into author values (1)",
    "insert into book select n, 1 from generate_series(1, 900) as n",
)


def back_and_forth(levels: int) -> dict[str, Any]:
    """An include from an author to its books, to their author, and so on."""
    include: dict[str, Any] = {}
    for level in range(levels, 0, -1):
        include = {"book" if level % 2 else "author": {"include": include}}
    return include


async def test_lists_in_lists_end_with_an_error_and_not_with_the_memory(api: Start) -> None:
    call = await api(*TABLES, limits={"max_bytes": 1_000_000})
    shallow = await call("author.select", include=back_and_forth(2))
    assert len(shallow[0]["book"]) == 900
    for levels in (3, 5, 7, 9):
        error = await call.fails(
            "wamp.error.payload_size_exceeded", "author.select", include=back_and_forth(levels)
        )
        assert error.message.startswith("include: ")
    # The connection is as good as before.
    assert await call("book.count") == 900


async def test_each_level_has_at_most_max_rows(api: Start) -> None:
    call = await api(*TABLES, limits={"max_rows": 899})
    error = await call.fails("pgwamp.error.too_many_rows", "author.select", include={"book": {}})
    assert error.message == "include.book: more than 899 rows (limits.max_rows); give it a limit"
    found = await call("author.select", include={"book": {"limit": 899, "order": ["id"]}})
    assert len(found[0]["book"]) == 899
    error = await call.fails(
        "pgwamp.error.too_many_rows", "author.select", include={"book": {"limit": 5000}}
    )


async def test_what_a_write_returns_has_the_same_bounds(api: Start) -> None:
    call = await api(*TABLES, limits={"max_bytes": 1_000_000})
    await call.fails(
        "wamp.error.payload_size_exceeded",
        "author.update",
        {"id": 1},
        {"id": 1},
        include=back_and_forth(5),
    )


async def test_an_answer_that_is_too_large_is_stopped_while_it_arrives(api: Start) -> None:
    call = await api(
        "create function wide() returns setof text language sql stable as "
        "$$ select repeat('x', 1000000) from generate_series(1, 900) $$",
        limits={"max_bytes": 1_000_000},
    )
    await call.fails("wamp.error.payload_size_exceeded", "wide")
    await call.fails("wamp.error.payload_size_exceeded", "wide")


async def test_related_rows_have_a_bound_of_parts_in_all(api: Start) -> None:
    call = await api(*TABLES, "alter table book add j jsonb default '[1]'")
    wide = {"columns": [f"a{n}:j" for n in range(120)]}
    error = await call.fails(
        "wamp.error.payload_size_exceeded", "author.select", include={"book": wide}
    )
    assert error.message.startswith("include.book: related rows of more than 200000 parts")
    assert error.message.endswith("give limits, or fewer columns")
    # All rows of an answer count together, and each list in a list.
    for include in (
        {"author": {"include": {"book": {**wide, "limit": 2}}}},
        {"author": {"columns": [], "include": {"book": {"columns": ["a:j"], "limit": 100}}}},
    ):
        await call.fails(
            "wamp.error.payload_size_exceeded", "book.select", {}, ["id"], include=include
        )
    few = await call("author.select", include={"book": {**wide, "limit": 500}})
    assert [len(row["book"]) for row in few] == [500]
    assert few[0]["book"][0]["a119"] == [1]
