"""Capture: what has changed, as triggers have written it, and the wake-up.

The trigger function ``wamp.capture`` writes a raw row for each changed row, in the transaction of
the writer: the text of the record before and after, and nothing that depends on options. The
sequencer (:mod:`pgwamp.eventlog`) reads them here, through :class:`Capture`, so that another kind
of capture can take the place of triggers.

**Which rows are new** is the difference of two snapshots, since transactions commit in another
order than they write. What is visible now and was not visible at the last look is new; nothing is
left out and nothing comes twice.

**Waking.** NOTIFY takes a lock at commit that the whole cluster shares, so writers notify only a
reader that sleeps. Whether it does stands in the value of a sequence, which only the reader may
set, and which a writer with an old snapshot reads as it is. A writer asks for it after its rows are
written, when it holds a lock on ``wamp.raw``: a reader that falls asleep looks once more until all
that held this lock at that moment have ended. So either the writer sees the sleeper, or the sleeper
the writer.

**Room.** Raw rows are written to one of three partitions by turns. A partition is emptied when all
of its rows are in the log; writers never wait for that.
"""

from pgwamp.capture.raw import CONTROL, Capture, Look, RawRow, Streamed
from pgwamp.capture.signal import Signal
from pgwamp.capture.triggers import TriggerCapture
from pgwamp.capture.turns import Turns

__all__ = ["CONTROL", "Capture", "Look", "RawRow", "Signal", "Streamed", "TriggerCapture", "Turns"]
