"""What is measured, as each side is asked for it.

A request is plain data, so that it can travel to a client in a process of its own: for WAMP a
procedure with args and kwargs, for HTTP a method, a path and a body. ``$n`` in it becomes the
number of the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.database import ARTISTS, BULK, ROWS
from bench.former import NAME, PREFIX

SIDES = ("pgwamp", "handwritten", "fastapi", "postgraphile")
Request = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One kind of call.

    :ivar number: calls of one measurement, at a scale of 1.
    :ivar highest: of the numbers that ``$n`` becomes.
    :ivar same: all sides but PostGraphile, whose rows have a shape of their own, answer the same.
    """

    name: str
    number: int
    highest: int
    requests: dict[str, Request]
    same: bool = True

    def request(self, side: str) -> Request | None:
        """The request to a side; None when there is no such thing."""
        if side != NAME:
            return self.requests.get(side)
        ours = self.requests["pgwamp"]
        return {**ours, "procedure": ours["procedure"].replace("com.example", PREFIX, 1)}


def _wamp(procedure: str, *args: Any, **kwargs: Any) -> Request:
    return {"procedure": f"com.example.{procedure}", "args": list(args), "kwargs": kwargs}


def _http(method: str, path: str, body: Any = None) -> Request:
    return {"method": method, "path": path, "body": body}


def _graphql(query: str) -> Request:
    return _http("POST", "/graphql", {"query": query})


_ITEM = "rowId name kind quantity price active created note"
_ENTRY = {
    "name": "a name", "quantity": 7, "price": "12.50", "created": "2024-01-01 10:00:00+00",
}  # fmt: skip
_MANY = [{**_ENTRY, "quantity": n} for n in range(BULK)]
_TRACKS = {"columns": ["id", "name", "milliseconds"], "order": ["id"]}
_ALBUMS = {"columns": ["id", "title"], "order": ["id"], "include": {"track": _TRACKS}}

SCENARIOS = (
    Scenario(
        "read one row",
        2000,
        ROWS,
        {
            "pgwamp": _wamp("item.get", "$n"),
            "handwritten": _wamp("hand.get", "$n"),
            "fastapi": _http("GET", "/items/$n"),
            "postgraphile": _graphql(f"{{itemByRowId(rowId: $n) {{{_ITEM}}}}}"),
        },
    ),
    Scenario(
        "list 100 rows",
        500,
        1,
        {
            "pgwamp": _wamp("item.select", order="id", limit=100),
            "handwritten": _wamp("hand.select", 100),
            "fastapi": _http("GET", "/items?limit=100"),
            "postgraphile": _graphql(
                f"{{allItems(first: 100, orderBy: ROW_ID_ASC) {{nodes {{{_ITEM}}}}}}}"
            ),
        },
    ),
    Scenario(
        "three levels",
        400,
        ARTISTS - 20,
        {
            "pgwamp": _wamp(
                "artist.select", {"id": {"gte": "$n"}}, order=["id"], limit=10,
                include={"album": _ALBUMS},
            ),
            "handwritten": _wamp("hand.artists", "$n"),
            "fastapi": _http("GET", "/artists?since=$n"),
            # PostGraphile filters by equality alone without a plugin: the offset serves as well.
            "postgraphile": _graphql(
                "{allArtists(first: 10, offset: $n, orderBy: ROW_ID_ASC) {nodes {rowId name "
                "albumsByArtistId(orderBy: ROW_ID_ASC) {nodes {rowId title "
                "tracksByAlbumId(orderBy: ROW_ID_ASC) {nodes {rowId name milliseconds}}}}}}}"
            ),
        },
    ),
    Scenario(
        "insert one",
        1000,
        1,
        {
            "pgwamp": _wamp("entry.insert", _ENTRY, returning=["id"]),
            "handwritten": _wamp("hand.insert", _ENTRY),
            "fastapi": _http("POST", "/entries", _ENTRY),
            "postgraphile": _graphql(
                'mutation {createEntry(input: {entry: {name: "a name", quantity: 7, '
                'price: "12.50", created: "2024-01-01 10:00:00+00"}}) {entry {rowId}}}'
            ),
        },
        same=False,
    ),
    Scenario(
        "insert 1,000",
        40,
        1,
        {
            "pgwamp": _wamp("entry.insert", _MANY, returning=False),
            "handwritten": _wamp("hand.insert_many", _MANY),
            "fastapi": _http("POST", "/entries/many", _MANY),
        },
    ),
)  # fmt: skip
