"""A function that leaves a mark if a superuser's session runs it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir


@dataclass(frozen=True)
class Trap:
    """The mark is a file, which stays when the transaction is undone."""

    _mark: Path

    @property
    def function(self) -> str:
        """SQL that makes the function ``public.trap()``, which returns a revision."""
        return f"""
            create function public.trap() returns text language plpgsql as $trap$
            begin
                perform set_config('role', session_user, true);
                execute $$copy (select session_user) to '{self._mark}'$$;
                return '0101';
            exception when others then return '0101';
            end $trap$;
        """

    @property
    def has_sprung(self) -> bool:
        return self._mark.exists()


@contextmanager
def laid() -> Iterator[Trap]:
    """A trap of the test's own."""
    mark = Path(gettempdir()) / f"pgwamp_trap_{uuid.uuid4().hex}"
    try:
        yield Trap(mark)
    finally:
        mark.unlink(missing_ok=True)
