"""CALLEE: what of the database becomes procedures.

Each module turns one kind of thing into :class:`~pgwamp.session.Procedure` objects; ``build``
puts them together.
"""

from pgwamp.procedures.build import Exposure, build_exposure
from pgwamp.procedures.live import LiveQueries

__all__ = ["Exposure", "LiveQueries", "build_exposure"]
