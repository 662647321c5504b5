"""The benchmark of hostile requests makes each of them, and each is answered or refused."""

from __future__ import annotations

from bench.hostile import Server, catalog
from pgwamp.errors import CallError


def test_every_cheap_request_reaches_a_parser() -> None:
    answered = refused = 0
    for name, request in Server(catalog()).requests():
        if "of a message" in name or "many" in name:
            continue
        try:
            request()
        except CallError:
            refused += 1
        else:
            answered += 1
    assert answered > 50
    assert refused > 100
