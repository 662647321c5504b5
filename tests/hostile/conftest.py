"""A router of the package's own, and components that are attacked over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.database.conftest import roles as roles
from tests.hostile.node import HostileNode
from tests.servers import server_folder


@pytest.fixture(scope="session")
def node() -> Iterator[HostileNode]:
    with server_folder() as folder:
        node = HostileNode(folder)
        with node.router:
            yield node
