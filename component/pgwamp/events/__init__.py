"""PUBLISHER: committed changes and ``wamp.publish`` become WAMP events, none of them lost.

The way of an event: a trigger writes it to ``wamp.event`` -> the reader pages through what its
snapshot cursor has not seen -> the publisher sends it through the session, acknowledged, and
stores the cursor. ``replay`` answers ``changes`` from the same pages.
"""

from pgwamp.events.feed import Feed
from pgwamp.events.payload import Shapes
from pgwamp.events.publisher import Publisher
from pgwamp.events.replay import changes_procedures

__all__ = ["Feed", "Publisher", "Shapes", "changes_procedures"]
