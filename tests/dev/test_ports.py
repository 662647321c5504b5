"""Ports that are taken, and ports that become free."""

from __future__ import annotations

import socket
import threading

from pgwamp.dev import ports


def test_a_port_that_is_given_up_soon_is_waited_for() -> None:
    with socket.socket() as holder:
        holder.bind((ports.LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert not ports.free_within(port, 0.05)
        release = threading.Timer(0.1, holder.close)
        release.start()
        assert ports.free_within(port, 5)
        release.join()
