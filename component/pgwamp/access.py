"""Who is calling, and as which PostgreSQL role the call runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pgwamp.errors import NotAuthorized

#: Traces that a statement may leave on its connection: any, of code of users, or the state of
#: sequences, which only such code can see.
Leaves: TypeAlias = Literal["nothing", "sequences", "anything"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The WAMP session that made a call, as far as the router discloses it."""

    realm: str
    procedure: str
    session: int | None = None
    authid: str | None = None
    authrole: str | None = None

    def claims(self) -> dict[str, str]:
        """The transaction settings that SQL reads with ``current_setting('wamp.authid')``."""
        return {
            "wamp.realm": self.realm,
            "wamp.procedure": self.procedure,
            "wamp.session": "" if self.session is None else str(self.session),
            "wamp.authid": self.authid or "",
            "wamp.authrole": self.authrole or "",
        }


def role_of(caller: Caller, roles: Mapping[str, str]) -> str | None:
    """The PostgreSQL role a call runs as, or None when no roles are configured.

    :raises NotAuthorized: roles are configured, and the caller is not disclosed or not mapped.
    """
    if not roles:
        return None
    if caller.authrole is None:
        raise NotAuthorized(
            "the router does not disclose who is calling; "
            "set disclose.caller for this role in the router's configuration"
        )
    role = roles.get(caller.authrole)
    if role is None:
        raise NotAuthorized(f'the role "{caller.authrole}" may not call this procedure')
    return role
