"""Findings of the requirements."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["wrong", "advice", "fact"]


class Finding(NamedTuple):
    """Something wrong: in which part, and one line that says what and names the cure.

    As ``advice`` nothing is wrong, but something could be better; a ``fact`` is only good to know.

    :ivar stops: ``pgwamp run`` does not start with it.
    """

    part: str
    problem: str
    level: Level = "wrong"
    stops: bool = False
