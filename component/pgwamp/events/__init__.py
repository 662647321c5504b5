"""PUBLISHER: what is in the log becomes WAMP events, each of them at least once.

For each realm and prefix one instance publishes: it holds a lease, reads the log from the position
that is stored for both, and sends what it reads through the session, acknowledged, with only so
many events on their way. The position behind them is stored soon after.

- **The publisher is killed**: the next one begins at the stored position. Events since come again.
- **It was stopped and goes on after a takeover**: the lease is confirmed right before each send,
  and each time that the position is stored its term is locked. So it sends and stores nothing.
- **The router is away**: nothing is published, and another instance may take over that has one.
- **The stored position is not in the log**, as when an old copy of some tables was put back: that
  is logged, and publishing goes on with the oldest event that is kept. Better twice than never.
- **An event that the router refuses**, or that cannot be read: it is logged, counted and passed
  over.

Plain LISTEN channels are bridged by the instance that publishes.
"""

from pgwamp.events.publish_permissions import allow_publish, publish_obstacle
from pgwamp.events.publisher import Publisher

__all__ = ["Publisher", "allow_publish", "publish_obstacle"]
