"""``insert``, ``update``, ``upsert`` and ``delete``: what they change, answer and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from pgwamp.errors import CallError
from tests.spec.cases import Case, Refusal, named
from tests.spec.conftest import Desk

PEN = {
    "id": 100, "sku": "s1", "vendor": "v", "code": 1, "title": "pen", "qty": 5, "doubled": 10,
    "paint": None, "cost": None, "tags": None, "data": None, "home": None, "maker": 1,
}  # fmt: skip
SKU = {"returning": ["sku"]}
NONE = [{"sku": None}]
A1, A2, B1 = ({"shelf": s, "product": p, "qty": q} for s, p, q in (("a", 100, 1), ("a", 101, 2),
                                                                    ("b", 100, 3)))  # fmt: skip
ADA, BOB = {"name": "Ada"}, {"name": "Bob"}
INSERTS = [
    # One row, several, none; defaults.
    Case("product.insert", {"rows": {"sku": "n"}, "returning": ["sku", "title", "qty", "doubled"]},
         [{"sku": "n", "title": "new", "qty": 1, "doubled": 2}]),
    Case("product.insert", {"rows": {}, "returning": ["sku", "title"]}, [{"sku": None,
        "title": "new"}]),
    Case("product.insert", {"rows": [{}], **SKU}, NONE),
    Case("product.insert", {"rows": {}, "returning": False}, 1),
    Case("product.insert", {"rows": {}, "returning": ["half"]},
        [{"half": "0.50000000000000000000"}]),
    Case("product.insert", {"rows": [], **SKU}, []),
    Case("product.insert", {"rows": [], "returning": False}, 0),
    Case("product.insert", {"rows": [{"sku": "x"}, {"sku": "y"}], **SKU}, [{"sku": "x"},
        {"sku": "y"}]),
    Case("product.insert", {"rows": [{"sku": "x", "qty": 1}, {"qty": 2, "sku": "y"}],
                            "returning": ["sku", "qty"]},
         [{"sku": "x", "qty": 1}, {"sku": "y", "qty": 2}]),
    Case("product.insert", {"rows": [{"sku": f"k{i}"} for i in range(30)], "returning": ["sku"]},
         [{"sku": f"k{i}"} for i in range(30)]),
    Case("product.insert", {"rows": [{"sku": "x"}, {"sku": "y"}], "returning": False}, 2),
    Case("product.insert", {"rows": {"qty": None}, "returning": ["qty", "doubled"]},
         [{"qty": None, "doubled": None}]),
    # Every form that a value travels in.
    Case("product.insert", {"rows": {
        "paint": "#0a0b0c", "cost": 1.5, "tags": ["a", None, 'q"'], "data": {"a": [None]},
        "home": {"street": "x", "zip": None}, "qty": "3"},
        "returning": ["paint", "cost", "tags", "data", "home", "qty"]},
        [{"paint": "#0a0b0c", "cost": "1.50", "tags": ["a", None, 'q"'], "data": {"a": [None]},
          "home": {"street": "x", "zip": None}, "qty": 3}]),
    Case("product.insert", {"rows": [{"paint": "#000001", "data": 1}, {"paint": None, "data": "s"},
                                     {"paint": "2", "data": [1]}], "returning": ["paint", "data"]},
         [{"paint": "#000001", "data": 1}, {"paint": None, "data": "s"},
          {"paint": "#000002", "data": [1]}]),
    # Rows that differ in their columns.
    Case("product.insert", {"rows": [{"sku": "x"}, {"sku": "y", "qty": 9}, {"title": "t"}],
                            "missing": "default", "returning": ["sku", "qty", "title"],
                                "order": "qty"},
         [{"sku": "x", "qty": 1, "title": "new"}, {"sku": None, "qty": 1, "title": "t"},
          {"sku": "y", "qty": 9, "title": "new"}]),
    Case("product.insert", {"rows": [{"sku": "x"}, {"sku": "y", "qty": 9}], "missing": "null",
                            "returning": ["sku", "qty"]},
         [{"sku": "x", "qty": None}, {"sku": "y", "qty": 9}]),
    Case("product.insert", {"rows": [{"sku": "x"}, {"qty": 9}], "missing": "default",
                            "returning": False}, 2),
    Case("product.insert", {"rows": [{"sku": "x"}, {}], "missing": "default",
                            "returning": ["sku", "qty"], "order": "sku"},
         [{"sku": "x", "qty": 1}, {"sku": None, "qty": 1}]),
    # What is returned.
    Case("product.insert", {"rows": {"sku": "x", "qty": 3}, "returning":
                            ["n:sku", "qty::text", "half", "home->zip", "data->>a"]},
         [{"n": "x", "qty": "3", "half": "1.5000000000000000", "zip": None, "a": None}]),
    Case("product.insert", {"rows": {"sku": "x", "data": {"a": 1}, "tags": ["p", "q"]},
                            "returning": ["data->a", "t:tags->1"]}, [{"a": 1, "t": "q"}]),
    Case("product.insert", {"rows": [{"qty": 1}, {"qty": 2}],
                            "returning": ["count()", "qty.sum()"]}, [{"count": 2, "sum": 3}]),
    Case("product.insert", {"rows": [{"sku": s} for s in "bac"], **SKU, "order": ["sku.desc"]},
         [{"sku": "c"}, {"sku": "b"}, {"sku": "a"}]),
    Case("product.insert", {"rows": [{"sku": "x", "maker": 2}, {"sku": "y", "maker": 1}], **SKU,
                            "order": ["person(name)"]}, [{"sku": "y"}, {"sku": "x"}]),
    Case("product.insert", {"rows": {"sku": "x", "maker": 1}, **SKU,
                            "include": {"maker": {"columns": ["name"], "include": {
                                "passport": {"columns": ["number"]}}}}},
         [{"sku": "x", "maker": {"name": "Ada", "passport": {"number": "P1"}}}]),
    Case("product.insert", {"rows": {"sku": "x", "vendor": "v"}, "returning": [], "include": {
        "twins": {"columns": ["sku"], "order": ["sku"]}, "stock": {"columns": ["qty"]}}},
         [{"twins": [{"sku": "s1"}, {"sku": "s2"}], "stock": []}]),
    Case("product.insert", {"rows": {"sku": "x", "maker": 1}, **SKU, "include": {
        "person": {"columns": ["name"], "spread": True}}}, [{"sku": "x", "name": "Ada"}]),
    # Keys that the server makes.
    Case("slot.insert", {"rows": {"note": "three"}}, [{"id": 3, "note": "three"}]),
    Case("slot.insert", {"rows": {"id": 77, "note": "mine"}}, [{"id": 77, "note": "mine"}]),
    Case("log.insert", {"rows": [{"line": "a"}, {"line": "b"}]}, [{"line": "a", "at": 7},
                                                                 {"line": "b", "at": 7}]),
    # Through views.
    Case("cheap.insert", {"rows": {"sku": "x", "label": "thing"},
                          "returning": ["sku", "label", "qty", "doubled"]},
         [{"sku": "x", "label": "thing", "qty": 1, "doubled": 2}]),
    Case("roster.insert", {"rows": {"id": 9, "name": "Eve"}},
         [{"id": 9, "name": "Eve", "country": None, "role": None}]),
]  # fmt: skip
UPDATES = [
    Case("product.update", {"values": {"qty": 6}, "where": {"sku": "s1"}},
         [{**PEN, "qty": 6, "doubled": 12}]),
    Case("product.update", {"values": {"qty": 6}, "where": {"sku": "none"}}, []),
    Case("product.update", {"values": {"qty": 6}, "where": "all", "returning": False}, 3),
    Case("product.update", {"values": {"qty": 6}, "where": {"person": {"name": "Ada"}}, **SKU},
         [{"sku": "s1"}]),
    Case("product.update", {"values": {"qty": 6}, "where": {"half": {"gt": 3}}, **SKU},
         [{"sku": "s2"}]),
    Case("product.update", {"values": {"qty": None, "paint": "#000003", "data": None, "tags": []},
                            "where": {"id": 100}, "returning": ["qty", "paint", "data", "tags"]},
         [{"qty": None, "paint": "#000003", "data": None, "tags": []}]),
    Case("product.update", {"values": {"sku": "zz"}, "where": {"sku": "s1"}, **SKU},
        [{"sku": "zz"}]),
    Case("product.update", {"values": {"title": "t"}, "where": "all", **SKU, "order": ["sku.desc"]},
         [{"sku": "s3"}, {"sku": "s2"}, {"sku": "s1"}]),
    Case("product.update", {"values": {"maker": 2}, "where": {"id": 100}, "returning": ["half"],
                            "include": {"maker": {"columns": ["name"]}}},
         [{"half": "2.5000000000000000", "maker": BOB}]),
    Case("product.update", {"values": {"title": "t"}, "where": {"vendor": "v"},
                            "returning": ["qty.sum()"]}, [{"sum": 12}]),
    Case("product.update", {"values": {"title": "t"}, "where": "all", "max_affected": 3,
                            "returning": False}, 3),
    Case("order.update", {"values": {"order": "z"}, "where": {"twice": 10}}, [{"id": 1,
        "order": "z",
         "Total %s": 5}]),
    Case("order.update", {"values": {"Total %s": 1}, "where": {"next": {"order": "b"}},
                          "returning": ["order", "twice"],
                              "include": {"next": {"columns": ["id"]}}},
         [{"order": "a", "twice": 2, "next": {"id": 2}}]),
    # Each row by its key.
    Case("slot.update", {"rows": [{"id": 1, "note": "a"}, {"id": 2, "note": None}],
        "order": ["id"]},
         [{"id": 1, "note": "a"}, {"id": 2, "note": None}]),
    Case("product.update", {"rows": [{"id": 101, "qty": 1}, {"id": 100, "qty": None}],
                            "returning": ["id", "qty", "doubled"], "order": ["id"]},
         [{"id": 100, "qty": None, "doubled": None}, {"id": 101, "qty": 1, "doubled": 2}]),
    Case("slot.update", {"rows": {"id": 2, "note": "b"}}, [{"id": 2, "note": "b"}]),
    Case("slot.update", {"rows": [{"id": 9, "note": "b"}]}, []),
    Case("slot.update", {"rows": [{"id": 1, "note": "b"}], "returning": False}, 1),
    Case("slot.update", {"rows": [{"id": 1, "note": "b"}], "max_affected": 1, "returning": False},
        1),
    Case("slot.update", {"rows": [], "returning": False}, 0),
    Case("stock.update", {"rows": [{"product": 101, "shelf": "a", "qty": 8},
                                   {"shelf": "b", "product": 100, "qty": 9}], "order": ["shelf"]},
         [{**A2, "qty": 8}, {**B1, "qty": 9}]),
    Case("stock.update", {"rows": [{"product": 100, "shelf": "b", "qty": 9}], "returning": ["qty"],
                          "include": {"product": {"columns": ["sku"]}}},
         [{"qty": 9, "product": {"sku": "s1"}}]),
    # Through views.
    Case("cheap.update", {"values": {"label": "t"}, "where": {"sku": "s1"}, "returning": ["label"]},
         [{"label": "t"}]),
    Case("roster.update", {"values": {"name": "Eva"}, "where": {"id": 4}, "returning": ["name"]},
         [{"name": "Eva"}]),
]  # fmt: skip
UPSERTS = [
    Case("stock.upsert", {"rows": [{**A1, "qty": 5}, {"shelf": "c", "product": 101, "qty": 6}],
                          "order": ["shelf"]},
         [{**A1, "qty": 5}, {"shelf": "c", "product": 101, "qty": 6}]),
    Case("stock.upsert", {"rows": {**A1, "qty": 5}, "resolution": "merge"}, [{**A1, "qty": 5}]),
    Case("stock.upsert", {"rows": [{**A1, "qty": 5}, {"shelf": "c", "product": 101, "qty": 6}],
                          "resolution": "ignore"}, [{"shelf": "c", "product": 101, "qty": 6}]),
    Case("stock.upsert", {"rows": {**A1, "qty": 5}, "resolution": "ignore", "returning": False}, 0),
    Case("stock.upsert", {"rows": {"shelf": "a", "product": 100}}, [A1]),
    Case("stock.upsert", {"rows": [{**A1, "qty": 5}], "returning": False}, 1),
    Case("stock.upsert", {"rows": []}, []),
    Case("stock.upsert", {"rows": [{**A1, "qty": 5}, {"shelf": "c", "product": 100}],
                          "missing": "default", "order": "shelf"},
         [{**A1, "qty": 5}, {"shelf": "c", "product": 100, "qty": 0}]),
    Case("stock.upsert", {"rows": [{**A1, "qty": 5}, {"shelf": "c", "product": 100}],
                          "missing": "null", "order": "shelf"},
         [{**A1, "qty": 5}, {"shelf": "c", "product": 100, "qty": None}]),
    # Other keys, and chosen columns.
    Case("product.upsert", {"rows": {"sku": "s1", "qty": 9, "title": "x"}, "conflict": ["sku"]},
         [{**PEN, "qty": 9, "doubled": 18, "title": "x"}]),
    Case("product.upsert", {"rows": {"sku": "s1", "qty": 9, "title": "x"}, "conflict": "sku",
                            "update": ["qty"], "returning": ["qty", "title"]},
         [{"qty": 9, "title": "pen"}]),
    Case("product.upsert", {"rows": {"code": 1, "vendor": "v", "qty": 8},
                            "conflict": ["code", "vendor"], "returning": ["sku", "qty"]},
         [{"sku": "s1", "qty": 8}]),
    Case("product.upsert", {"rows": {"sku": "s9"}, "conflict": ["sku"], "returning": ["sku",
        "qty"]},
         [{"sku": "s9", "qty": 1}]),
    Case("product.upsert", {"rows": {"sku": "s1", "paint": "#000001"}, "conflict": ["sku"],
                            "returning": ["paint", "half"],
                            "include": {"maker": {"columns": ["name"]}}},
         [{"paint": "#000001", "half": "2.5000000000000000", "maker": ADA}]),
    Case("slot.upsert", {"rows": [{"id": 1, "note": "x"}, {"id": 50, "note": "y"}], "order": "id"},
         [{"id": 1, "note": "x"}, {"id": 50, "note": "y"}]),
    # Through a simple view, with the keys of its table.
    Case("cheap.upsert", {"rows": {"sku": "s1", "label": "x"}, "conflict": ["sku"],
                          "returning": ["id", "label"]}, [{"id": 100, "label": "x"}]),
]  # fmt: skip
DELETES = [
    Case("stock.delete", {"where": {"shelf": "a", "product": 100}}, [A1]),
    Case("stock.delete", {"where": "all", "returning": False}, 3),
    Case("stock.delete", {"where": {"shelf": "z"}}, []),
    Case("order.delete", {"where": {"twice": {"gt": 10}}, "returning": ["id", "t:twice"]},
         [{"id": 2, "t": 12}]),
    Case("order.upsert", {"rows": {"id": 1, "order": "y"}, "returning": ["order", "twice"]},
         [{"order": "y", "twice": 10}]),
    Case("stock.delete", {"where": {"product!stock_product_fkey": {"sku": "s2"}}}, [A2]),
    Case("stock.delete", {"where": "all", "returning": ["qty"], "order": ["qty.desc"]},
         [{"qty": 3}, {"qty": 2}, {"qty": 1}]),
    Case("stock.delete", {"where": {"shelf": "a"}, "returning": ["qty"], "order": ["qty"],
                          "include": {"product": {"columns": ["sku"]}}},
         [{"qty": 1, "product": {"sku": "s1"}}, {"qty": 2, "product": {"sku": "s2"}}]),
    Case("stock.delete", {"where": {"shelf": "a"}, "max_affected": 2, "returning": False}, 2),
    Case("cheap.delete", {"where": {"qty": {"lt": 0}}, "returning": False}, 0),
    Case("roster.delete", {"where": {"id": 3}, "returning": ["name"]}, [{"name": "Cyd"}]),
    Case("log.delete", {"where": "all"}, []),
    # These hold for no row, or depend on it.
    Case("stock.delete", {"where": {"or": []}}, []),
    Case("stock.delete", {"where": {"not": {}}}, []),
    Case("stock.delete", {"where": {"or": [{"not": {}}, {"shelf": "z"}]}}, []),
    Case("stock.delete", {"where": {"shelf": {"in": []}}}, []),
    Case("stock.delete", {"where": {"product!stock_product_fkey": {}}, "returning": False}, 3),
]  # fmt: skip
#: Conditions that an accident makes, as a client that leaves out what is undefined.
HOLDS_FOR_EVERY_ROW: list[dict[str, Any]] = [
    {},
    {"and": []},
    {"and": [{}, {"and": [{}]}]},
    {"or": [{}]},
    {"or": [{"shelf": "a"}, {}]},
    {"not": {"or": []}},
    {"shelf": {"not": {"in": []}}},
    {"not": {"not": {}}},
    {"not": {"and": [{"shelf": "a"}, {"or": []}]}},
]
REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("product.insert", {}, "rows", "a dict or a list of dicts"),
    ("product.insert", {"rows": 5}, "rows", "a dict or a list of dicts"),
    ("product.insert", {"rows": ["x"]}, "rows", "a dict or a list of dicts"),
    ("product.insert", {"rows": {"skuu": 1}}, "rows.skuu", 'did you mean "sku"?'),
    ("product.insert", {"rows": [{"sku": "a"}, {"sku": 5}]}, "rows[1].sku", "a string"),
    ("product.insert", {"rows": {"qty": "many"}}, "rows.qty", "an integer"),
    ("product.insert", {"rows": {"qty": 2**31}}, "rows.qty", "out of range"),
    ("product.insert", {"rows": {"cost": "cheap"}}, "rows.cost", "a number"),
    ("product.insert", {"rows": {"sku": "a\x00"}}, "rows.sku", "NUL"),
    ("product.insert", {"rows": {"tags": "a"}}, "rows.tags", "malformed array"),
    ("product.insert", {"rows": {"tags": [1]}}, "rows.tags[0]", "a string"),
    ("product.insert", {"rows": {"home": {"city": 1}}}, "rows.home.city", "no such field"),
    ("product.insert", {"rows": {"home": [1]}}, "rows.home", "a dict of its fields"),
    ("product.insert", {"rows": {"data": b"x"}}, "rows.data", "JSON cannot hold bytes"),
    ("product.insert", {"rows": {"data": float("nan")}}, "rows.data", "NaN"),
    ("product.insert", {"rows": {"id": 1}}, "rows.id", "computed by the server"),
    ("product.insert", {"rows": {"doubled": 1}}, "rows.doubled", "computed by the server"),
    ("product.insert", {"rows": [{"sku": "a"}, {"qty": 1}]}, "rows[1]", 'missing="default"'),
    ("product.insert", {"rows": {}, "missing": "zero"}, "missing", '"default" or "null"'),
    ("product.insert", {"rows": {}, "returning": ["nope"]}, "returning[0]", "no column"),
    ("product.insert", {"rows": {}, "returning": []}, "returning", "at least one"),
    ("product.insert", {"rows": {}, "returning": 5}, "returning", "list of strings"),
    ("product.insert", {"rows": {}, "returning": False, "order": "id"}, "order", "no rows to"),
    (
        "product.insert",
        {"rows": {}, "returning": False, "include": {"maker": {}}},
        "include",
        "no rows",
    ),
    ("product.insert", {"rows": {}, "include": {"makr": {}}}, "include.makr", "no relationship"),
    ("product.insert", {"rows": {}, "order": ["nope"]}, "order[0]", "no column"),
    ("product.insert", {"rows": {}, "where": {}}, "where", "unknown argument"),
    ("wide.insert", {"rows": {"id": 9, "span": "[5,1)"}}, "rows.span", "range lower bound must be"),
    (
        "wide.insert",
        {"rows": [{"id": 9, "span": None}, {"id": 8, "span": {"lower": "5", "upper": 1}}]},
        "rows[1].span",
        "range lower bound must be",
    ),
    (
        "wide.update",
        {"values": {"period": "[2024-05-01,2024-01-01)"}, "where": {"id": 1}},
        "values.period",
        "range lower bound must be",
    ),
    ("wide.insert", {"rows": {"id": 9, "gap": "99999999999 years"}}, "rows.gap", "out of range"),
    ("product.update", {"values": {"qty": 1}}, "where", 'give "all" to mean every row'),
    ("product.update", {"values": {"qty": 1}, "where": None}, "where", 'give "all"'),
    ("product.update", {"values": {}, "where": {}}, "where", 'give "all" to mean every row'),
    ("product.update", {"where": "all"}, "values", "expected a dict"),
    ("product.update", {"values": [{"qty": 1}], "where": "all"}, "values", "expected a dict"),
    ("product.update", {"values": {"qtty": 1}, "where": "all"}, "values.qtty", 'mean "qty"'),
    ("product.update", {"values": {"doubled": 1}, "where": "all"}, "values.doubled", "the server"),
    ("product.update", {"values": {"qty": "x"}, "where": "all"}, "values.qty", "an integer"),
    ("product.update", {"values": {"qty": 1}, "where": {"x": 1}}, "where.x", "no column"),
    (
        "product.update",
        {"values": {"qty": 1}, "where": "all", "max_affected": -1},
        "max_affected",
        "0",
    ),
    (
        "product.update",
        {"values": {"qty": 1}, "where": "all", "max_affected": "1"},
        "max_affected",
        "0",
    ),
    ("slot.update", {"rows": [{"note": "a"}]}, "rows", "its key (id)"),
    ("slot.update", {"rows": [{"note": "x"}]}, "rows", "its key (id)"),
    ("slot.update", {"rows": [{"id": 1, "note": "a"}, {"id": 1, "note": "b"}]}, "rows", "same key"),
    (
        "slot.update",
        {"rows": [{"id": 1, "note": "a"}, {"id": "1", "note": "b"}]},
        "rows",
        "same key",
    ),
    ("slot.update", {"rows": [{"id": 1, "note": "a"}, {"id": 2}]}, "rows[1]", "differ"),
    ("slot.update", {"rows": [{"id": None, "note": "a"}]}, "rows", "never null"),
    ("slot.update", {"rows": [{"id": 1, "note": "a"}], "where": {}}, "where", "leave it out"),
    ("slot.update", {"rows": [{"id": 1, "note": "a"}], "values": {}}, "values", "leave it out"),
    ("stock.update", {"rows": [{"shelf": "a", "qty": 1}]}, "rows", "its key (shelf, product)"),
    ("log.update", {"rows": [{"line": "a"}]}, "rows", "no primary key"),
    ("stock.upsert", {"rows": {"shelf": "a", "qty": 1}}, "rows", 'column "product"'),
    ("stock.upsert", {"rows": [A1, {"shelf": "z"}], "missing": "default"}, "rows", '"product"'),
    ("stock.upsert", {"rows": A1, "conflict": ["qty"]}, "conflict", "unique are: shelf, product"),
    ("stock.upsert", {"rows": A1, "conflict": 5}, "conflict", "list of strings"),
    ("stock.upsert", {"rows": A1, "resolution": "replace"}, "resolution", '"merge" or "ignore"'),
    ("stock.upsert", {"rows": A1, "update": ["nope"]}, "update", 'no column "nope"'),
    ("stock.upsert", {"rows": A1, "update": []}, "update", "at least one"),
    ("product.upsert", {"rows": {"sku": "s1"}}, "conflict", "unique key (sku; vendor, code), or"),
    ("product.upsert", {"rows": {"id": 100, "qty": 1}}, "conflict", 'cannot give "id"'),
    ("product.upsert", {"csv": "id,qty\n100,1\n"}, "conflict", 'cannot give "id"'),
    ("stock.delete", {}, "where", 'give "all" to mean every row'),
    *(
        ("stock.delete", {"where": where}, "where", 'give "all" to mean every row')
        for where in HOLDS_FOR_EVERY_ROW
    ),
    ("stock.delete", {"where": "every"}, "where", "expected a dict"),
    ("stock.delete", {"where": {"and": "all"}}, "where.and", "expected a list"),
    ("stock.delete", {"where": {"and": ["all"]}}, "where.and[0]", "expected a dict"),
    ("stock.select", {"where": "all"}, "where", "expected a dict"),
    ("stock.delete", {"where": 5}, "where", "expected a dict"),
    ("stock.delete", {"where": "all", "returning": ["x"]}, "returning[0]", "no column"),
    ("stock.insert", {"rows": A1, "csv": "shelf\na"}, "rows", "csv answers"),
    ("stock.insert", {"csv": "shelff\na"}, "csv.line 1.shelff", 'did you mean "shelf"'),
    ("stock.insert", {"csv": ""}, "csv", "first line"),
    ("stock.insert", {"csv": "shelf,shelf\na,b"}, "csv", "named twice"),
    ("stock.insert", {"csv": 5}, "csv", "expected a text"),
]
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("product.insert", {"rows": {"sku": "s1"}}, "unique_violation"),
    ("product.insert", {"rows": {"qty": -1}}, "check_violation"),
    ("product.insert", {"rows": {"cost": -1}}, "check_violation"),
    ("product.insert", {"rows": {"title": None}}, "not_null_violation"),
    ("product.insert", {"rows": {"maker": 99}}, "foreign_key_violation"),
    ("product.delete", {"where": {"sku": "s1"}}, "foreign_key_violation"),
    ("stock.upsert", {"rows": [A1, A1]}, "cardinality_violation"),
]
REFUSED = [
    *(Refusal(call, kwargs, argument, says) for call, kwargs, argument, says in REFUSALS),
    *(
        Refusal(call, kwargs, "", uri=f"pgwamp.error.{condition}")
        for call, kwargs, condition in BROKEN
    ),
    Refusal(
        "product.insert",
        {"rows": {"cost": "1e20"}},
        "",
        "numeric field overflow: A field with precision 10, scale 2 must round to",
        uri="pgwamp.error.numeric_value_out_of_range",
    ),
    Refusal(
        "product.update",
        {"values": {"title": "t"}, "where": "all", "max_affected": 2},
        "",
        "3 rows would be affected",
        uri="pgwamp.error.too_many_affected",
    ),
]


@pytest.mark.parametrize("case", [*INSERTS, *UPDATES, *UPSERTS, *DELETES], ids=named)
def test_a_write(desk: Desk, case: Case) -> None:
    desk.check(case, undo=True)
    assert len(desk.statements) == (0 if case.kwargs.get("rows") == [] else 1)


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_refused_write_changes_nothing(desk: Desk, sql: Any, case: Refusal) -> None:
    def everything() -> list[Any]:
        tables = ("product", "stock", "slot", "log", "person", "member")
        return [sql(f"select {t}::text from {t} order by 1") for t in tables]

    before = everything()
    desk.check(case)
    assert everything() == before


def test_a_write_is_there_afterwards(desk: Desk, sql: Any) -> None:
    assert desk.call("slot.insert", {"id": 70, "note": "x"}) == [{"id": 70, "note": "x"}]
    assert sql("select note from slot where id = 70") == [["x"]]
    assert desk.call("slot.update", {"note": "y"}, {"id": 70}, False, max_affected=1) == 1
    assert sql("select note from slot where id = 70") == [["y"]]
    assert desk.call("slot.upsert", {"id": 70, "note": "z"}, returning=False) == 1
    assert sql("select note from slot where id = 70") == [["z"]]
    assert desk.call("slot.delete", {"id": 70}, returning=False) == 1
    assert sql("select note from slot where id = 70") == []


def test_a_domain_is_stored_as_what_its_author_reads(desk: Desk, sql: Any) -> None:
    (row,) = desk.call("product.insert", {"paint": "#000102"}, returning=["id", "paint"])
    assert row["paint"] == "#000102"
    assert sql(f"select paint::int from product where id = {row['id']}") == [[258]]
    assert desk.call("product.delete", {"paint": "#000102"}, returning=False) == 1


def test_csv_goes_through_the_same_keys_and_representations(desk: Desk, sql: Any) -> None:
    before = sql("select shelf, product, qty from stock order by 1, 2")
    assert desk.call("stock.insert", csv="product,shelf,qty\n102,c,\n102,d,4\n") == 2
    assert desk.call("stock.upsert", csv="shelf,product,qty\nc,102,5\ne,102,6\n") == 2
    assert sql("select qty from stock where product = 102 order by shelf") == [[5], [4], [6]]
    assert desk.call("stock.delete", {"product": 102}, returning=False) == 3
    assert sql("select shelf, product, qty from stock order by 1, 2") == before


def test_a_view_without_a_way_to_write_has_no_verbs_that_write(desk: Desk) -> None:
    assert desk.verbs("adult_name") >= {"select", "count", "get", "insert", "update", "delete"}
    assert desk.verbs("roster") == {"select", "count", "insert", "update", "delete"}
    assert desk.verbs("log") == {"select", "count", "insert", "update", "delete"}


@pytest.mark.parametrize("limit", [0, 1])
def test_max_affected_rolls_back_deletes_too(desk: Desk, limit: int) -> None:
    with pytest.raises(CallError, match="nothing was changed"):
        desk.call("stock.delete", {"shelf": "a"}, max_affected=limit)
    assert desk.call("stock.count", {"shelf": "a"}) == 2
