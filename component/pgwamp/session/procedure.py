"""What a procedure is, free of Autobahn: a URI and a handler of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgwamp import logs
from pgwamp.access import Caller
from pgwamp.errors import Internal
from pgwamp.values.portable import MAX_RESULT_DEPTH, find_unportable

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its arguments, who makes it, and how to send progressive results.

    ``progress`` is None when the caller did not ask for progressive results. Awaiting it sends
    one and waits until there is room for the next, so that a slow router fills no memory here.

    :ivar max_bytes: of its answer; None where it is part of a larger one, which is measured itself.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    caller: Caller
    progress: Callable[[Any], Awaitable[None]] | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A result with keyword results beside the value, such as ``count`` and ``next``."""

    value: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)


#: Answers a value, a :class:`Result`, or an async iterator of progressive results, which may end
#: with the :class:`Result` that closes the call; otherwise that is None.
Handler = Callable[[Call], Awaitable[Any] | AsyncIterator[Any]]


@dataclass(frozen=True)
class Procedure:
    """Something to register.

    :ivar portable: the handler's values are portable by construction and are not checked again.
    :ivar endless: its progressive results have no end of their own: quiet for as long as nothing
        happens, they count towards ``limits.followers`` instead of ``limits.concurrency``, and
        ``limits.call_timeout`` does not end them.
    :ivar description: one entry of ``describe``.
    """

    uri: str
    handler: Handler
    portable: bool = True
    endless: bool = False
    description: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is, as its description says; what has none describes the others."""
        return str(self.description.get("kind", "describe"))

    def require_portable(self, value: Any) -> None:
        """Refuse what a handler answered and no message may carry.

        :raises Internal: it is not portable; the log says where.
        """
        if isinstance(value, Result):
            value = [value.value, dict(value.kwargs)]
        if not self.portable and (problem := find_unportable(value, MAX_RESULT_DEPTH)):
            log.error("result is not portable", procedure=self.uri, problem=problem)
            raise Internal()
