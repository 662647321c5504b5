"""The ``pgwamp`` command. Commands only: what they do is elsewhere."""

from pgwamp.cli.app import main

__all__ = ["main"]
