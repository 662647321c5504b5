"""``after`` and ``next``: pages by keyset, in every order, while rows come and go."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.spec.cases import Refusal, named
from tests.spec.conftest import Desk

#: Orders of ``item``; the key is added to those that do not hold it.
ITEM_ORDERS: list[list[str]] = [
    [], ["id"], ["id.desc"],
    ["title"], ["title.desc"], ["title", "id.desc"],
    ["amount"], ["amount.desc"], ["amount.nullsfirst"], ["amount.desc.nullslast"],
    ["amount.nullsfirst", "id.desc"], ["amount.desc", "title", "id.desc"],
    ["at"], ["at.desc.nullslast"], ["at", "amount.desc"],
    ["uid"], ["uid.desc"], ["ratio"], ["ratio.desc.nullslast"],
    ["flag"], ["flag.desc", "mood.desc.nullslast"], ["mood"], ["flag.nullsfirst", "title.desc"],
    ["tags"], ["tags.desc.nullslast"], ["grid.desc"], ["data"], ["data.desc"], ["home"],
    ["home.desc.nullslast"], ["span"], ["cost.desc"], ["paint"], ["paint.desc.nullslast"],
    ["data->a"], ["data->>a.desc"], ["data->b->>c.desc.nullslast"], ["home->zip"], ["tags->0.desc"],
    ["amount::integer"], ["title::varchar(1).desc"],
    ["owner"], ["person(name)"], ["person(name).desc"], ["person(born).desc.nullslast", "title"],
    ["person(initial)", "amount.desc"], ["owner(home->zip).nullsfirst"], ["person(home).desc"],
]  # fmt: skip
#: Other relations and orders.
ORDERS: list[tuple[str, list[str]]] = [
    ("person", ["initial"]), ("person", ["friends.desc", "born.nullsfirst"]),
    ("person", ["boss", "mentor.desc"]), ("person", ["chief(name).desc"]),
    ("person", ["idol(name)"]),
    ("team", []), ("team", ["founded.desc"]), ("team", ["country.desc", "code"]),
    ("member", ["role"]), ("member", ["since.nullsfirst", "role.desc"]),
    ("member", ["team(title)", "person(name).desc"]), ("adult", ["born"]), ("adult_name", []),
    ("account", ["owner.desc"]), ("entry", ["account(owner)"]), ("passport", ["person(name).desc"]),
    ("wide", ["d"]), ("wide", ["r.desc"]), ("wide", ["n.nullsfirst"]), ("wide", ["zstamp"]),
    ("wide", ["stamp.desc"]), ("wide", ["day"]), ("wide", ["gap.desc"]), ("wide", ["b"]),
    ("wide", ["c"]), ("wide", ["big.desc.nullslast"]), ("wide", ["o"]), ("wide", ["clock"]),
    ("wide", ["zclock.desc"]), ("wide", ["ip"]), ("wide", ["bits"]), ("wide", ["floats"]),
    ("wide", ["texts.desc"]), ("wide", ["bytes"]), ("wide", ["homes"]), ("wide", ["period"]),
    ("wide", ["money"]), ("wide", ["v", "t.desc"]), ("wide", ["spans"]), ("wide", ["moods.desc"]),
]  # fmt: skip
WALKS = [*(("item", order) for order in ITEM_ORDERS), *ORDERS]


def walk(desk: Desk, table: str, limit: int, **request: Any) -> list[list[dict[str, Any]]]:
    """The pages of a relation, from the first to the last."""
    pages, after = [], None
    for _ in range(20):
        rows, also = desk.call(f"{table}.select", limit=limit, after=after, **request)
        pages.append(rows)
        after = also["next"]
        if after is None:
            return pages
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize(("table", "order"), WALKS, ids=lambda v: v if v else "unordered")
def test_pages_together_are_the_whole_list(
    desk: Desk, table: str, order: list[str], limit: int
) -> None:
    pages = walk(desk, table, limit, order=order)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert all(len(page) <= limit for page in pages)
    together = [row for page in pages for row in page]
    whole = desk.call(f"{table}.select", order=order)
    key = {"team": ["country", "code"], "member": ["person", "country", "code"]}.get(table, [])
    # Equals are ordered by the key, in the direction of the last term.
    last = order[-1] if order else ""
    suffix = ".desc" if ".desc" in last else ""
    keys = key or [{"account": "number", "passport": "person"}.get(table, "id")]
    given = {term.partition(".")[0] for term in order}
    completed = [*order, *(f"{name}{suffix}" for name in keys if name not in given)]
    assert together == desk.call(f"{table}.select", order=completed)
    assert len(together) == len(whole)


def test_a_page_has_the_columns_and_rows_that_are_asked_for(desk: Desk) -> None:
    request = {
        "columns": ["title"],
        "where": {"owner": {"not": None}},
        "order": ["amount.desc"],
        "include": {"person": {"columns": ["name"]}},
    }
    assert walk(desk, "item", 2, **request) == [
        [
            {"title": "banana", "person": {"name": "Ada"}},
            {"title": "apple", "person": {"name": "Bob"}},
        ],
        [{"title": "Apple pie", "person": {"name": "Ada"}}],
    ]


def test_a_full_last_page_is_followed_by_an_empty_one_or_none(desk: Desk) -> None:
    pages = walk(desk, "item", 5)
    assert [len(page) for page in pages] in ([5], [5, 0])


def test_an_order_by_an_alias_makes_pages_too(desk: Desk) -> None:
    request = {"columns": ["id", "x:amount", "k:data->>a"], "order": ["k.desc.nullslast", "x"]}
    pages = walk(desk, "item", 2, **request)
    assert [row["id"] for page in pages for row in page] == [2, 1, 5, 4, 3]
    assert [len(page) for page in pages] == [2, 2, 1]


def test_the_count_is_of_all_pages(desk: Desk) -> None:
    rows, also = desk.call("item.select", limit=2, after=None, count="exact", columns=["id"])
    assert (len(rows), also["count"]) == (2, 5)
    rows, also = desk.call("item.select", limit=2, after=also["next"], count="exact")
    assert ([row["id"] for row in rows], also["count"]) == ([3, 4], 5)


def test_an_offset_counts_from_the_cursor(desk: Desk) -> None:
    _, also = desk.call("item.select", limit=1, after="")
    rows, _ = desk.call("item.select", limit=2, after=also["next"], offset=1, columns=["id"])
    assert rows == [{"id": 3}, {"id": 4}]


def test_no_limit_makes_a_page_of_what_may_be_answered(desk: Desk) -> None:
    rows, also = desk.call("item.select", after=None, columns=["id"])
    assert (len(rows), also) == (5, {"next": None})


@pytest.mark.parametrize("order", [["amount"], ["title.desc"], ["flag.nullsfirst", "at.desc"]])
def test_rows_that_stay_are_neither_lost_nor_repeated(desk: Desk, sql: Any, order: Any) -> None:
    sql("insert into item (id, title) select i, 'same' from generate_series(10, 40) as i")
    try:
        seen: list[int] = []
        after = None
        for turn in range(1, 40):
            rows, also = desk.call("item.select", limit=4, after=after, order=order, columns=["id"])
            seen += [row["id"] for row in rows]
            after = also["next"]
            if after is None:
                break
            # Before, behind and on the place of the cursor.
            sql(f"insert into item (id, title, amount) values ({-turn}, 'A', {turn % 3})")
            sql(f"insert into item (id, title) values ({100 + turn}, 'same')")
            sql(f"delete from item where id = {seen[-1]} and id >= 10")
        assert after is None
        stayed = {row[0] for row in sql("select id from item where id between 1 and 40")}
        assert len(stayed) < 36
        assert len(seen) == len(set(seen))
        assert stayed <= set(seen)
    finally:
        sql("delete from item where id not between 1 and 5")


def cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


NO_CURSOR = "pass on what next held"
REFUSED = [
    *(
        Refusal("item.select", {"after": text}, "after", NO_CURSOR)
        for text in (
            5, True, [], {}, "x", "=", "====", "ü", "'; drop table item; --", "\x00", cursor(),
            cursor(None), cursor("1"), cursor(1.5, "1"), base64.b64encode(b"\xff\xfe").decode(),
            base64.b64encode(b"{}").decode(), "A" * 3000, base64.b64encode(b"[" * 5000).decode(),
        )
    ),
    Refusal("item.select", {"after": cursor(1, "1")}, "after", "another relation or order"),
    Refusal("log.select", {"after": None}, "after", "no primary key"),
    Refusal("roster.select", {"after": None}, "after", "no primary key"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_what_is_no_cursor_is_refused(desk: Desk, case: Refusal) -> None:
    desk.check(case)


@pytest.mark.parametrize(
    ("table", "order", "others"),
    [
        ("item", ["title"], [["title.desc"], ["amount"], ["title", "amount"], []]),
        ("item", ["amount"], [["amount.nullsfirst"], ["amount::text"], ["amount::integer"]]),
        ("item", ["data->>a"], [["data->>b"], ["data->a"], ["raw->>a"], ['data->>"0"']]),
        ("item", ["data->0"], [['data->"0"'], ["data->1"], ["data"]]),
        ("item", ["home->zip"], [["home->street"], ["home->>zip"]]),
        ("item", ["tags->0"], [["tags->1"]]),
        ("item", ["owner(name)"], [["owner(nick)"], ["title"]]),
        ("person", ["chief(name)"], [["idol(name)"], ["boss(name)"]]),
        ("person", ["boss(name)"], [["mentor(name)"]]),
    ],
)
def test_a_cursor_is_good_for_its_own_order_only(
    desk: Desk, table: str, order: list[str], others: list[list[str]]
) -> None:
    _, also = desk.call(f"{table}.select", order=order, after=None, limit=1)
    for other in others:
        with pytest.raises(CallError, match="another relation or order"):
            desk.call(f"{table}.select", order=other, after=also["next"])
    # What else is asked for is no part of the order.
    where = {"or": [{"id": {"gt": 0}}, {"id": -1}]}
    desk.call(f"{table}.select", where=where, order=order, after=also["next"], columns=["id"])
    with pytest.raises(CallError, match="another relation or order"):
        desk.call("team.select", after=also["next"])


@pytest.mark.parametrize("value", ["x", "1' or '1'='1", 1, [], {"a": 1}, "a\x00", "9" * 30, True])
def test_a_forged_value_in_a_cursor_is_only_a_value(desk: Desk, value: Any) -> None:
    _, also = desk.call("item.select", after=None, limit=1)
    made = json.loads(base64.urlsafe_b64decode(also["next"] + "=="))
    with pytest.raises(CallError) as caught:
        desk.call("item.select", after=cursor(made[0], value))
    assert caught.value.uri in ("wamp.error.invalid_argument",
                                "pgwamp.error.numeric_value_out_of_range")  # fmt: skip
    assert desk.call("item.count") == 5
