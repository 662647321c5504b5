"""A long output is whole, also where Python does not buffer it."""

from __future__ import annotations

import asyncio
import sys

SIZE = 3_000_000
#: Signals cut writes to a pipe short that is full.
PROGRAM = f"""
import signal
from pgwamp.cli.context import write_whole_output
write_whole_output()
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
print("x" * {SIZE})
signal.setitimer(signal.ITIMER_REAL, 0)
"""


async def test_a_write_that_is_cut_short_goes_on() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", PROGRAM), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    count = 0
    async with asyncio.timeout(30):
        while part := await process.stdout.read(4096):
            count += len(part)
        assert await process.wait() == 0
    assert count == SIZE + 1
