"""The mark of Python procedures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from autobahn import wamp

Function = TypeVar("Function", bound=Callable[..., Any])


def register(uri: str) -> Callable[[Function], Function]:
    """Mark an ``async def`` function as a procedure: Autobahn's own decorator, with types.

    :param uri: a name without a dot is put below the prefix.
    """
    mark: Callable[[Function], Function] = wamp.register(uri)
    return mark
