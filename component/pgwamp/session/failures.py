"""Why the router could not be joined, or refused a procedure, as one line that names the cure."""

from __future__ import annotations

import re
import socket
import ssl

from autobahn.wamp.exception import ApplicationError

from pgwamp.errors import StartError
from pgwamp.session.wamp import Lost, WampSession
from pgwamp.settings import RouterSettings

_NAMED = "router.url (PGWAMP_ROUTER__URL)"
#: First: a permission for the role of the clients' transport would let every client register.
OWN_TRANSPORT = (
    f"let {_NAMED} name the transport that the router has for the component (that of pgwamp's own "
    "Crossbar node is rs+unix:///PATH/OF/THE/NODE/component.sock)"
)
#: Autobahn's words for an answer over HTTP that is no WebSocket: "... failed [404]: Not Found".
_HTTP_STATUS = re.compile(r"\[(\d{3})\](?:: (.*))?")
#: Crossbar's words for the procedure that it wants to call.
_HELPER = re.compile(r"no callee registered for procedure <(.+?)>")
#: What Crossbar says while the dynamic authenticator or authorizer of a realm has not joined.
_HELPER_MISSING = ("wamp.error.no_such_procedure", "wamp.error.authorization_failed")
#: What the router says while another session has a procedure of ours, and does not share it.
TAKEN = ApplicationError.PROCEDURE_ALREADY_EXISTS


def unreachable(settings: RouterSettings, error: OSError) -> StartError:
    """The line for a connection that was not made."""
    url = settings.place
    if isinstance(error, ssl.SSLCertVerificationError):
        return StartError(
            f"the certificate of the router at {url} is not trusted ({error.verify_message}): "
            "name the file of its authority in router.tls.ca, or correct the host in "
            f"{_NAMED}"
        )
    if isinstance(error, ssl.SSLError):
        return StartError(
            f"no TLS connection to the router at {url} ({error.reason}): correct the scheme or the "
            f"port in {_NAMED}, or the files of router.tls"
        )
    if isinstance(error, socket.gaierror):
        return StartError(f"no host for {url} ({error.strerror}): correct {_NAMED}")
    if isinstance(error, PermissionError):
        return StartError(
            f"the socket of the router at {url} is not open to this user: run as the router's user "
            f"or in its group, or correct {_NAMED}"
        )
    if isinstance(error, TimeoutError):
        return StartError(
            f"nobody answers at {url} in time: look for a firewall on the way and at the router's "
            f"log, or correct the scheme, the host or the port in {_NAMED}"
        )
    reason = error.strerror or type(error).__name__
    return StartError(f"no router answers at {url}: start it, or correct {_NAMED} ({reason})")


def not_joined(settings: RouterSettings, lost: Lost) -> StartError:
    """The line for a connection that became no session."""
    where = f"the router at {settings.place}"
    reason, said = lost.reason, str(lost)
    if reason == TAKEN:
        return StartError(said)
    if lost.joined:
        return StartError(
            f"{where} let us join and ended the session at once ({said}): correct router.realm if "
            "it has none of this name, or look at its log"
        )
    if not lost.refused:
        return StartError(_handshake(settings, said))
    if reason == "wamp.error.no_such_realm":
        return StartError(
            f'{where} has no realm "{settings.realm}": correct router.realm (PGWAMP_ROUTER__REALM)'
        )
    if is_waiting_for_helper(lost):
        helper = match[1] if (match := _HELPER.search(said)) else said
        return StartError(
            f"{where} asks a component that has not joined yet, its dynamic authenticator or "
            f"authorizer ({helper}): start that one"
        )
    if "auth" in reason or "no_such_principal" in reason or "no_such_role" in reason:
        return StartError(
            f"{where} refused to let us join: correct router.auth "
            f"(method {settings.auth.method}; {reason}: {said})"
        )
    return StartError(f"{where} refused to let us join: {reason}: {said}")


def is_waiting_for_helper(lost: Lost) -> bool:
    """Whether the router refuses everybody until a component of its own is there."""
    return lost.reason in _HELPER_MISSING or any(name in str(lost) for name in _HELPER_MISSING)


def will_pass(lost: Lost) -> bool:
    """Whether the router says no for now: until a helper joins, or it notices a lost session."""
    return lost.reason == TAKEN or is_waiting_for_helper(lost)


def _handshake(settings: RouterSettings, said: str) -> str:
    """The line for a peer that closed the connection before it said WELCOME or ABORT."""
    url = settings.place
    if match := _HTTP_STATUS.search(said):
        status = match[1]
        path = f"correct the path in {_NAMED}, which is /ws most often"
        cure = {
            "404": path,
            "401": f"{path}, or what stands in front of the router",
            "403": f"{path}, or what stands in front of the router",
            "502": "start the router behind this proxy",
            "503": "wait for the router behind this proxy, or for a place among its connections",
            "400": f"choose a serializer that it speaks in router.serializer (now "
            f"{settings.serializer}), or {path}",
        }.get(status, f"correct {_NAMED}")
        return f"the router at {url} answers HTTP {status} ({match[2] or 'no WebSocket'}): {cure}"
    if "serializer" in said:
        return (
            f"the router at {url} does not speak {settings.serializer}: choose another in "
            "router.serializer, or offer it there"
        )
    if "Invalid magic byte" in said:
        return f"what answers at {url} is no RawSocket: correct the port or the scheme in {_NAMED}"
    certificate = ""
    if url.startswith(("wss:", "rss:")):
        # With TLS 1.3 a router refuses a certificate after the handshake, by closing.
        certificate = ", name a certificate in router.tls.certificate if it asks for one"
    return (
        f"what answers at {url} closes the connection ({said}): correct {_NAMED} if it is no WAMP "
        f"router{certificate}, or look at its log"
    )


class ProcedureTaken(StartError):
    """Another session has registered a procedure of ours, and the router does not share it."""


def not_registered(uri: str, error: ApplicationError, session: WampSession) -> StartError:
    """The line for a procedure that the router refused to register."""
    problem = f"the router refused to register {uri} ({error.error})"
    if error.error == ApplicationError.NOT_AUTHORIZED:
        return StartError(
            f"{problem}: {OWN_TRANSPORT}, or give the component's role the permission to register "
            "it"
        )
    if error.error != TAKEN:
        return StartError(f"{problem}: {error.error_message()}")
    cure = "another component has registered it; stop that one or change expose.prefix"
    if not session.announces("dealer", "shared_registration"):
        cure += (
            "; the router does not announce shared_registration: run one instance, and restart the "
            "router if it keeps the registrations of a lost connection"
        )
    return ProcedureTaken(f"{problem}: {cure}")
