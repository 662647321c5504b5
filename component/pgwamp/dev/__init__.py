"""The servers of ``pgwamp dev`` and of the tests: an embedded PostgreSQL and a Crossbar.io node.

Everything here blocks: run it in a thread when a loop is running. Each server is a child in a
session of its own, so that Ctrl-C in a terminal reaches only the program that started it, and that
program decides in which order they stop.
"""

from importlib.util import find_spec

from pgwamp.errors import StartError

for _module in ("psutil", "yaml"):
    if find_spec(_module) is None:
        raise StartError(f"pgwamp dev needs the package {_module}: pip install 'pgwamp[dev]'")
