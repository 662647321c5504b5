"""TCP ports on this machine's loopback address."""

from __future__ import annotations

import random
import socket
import time

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        # Servers set this too: a port is not taken because old connections to it linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_within(port: int, seconds: float) -> bool:
    """Whether ``port`` is free or becomes so: a killed process holds it until all threads ended."""
    deadline = time.monotonic() + seconds
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def any_free() -> int:
    """A port that is free now; another program may still be faster.

    Below the range that the kernel takes for outgoing connections: a client that keeps trying to
    reach a stopped server's port there may get connected to itself, and hold the port.
    """
    while True:
        port = random.randrange(20000, 32768)
        if is_free(port):
            return port
