"""PUBLISHER: committed changes and ``wamp.publish`` become WAMP events, none of them lost.

The way of an event: a trigger writes it to ``wamp.event`` -> the reader pages through what its
snapshot cursor has not seen -> the publisher sends it through the session, acknowledged, and
stores the cursor. ``changes`` answers the same pages again (``replay``), and ``follow`` goes on
from there with what the ``feed`` reads once for everybody.
"""

from pgwamp.events.feed import Feed
from pgwamp.events.payload import Shapes
from pgwamp.events.procedures import event_procedures
from pgwamp.events.publisher import Publisher
from pgwamp.events.rules import allow_publish, rules_obstacle

__all__ = [
    "Feed",
    "Publisher",
    "Shapes",
    "allow_publish",
    "event_procedures",
    "rules_obstacle",
]
