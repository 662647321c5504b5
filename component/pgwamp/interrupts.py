"""Lets Ctrl-C end what a blocking driver waits for."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg2 import Error, extensions

_CANCEL_SECONDS = 5.0


@contextmanager
def interruptible(connection: extensions.connection) -> Iterator[None]:
    """Have Ctrl-C cancel the statement of a connection.

    The driver waits in C for the server's answer, and Python raises ``KeyboardInterrupt`` after
    that alone. So a thread is told of the signal, and asks the server to cancel the statement: the
    answer comes at once. In another thread than the main one, where no signal comes, nothing is
    done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    read, write = socket.socketpair()
    with read, write:
        # Python writes a byte for each signal, and must never wait for that.
        write.setblocking(False)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(
            target=_cancel, args=(connection, read, before), name="pgwamp interrupts", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            write.shutdown(socket.SHUT_WR)
            # It ends at once, unless the server cannot be reached.
            thread.join(_CANCEL_SECONDS)


def _cancel(connection: extensions.connection, read: socket.socket, before: int) -> None:
    while signals := read.recv(16):
        if before != -1:
            # An event loop, or another connection, was told of signals until now.
            with suppress(OSError):
                os.write(before, signals)
        if signal.SIGINT in signals:
            # It may have been closed meanwhile.
            with suppress(Error):
                connection.cancel()
