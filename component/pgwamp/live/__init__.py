"""Live queries: a query's rows, and their differences whenever a table it reads has changed.

:mod:`~pgwamp.live.queries` knows the callers and which request each of them makes;
:mod:`~pgwamp.live.evaluation` evaluates one request for all who share its answer;
:mod:`~pgwamp.live.differences` compares two answers by the digests of their rows.
"""

from pgwamp.live.queries import LiveQueries

__all__ = ["LiveQueries"]
