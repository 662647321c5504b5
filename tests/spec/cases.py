"""What a specification is made of: a call, and the answer or the refusal that it gets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Kwargs = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A call that is answered.

    :ivar also: the keyword results.
    """

    call: str
    kwargs: Kwargs
    expected: Any
    args: Sequence[Any] = ()
    also: Kwargs = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """A call that is refused.

    :ivar argument: what the error says is wrong; empty for errors that PostgreSQL raises.
    :ivar says: what its message holds.
    """

    call: str
    kwargs: Kwargs
    argument: str
    says: str = ""
    args: Sequence[Any] = ()
    uri: str = "wamp.error.invalid_argument"


def named(case: Case | Refusal) -> str:
    """A short name of a case for the test's id."""
    given = [*map(_spelled, case.args), *(f"{n}={_spelled(v)}" for n, v in case.kwargs.items())]
    return f"{case.call} {' '.join(given)}"[:100]


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, default=repr, separators=(",", ":"))
