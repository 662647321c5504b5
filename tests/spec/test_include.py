"""``include``: related rows of every kind, at any depth, in one statement."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk

NAME = {"columns": ["name"]}
NAMES = {"columns": ["name"], "order": ["name"]}
TITLE = {"columns": ["title"]}
TITLES = {"columns": ["title"], "order": ["title"]}
ADA, BOB, CYD, DAN = ({"name": name} for name in ("Ada", "Bob", "Cyd", "Dan"))
LIONS, BEARS, OWLS = ({"title": title} for title in ("Lions", "Bears", "Owls"))


def one(table: str, key: int, include: Any, expected: dict[str, Any], **more: Any) -> Case:
    """The row with a key, without columns of its own."""
    name = {"account": "number", "passport": "person"}.get(table, "id")
    kwargs = {"where": {name: key}, "columns": [], "include": include, **more}
    return Case(f"{table}.select", kwargs, [expected])


def each(table: str, include: Any, expected: list[dict[str, Any]], **more: Any) -> Case:
    """The keys and related rows of all rows, in the order of their keys."""
    kwargs = {"columns": ["id"], "order": ["id"], "include": include, **more}
    return Case(f"{table}.select", kwargs, expected)


CASES = [
    # Many-to-one: by relation, column, constraint; with and without an alias.
    one("item", 1, {"person": NAME}, {"person": ADA}),
    one("item", 3, {"person": NAME}, {"person": None}),
    one("item", 1, {"owner": NAME}, {"owner": ADA}),
    one("item", 1, {"o:owner": NAME}, {"o": ADA}),
    one("item", 1, {"item_owner_fkey": NAME}, {"item_owner_fkey": ADA}),
    one("item", 1, {"x_y:person!owner": NAME}, {"x_y": ADA}),
    one("item", 1, {"public.person": NAME}, {"person": ADA}),
    one("item", 1, {"person": {"columns": ["initial", "z:home->zip", "born::text"]}},
        {"person": {"initial": "A", "z": 1000, "born": "1990-01-01"}}),
    one("item", 1, {"person": {"columns": ["name"], "where": {"name": "Bob"}}}, {"person": None}),
    one("item", 1, {"adult": {"columns": ["full_name"]}}, {"adult": {"full_name": "Ada"}}),
    one("item", 1, {"owner!adult_name": {"columns": ["full_name"]}},
        {"owner": {"full_name": "Ada"}}),
    Case("item.select", {"where": {"id": 1}, "columns": ["id", "owner"],
        "include": {"o:owner": NAME}},
         [{"id": 1, "owner": 1, "o": ADA}]),
    Case("passport.select", {"where": {"person": 1}, "include": {"person": NAME}},
         [{"person": ADA, "number": "P1", "pages": 32}]),
    Case("passport.select", {"where": {"person": 1}, "include": {"p:person": NAME}},
         [{"person": 1, "p": ADA, "number": "P1", "pages": 32}]),
    # The short spellings.
    Case("passport.get", {"key": 2, "columns": ["number"], "include": ["person"]},
         {"number": "P2", "person": {
             "id": 2, "name": "Bob", "born": "1985-05-05", "boss": 1, "mentor": 1,
             "home": {"street": "Low", "zip": None}, "mood": "sad", "nick": "b"}}),
    Case("game.get", {"key": 3, "columns": ["id"], "include": "game_home"},
         {"id": 3, "game_home": {"country": "DE", "code": 2, "title": "Bears", "founded": None}}),
    Case("game.get", {"key": 3, "columns": ["id"], "include": {"game_away": True}},
         {"id": 3, "game_away": None}),
    Case("game.get", {"key": 3, "columns": ["id"], "include": {"game_away": None}},
         {"id": 3, "game_away": None}),
    # One-to-many.
    one("person", 1, {"item": {"columns": ["id"], "order": ["id"]}}, {"item": [{"id": 1},
        {"id": 2}]}),
    one("person", 3, {"item": {"columns": ["id"]}}, {"item": []}),
    one("person", 1, {"member": {"columns": ["country", "role"], "order": ["since.desc"]}},
        {"member": [{"country": "FR", "role": None}, {"country": "DE", "role": "keeper"}]}),
    one("person", 1, {"item": {"columns": ["id"], "order": ["amount.desc"], "limit": 1}},
        {"item": [{"id": 2}]}),
    one("person", 1, {"item": {"columns": ["id"], "order": ["id"], "offset": 1}},
        {"item": [{"id": 2}]}),
    one("person", 1, {"item": {"columns": ["id"], "limit": 0}}, {"item": []}),
    one("person", 1, {"item": {"columns": ["id"], "where": {"flag": True}}}, {"item": [{"id": 1}]}),
    one("person", 1, {"item": {"columns": ["id"], "order": ["person(name)", "id.desc"]}},
        {"item": [{"id": 2}, {"id": 1}]}),
    one("person", 1, {"a:item": {"columns": ["id"], "where": {"flag": True}},
                      "b:item": {"columns": ["id"], "where": {"flag": False}}},
        {"a": [{"id": 1}], "b": [{"id": 2}]}),
    # One-to-one, from both sides.
    one("person", 1, {"passport": {"columns": ["number"]}}, {"passport": {"number": "P1"}}),
    one("person", 3, {"passport": {}}, {"passport": None}),
    one("passport", 1, {"person": NAME}, {"person": ADA}),
    # Composite keys, and two of them to the same table.
    one("game", 1, {"home:team!game_home": TITLE, "away:team!game_away": TITLE},
        {"home": LIONS, "away": OWLS}),
    one("game", 3, {"game_home": TITLE, "game_away": TITLE}, {"game_home": BEARS,
        "game_away": None}),
    Case("team.select", {"columns": ["title"], "where": {"title": "Lions"}, "include": {
        "home:game!game_home": {"columns": ["id"]}, "away:game!game_away": {"columns": ["id"]}}},
         [{"title": "Lions", "home": [{"id": 1}], "away": [{"id": 2}]}]),
    Case("member.select", {"where": {"role": "wing"}, "columns": ["role"],
                           "include": {"team": TITLE, "person": NAME}},
         [{"role": "wing", "team": OWLS, "person": CYD}]),
    # Many-to-many.
    one("person", 1, {"team!member": TITLES}, {"team": [LIONS, OWLS]}),
    one("person", 2, {"teams:team!coach": TITLES}, {"teams": [LIONS]}),
    one("person", 4, {"team!member": TITLES, "coached:team!coach": TITLES},
        {"team": [], "coached": [BEARS]}),
    one("person", 1, {"team!member": {"columns": ["title"], "order": ["founded.desc"], "limit": 1}},
        {"team": [OWLS]}),
    Case("team.select", {"columns": ["title"], "order": ["title"],
                         "include": {"person!member": NAMES}},
         [{"title": "Bears", "person": []}, {"title": "Lions", "person": [ADA, BOB]},
          {"title": "Owls", "person": [ADA, CYD]}]),
    # A foreign key comes before a junction; the junction has to be named.
    Case("product.select", {"columns": ["sku"], "where": {"sku": "s1"}, "include": {
        "maker:person": {"columns": ["name"]}, "raters:person!rating": NAMES}},
         [{"sku": "s1", "maker": ADA, "raters": [BOB, CYD]}]),
    Case("order.select", {"columns": ["id", "t:twice"], "order": ["next(twice).desc", "id"],
                          "include": {"next": {"columns": ["order", "Total %s"]}}},
         [{"id": 2, "t": 12, "next": None},
          {"id": 1, "t": 10, "next": {"order": "b", "Total %s": 6}}]),
    # Self references, both ways and through a junction.
    one("person", 2, {"boss": NAME, "mentor": NAME}, {"boss": ADA, "mentor": ADA}),
    one("person", 1, {"boss": NAME}, {"boss": None}),
    one("person", 1, {"person!boss": NAMES}, {"person": [BOB, CYD]}),
    one("person", 1, {"led:person!boss": NAMES, "taught:person!mentor": NAMES},
        {"led": [BOB, CYD], "taught": [BOB]}),
    one("person", 1, {"person!friend_b_fkey": NAMES}, {"person": [BOB, CYD]}),
    one("person", 3, {"person!friend_a_fkey": NAMES}, {"person": [ADA, BOB]}),
    one("person", 3, {"person!b": NAMES}, {"person": []}),
    one("person", 4, {"boss": {"columns": ["name"], "include": {"boss": NAME}}},
        {"boss": {"name": "Bob", "boss": ADA}}),
    Case("person.select", {"columns": ["id"], "where": {"id": 4}, "include": {
        "up:boss": {"columns": ["name"], "include": {"down:person!boss": NAMES}}}},
         [{"id": 4, "up": {"name": "Bob", "down": [DAN]}}]),
    # Views: simple, of a view, of tables that are not exposed.
    one("adult", 1, {"passport": {"columns": ["number"]}}, {"passport": {"number": "P1"}}),
    one("adult", 2, {"boss": NAME}, {"boss": ADA}),
    one("adult", 2, {"boss!adult": {"columns": ["full_name"]}}, {"boss": {"full_name": "Ada"}}),
    one("adult", 1, {"adult!boss": {"columns": ["full_name"]}}, {"adult": [{"full_name": "Bob"}]}),
    one("adult_name", 1, {"item": {"columns": ["id"], "order": "id"}}, {"item": [{"id": 1},
        {"id": 2}]}),
    one("person", 1, {"adult!boss": {"columns": ["full_name"]}}, {"adult": [{"full_name": "Bob"}]}),
    one("person", 2, {"boss!adult": {"columns": ["full_name"]}}, {"boss": {"full_name": "Ada"}}),
    one("account", 10, {"entry": {"columns": ["amount"], "order": ["amount"]}},
        {"entry": [{"amount": "1.50"}, {"amount": "2.00"}]}),
    one("entry", 3, {"account": {"columns": ["number"], "include": {"person": NAME}}},
        {"account": {"number": 20, "person": BOB}}),
    one("entry", 3, {"account_number": {"columns": ["number"]}},
        {"account_number": {"number": 20}}),
    one("person", 1, {"account": {"columns": ["number"]}}, {"account": [{"number": 10}]}),
    Case("roster.select", {"columns": ["role"], "where": {"name": "Bob"},
                           "include": {"passport": {"columns": ["number"]}}},
         [{"role": "back", "passport": {"number": "P2"}}]),
    one("person", 2, {"boss!roster": {"columns": ["role"], "order": ["role"]}},
        {"boss": {"role": "keeper"}}),
    one("person", 2, {"boss!roster": {"columns": ["role"], "order": ["role"], "limit": 2}},
        {"boss": {"role": "keeper"}}),
    one("person", 2, {"boss!roster": {"columns": ["role"], "order": ["role"], "offset": 1}},
        {"boss": {"role": None}}),
    # Functions of a row: SETOF, ROWS 1, one row, NULL in place of one.
    one("person", 3, {"fans": NAMES}, {"fans": [ADA, BOB]}),
    one("person", 1, {"fans": NAMES}, {"fans": []}),
    one("person", 3, {"fans": {"columns": ["name"], "where": {"boss": None}}}, {"fans": [ADA]}),
    one("person", 4, {"chief": NAME}, {"chief": ADA}),
    one("person", 1, {"chief": NAME}, {"chief": None}),
    one("person", 2, {"idol": NAME}, {"idol": ADA}),
    one("person", 4, {"idol": NAME}, {"idol": None}),
    one("person", 3, {"i:idol": {"columns": ["id"], "include": {"idol": {
        "columns": ["initial"], "include": {"passport": {"columns": ["number"]}}}}}},
        {"i": {"id": 2, "idol": {"initial": "A", "passport": {"number": "P1"}}}}),
    # Filters, orders and limits at three levels.
    Case("team.select", {
        "where": {"country": "DE"}, "columns": ["title"], "order": ["code.desc"], "include": {
            "person!member": {"columns": ["name"], "where": {"born": {"not": None}},
                              "order": ["name.desc"], "include": {
                "item": {"columns": ["title"], "order": ["title.desc"], "limit": 1, "include": {
                    "wide": {"columns": ["count()"]}}}}}}},
         [{"title": "Bears", "person": []},
          {"title": "Lions", "person": [
              {"name": "Bob", "item": [{"title": "apple", "wide": [{"count": 0}]}]},
              {"name": "Ada", "item": [{"title": "banana", "wide": [{"count": 0}]}]}]}]),
    # Aggregates inside.
    one("person", 1, {"item": {"columns": ["count()", "amount.sum()"]}},
        {"item": [{"count": 2, "sum": "21.50"}]}),
    one("person", 3, {"item": {"columns": ["n:count()"]}}, {"item": [{"n": 0}]}),
    one("person", 1, {"item": {"columns": ["flag", "count()"], "order": ["flag"]}},
        {"item": [{"flag": False, "count": 1}, {"flag": True, "count": 1}]}),
    one("person", 1, {"item": {"columns": ["r:ratio.max()", "a:amount.avg()::float8"]}},
        {"item": [{"r": "NaN", "a": 10.75}]}),
    # inner: parents without a match are left out, also further up.
    each("item", {"person": {"columns": ["name"], "inner": True}},
         [{"id": 1, "person": ADA}, {"id": 2, "person": ADA}, {"id": 4, "person": BOB}]),
    each("item", {"person": {"columns": ["name"], "inner": True, "where": {"name": "Bob"}}},
         [{"id": 4, "person": BOB}]),
    each("item", {"person": {"columns": ["name"], "inner": False, "where": {"name": "Bob"}}},
         [{"id": 1, "person": None}, {"id": 2, "person": None}, {"id": 3, "person": None},
          {"id": 4, "person": BOB}, {"id": 5, "person": None}]),
    each("item", {"person": {"columns": [], "inner": True, "include": {
        "passport": {"columns": ["number"], "inner": True, "where": {"number": "P2"}}}}},
         [{"id": 4, "person": {"passport": {"number": "P2"}}}]),
    each("item", {"person": {"columns": ["name"], "include": {
        "passport": {"columns": ["number"], "inner": True, "where": {"number": "P2"}}}}},
         [{"id": 1, "person": None}, {"id": 2, "person": None}, {"id": 3, "person": None},
          {"id": 4, "person": {"name": "Bob", "passport": {"number": "P2"}}},
          {"id": 5, "person": None}]),
    each("person", {"team!coach": {"columns": ["title"], "inner": True}},
         [{"id": 2, "team": [LIONS]}, {"id": 4, "team": [BEARS]}]),
    each("person", {"fans": {"columns": ["name"], "inner": True, "order": ["name"]}},
         [{"id": 2, "fans": [ADA]}, {"id": 3, "fans": [ADA, BOB]}]),
    each("person", {"idol": {"columns": ["name"], "inner": True}},
         [{"id": 2, "idol": ADA}, {"id": 3, "idol": BOB}]),
    each("person", {"item": {"columns": ["id"], "inner": True, "order": ["id"], "limit": 1}},
         [{"id": 1, "item": [{"id": 1}]}, {"id": 2, "item": [{"id": 4}]}]),
    # spread: into the parent, through two levels, with and without a match.
    Case("passport.select", {"where": {"person": 1}, "columns": ["number"],
                             "include": {"person": {"columns": ["name", "nick"], "spread": True}}},
         [{"number": "P1", "name": "Ada", "nick": "a"}]),
    each("item", {"person": {"columns": ["name"], "spread": True}},
         [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Ada"}, {"id": 3, "name": None},
          {"id": 4, "name": "Bob"}, {"id": 5, "name": None}]),
    each("item", {"person": {"columns": ["name"], "spread": True, "inner": True}},
         [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Ada"}, {"id": 4, "name": "Bob"}]),
    each("item", {"person": {"columns": ["name"], "spread": True, "include": {
        "passport": {"columns": ["pass:number"], "spread": True}}}},
         [{"id": 1, "name": "Ada", "pass": "P1"}, {"id": 2, "name": "Ada", "pass": "P1"},
          {"id": 3, "name": None, "pass": None}, {"id": 4, "name": "Bob", "pass": "P2"},
          {"id": 5, "name": None, "pass": None}]),
    each("item", {"person": {"columns": ["name"], "spread": True, "include": {
        "passport": {"columns": ["number"]}, "item": {"columns": ["count()"]}}}},
         [{"id": 4, "name": "Bob", "passport": {"number": "P2"}, "item": [{"count": 1}]}],
         where={"id": 4}),
    each("item", {"person": {"columns": [], "include": {
        "passport": {"columns": ["number", "pages"], "spread": True}}}},
         [{"id": 1, "person": {"number": "P1", "pages": 32}}], where={"id": 1}),
    Case("game.select", {"columns": ["id"], "order": ["id"], "include": {
        "h:team!game_home": {"columns": ["home:title"], "spread": True},
        "a:team!game_away": {"columns": ["away:title"], "spread": True}}},
         [{"id": 1, "home": "Lions", "away": "Owls"}, {"id": 2, "home": "Owls", "away": "Lions"},
          {"id": 3, "home": "Bears", "away": None}]),
    # With pages and counts.
    Case("item.select", {"columns": ["id"], "order": ["person(name).desc.nullslast", "id"],
                         "limit": 1, "count": "exact",
                         "include": {"person": {"columns": ["name"], "inner": True}}},
         [{"id": 4, "person": BOB}], also={"count": 3}),
    # On the rows of functions.
    Case("people", {"first": 3, "columns": ["name"], "order": ["name"],
                    "include": {"boss": NAME, "item": {"columns": ["count()"]}}},
         [{"name": "Cyd", "boss": ADA, "item": [{"count": 0}]},
          {"name": "Dan", "boss": BOB, "item": [{"count": 0}]}]),
    Case("people", {"columns": ["name"], "include": {"passport": {"columns": ["number"],
                    "inner": True, "where": {"number": "P2"}}}, "count": True},
         [{"name": "Bob", "passport": {"number": "P2"}}], also={"count": 1}),
    Case("people", {"where": {"team!coach": {"title": "Bears"}}, "columns": ["initial"]},
         [{"initial": "D"}]),
    Case("somebody", {"wanted": 1, "columns": ["name"],
                      "include": {"passport": {"columns": ["number"]}}},
         {"name": "Ada", "passport": {"number": "P1"}}),
]  # fmt: skip
DEEP: dict[str, Any] = {}
for _ in range(11):
    DEEP = {"boss": {"include": DEEP}}
REFUSALS: list[tuple[str, Any, str, str]] = [
    ("item", {"persn": {}}, "include.persn", 'did you mean "person"?'),
    ("item", {"zzz": {}}, "include.zzz", "allowed: adult, adult_name, person, roster, wide"),
    ("item", {"title": {}}, "include.title", 'no relationship "title" of item'),
    ("item", {"team": {}}, "include.team", "no relationship"),
    ("item", {"person!nope": {}}, "include.person!nope", 'none has the hint "nope"'),
    ("item", {"": {}}, "include.", "expected a key"),
    ("item", {"!": {}}, "include.!", "expected a key"),
    ("item", {'a"b:person': {}}, 'include.a"b:person', "an alias is letters"),
    ("item", {"person": {}, "x:person": {}, "person!owner": {}}, "include.person!owner", "twice"),
    ("item", {"person": 5}, "include.person", "expected a dict"),
    ("item", {"person": False}, "include.person", "expected a dict"),
    ("item", {"person": {"select": ["id"]}}, "include.person.select", "unknown argument"),
    ("item", {"person": {"colums": ["id"]}}, "include.person.colums", 'did you mean "columns"'),
    ("item", {"person": {"columns": ["nme"]}}, "include.person.columns[0]", 'mean "name"'),
    ("item", {"person": {"columns": []}}, "include.person.columns", "at least one"),
    ("item", {"person": {"where": {"nme": 1}}}, "include.person.where.nme", 'mean "name"'),
    ("item", {"person": {"where": {"id": "x"}}}, "include.person.where.id", "integer"),
    ("item", {"person": {"order": ["nme"]}}, "include.person.order[0]", 'mean "name"'),
    ("item", {"person": {"limit": -1}}, "include.person.limit", "at least 0"),
    ("item", {"person": {"offset": "1"}}, "include.person.offset", "whole number"),
    ("item", {"person": {"inner": 1}}, "include.person.inner", "true or false"),
    ("item", {"person": {"spread": "yes"}}, "include.person.spread", "true or false"),
    ("item", {"person": {"after": None}}, "include.person.after", "unknown argument"),
    ("item", {"person": {"include": {"x": {}}}}, "include.person.include.x", "no relationship"),
    ("item", {"person": {"include": 5}}, "include.person.include", "expected a dict"),
    ("item", {"person": {"include": {"item": {"spread": True}}}},
     "include.person.include.item.spread", "single related row"),
    ("item", 5, "include", "expected a dict"),
    ("item", [1], "include", "expected a dict"),
    ("item", {"wide": {"spread": True}}, "include.wide.spread", "single related row"),
    ("person", DEEP, "include" + ".boss.include" * 10, "nested deeper"),
]  # fmt: skip
REFUSED = [
    *(
        Refusal(f"{table}.select", {"include": include, "columns": ["id"]}, argument, says)
        for table, include, argument, says in REFUSALS
    ),
    Refusal("item.select", {"include": {"person": {"spread": True}}}, "columns", '"id" would be'),
    Refusal("item.select", {"columns": ["id"], "include": {"person": {"columns": ["id"],
            "spread": True}}}, "columns", '"id" would be there twice'),
    Refusal("item.select", {"columns": ["person:id"], "include": {"person": {}}}, "columns",
        "twice"),
    Refusal("person.select", {"include": {"item": {"columns": ["count()"],
        "include": {"wide": {}}}}},
            "include.item.include.wide", "add to columns the foreign key's"),
    Refusal("person.select", {"columns": ["id", "boss"], "include": {"boss": {}}}, "columns",
        "twice"),
    Refusal("add", {"a": 1, "include": {"person": {}}}, "include", "unknown argument"),
    Refusal("numbers", {"n": 1, "include": {"person": {}}}, "include.person", "no relationship"),
]  # fmt: skip
#: Relations, and which others their names could mean in more than one way.
AMBIGUOUS: dict[str, set[str]] = {
    "person": {"person", "team", "adult", "adult_name", "roster", "friend"},
    "adult": {"person", "adult", "team", "friend"},
    "adult_name": {"person", "adult_name", "roster", "team", "friend"},
    "team": {"person", "adult", "adult_name", "game", "roster"},
    "roster": {"person", "adult_name", "roster", "team", "friend"},
    "game": {"team"},
    "item": set(), "passport": set(), "member": set(), "coach": set(), "account": set(),
    "entry": set(), "stock": set(), "wide": set(),
    # It is a column of stock and of rating.
    "product": {"product"}, "cheap": {"product"},
    "friend": {"person", "adult", "adult_name", "roster"},
    "rating": set(),
}  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *REFUSED], ids=named)
def test_related_rows(desk: Desk, case: Case | Refusal) -> None:
    desk.check(case)
    assert len(desk.statements) == isinstance(case, Case)


def _candidates(desk: Desk, table: str, key: str) -> list[str]:
    """What the error about an ambiguous key lists; none when it is not ambiguous."""
    try:
        desk.call(f"{table}.select", include={f"x:{key}": {}})
    except CallError as error:
        known = error.message.partition("more than one relationship fits; say which: ")[2]
        return known.split(", ") if known else []
    return []


@pytest.mark.parametrize("table", AMBIGUOUS)
def test_each_candidate_of_an_ambiguous_key_works_as_it_is_spelled(desk: Desk, table: str) -> None:
    ambiguous = set()
    for key in AMBIGUOUS:
        candidates = _candidates(desk, table, key)
        if candidates:
            ambiguous.add(key)
            assert len(candidates) == len(set(candidates)) > 1
        for candidate in candidates:
            assert desk.call(f"{table}.select", include={f"x:{candidate}": {}})
    assert ambiguous == AMBIGUOUS[table]


def test_a_key_with_nothing_to_choose_from_says_so(desk: Desk) -> None:
    with pytest.raises(CallError, match="it has none"):
        desk.call("log.select", include={"person": {}})
