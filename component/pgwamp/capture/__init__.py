"""Capture: what has changed, as triggers have written it, and the wake-up.

Changes are captured by AFTER ... FOR EACH STATEMENT triggers into an outbox table, ``wamp.raw``,
not by logical decoding: no replication slot is needed. The one trigger function,
``wamp.capture``, writes in the transaction of the writer, normally one raw row for each changed
row: the text of the record before and after, the transaction, and the WAL insert position (LSN).
It writes one row for a TRUNCATE, and one without texts if those of a statement cannot be made. No
option of a watch is looked at there. The sequencer (:mod:`pgwamp.eventlog`) reads raw rows
through :class:`Capture`, so that another kind of capture can take the place of triggers.

**Which rows are new.** Transactions do not commit in the order in which they wrote, so that
"newer than the last transaction id" would miss rows. A row is new if its transaction is visible
in the current snapshot (``pg_current_snapshot``) and was not visible in the one of the last poll.

**Waking.** NOTIFY serialises commits of the whole cluster, so writers notify only while the
reader sleeps. A flag in the value of the sequence ``wamp.signal`` says so: only the reader may
set it, and because sequences are not transactional, a REPEATABLE READ writer also reads its
current value. To sleep, the reader sets the flag and lists the transactions that hold ROW
EXCLUSIVE on ``wamp.raw``. It goes on polling until those have ended. Writers look at the flag
after their rows are written, when they hold that lock: every writer that is not on the list sees
the flag, and notifies. Where transactions can be prepared (``max_prepared_transactions``), which
cannot have notified, the reader never sleeps, and polls.

**Room.** Raw rows are written to one of three partitions in rotation. One that has grown is left
for the next, if that is empty. A partition whose rows are all in the log is emptied by TRUNCATE,
under a lock that is taken with NOWAIT: writers never wait for it for longer than that takes.
"""

from pgwamp.capture.raw import CONTROL, Capture, Look, RawRow, Streamed
from pgwamp.capture.signal import Signal
from pgwamp.capture.triggers import TriggerCapture
from pgwamp.capture.turns import Turns

__all__ = ["CONTROL", "Capture", "Look", "RawRow", "Signal", "Streamed", "TriggerCapture", "Turns"]
