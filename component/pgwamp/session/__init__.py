"""The WAMP session: everything pgwamp needs of Autobahn, with its repairs in one place.

Only this package imports Autobahn.
"""

from pgwamp.session.client import Client
from pgwamp.session.failures import OWN_TRANSPORT
from pgwamp.session.features import IDENTIFICATION, Features
from pgwamp.session.gathered import OF_A_MESSAGE, Gathered, measured
from pgwamp.session.link import Link, acknowledged
from pgwamp.session.marking import register
from pgwamp.session.procedure import Call, Procedure, Result
from pgwamp.session.rights import Rights
from pgwamp.session.serving import Serving
from pgwamp.session.wamp import Lost, PublishRefused

__all__ = [
    "IDENTIFICATION",
    "OF_A_MESSAGE",
    "OWN_TRANSPORT",
    "Call",
    "Client",
    "Features",
    "Gathered",
    "Link",
    "Lost",
    "Procedure",
    "PublishRefused",
    "Result",
    "Rights",
    "Serving",
    "acknowledged",
    "measured",
    "register",
]
