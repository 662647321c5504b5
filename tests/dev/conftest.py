"""Servers need folders that their own system user can enter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import server_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Instead of pytest's, which another run of pytest closes to everybody else."""
    with server_folder() as folder:
        yield folder
