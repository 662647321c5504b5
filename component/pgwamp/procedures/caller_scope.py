"""As whom a live query is evaluated: as all of its callers, and nobody else.

One evaluation serves every caller for whom it cannot come out otherwise. That needs no proof of
what a query reads: an evaluation runs as a caller who has only what its callers have in common, so
that nothing else can be in its answer. What that is:

- the PostgreSQL role, the authid and the authrole, if there are roles or if SQL of the application
  (the query, a function with the defaults of its arguments, a view, a policy, the check of a
  domain) asks for settings; otherwise nothing of the caller;
- the session too, if that SQL names it, or if ``access.before`` is set, which may do anything.

That is all that can ask for settings as something is read: PostgreSQL wants an IMMUTABLE expression
for generated columns, indexes and partitions, defaults of columns and rules of tables belong to
writes, and casts and operators call functions. An aggregate made of such a function counts as if it
asked for everything. Temporary objects of other sessions are out of reach.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.settings import AccessSettings

_SESSION_NAME = "wamp.session"
# Functions with a body of text are looked at as text, and everything else as PostgreSQL keeps it:
# it opens each table of a view, a policy or a body that it writes out again, and would wait for
# whoever holds a lock on one. A stored tree has the functions that it calls by oid (2077 and 3294
# are the two of current_setting), and the bytes of a constant as numbers. The functions of
# extensions ask for settings of their own.
_ASKING = r"""
with routine as (
    select p.oid, p.proowner as owner, p.prosrc, p.prosqlbody::text as tree,
        p.proargdefaults::text as defaults
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
        and n.nspname !~ '^pg_temp_'
        and not exists (
            select from pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
),
policy as (
    select c.relowner as owner, p.polqual::text as qual, p.polwithcheck::text as with_check
    from pg_policy as p
    join pg_class as c on c.oid = p.polrelid
    where c.relpersistence <> 't'
),
held (owner, source, tree) as (
    select owner, prosrc, null from routine
    union all
    select owner, null, tree from routine where tree is not null
    union all
    select owner, null, defaults from routine where defaults is not null
    union all
    select t.typowner, null, k.conbin::text
    from pg_constraint as k
    join pg_type as t on t.oid = k.contypid
    join pg_namespace as n on n.oid = t.typnamespace
    where k.contype = 'c'
        and n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
        and n.nspname !~ '^pg_temp_'
    union all
    select owner, null, qual from policy where qual is not null
    union all
    select owner, null, with_check from policy where with_check is not null
    union all
    select c.relowner, null, r.ev_action::text
    from pg_rewrite as r
    join pg_class as c on c.oid = r.ev_class
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm')
        and c.relpersistence <> 't'
        and n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
),
sized as (
    select *, sum(octet_length(coalesce(source, tree))) over (partition by owner) as bytes
    from held
),
found (identity, session) as (
    select source ~* 'current_setting|wamp\.', source ~* 'wamp\.session' from sized
    where bytes <= 5000000 and source is not null
    union all
    select true, tree ~ $1 from sized
    where bytes <= 5000000 and tree ~ ':(funcid|opfuncid) (2077|3294) '
    union all
    -- By name it is called nowhere.
    select true, true
    from pg_aggregate as a
    join routine as r on r.oid = a.aggfnoid
    where array[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
        a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[] && '{2077, 3294}'
    union all
    -- The worst is assumed where an owner, which may be any role, has too much to be looked at.
    select true, true from sized where bytes > 5000000
)
select coalesce(bool_or(identity), false) as identity, coalesce(bool_or(session), false) as session
from found
"""
_SETTINGS = re.compile(r"current_setting|wamp\.", re.IGNORECASE)
_SESSION = re.compile(re.escape(_SESSION_NAME), re.IGNORECASE)


def _as_bytes(name: str) -> str:
    """A regular expression for a name, in any case, among the numbers of a constant's bytes."""
    return " ".join(f"({ord(c.lower())}|{ord(c.upper())})" for c in name)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What live queries must know of their callers.

    :ivar identity: role, authid and authrole.
    :ivar session: the session besides.
    """

    identity: bool = False
    session: bool = False

    @classmethod
    async def load(cls, connection: asyncpg.Connection[Any], access: AccessSettings) -> Sharing:
        """What the application's functions, views and policies ask for."""
        (found,) = await connection.fetch(_ASKING, _as_bytes(_SESSION_NAME))
        before = bool(access.before)
        identity = bool(access.roles) or before or found["identity"]
        return cls(identity, before or found["session"])

    def __or__(self, other: Sharing) -> Sharing:
        """What either of them must know."""
        return Sharing(self.identity or other.identity, self.session or other.session)

    def asking(self, sql: str) -> Sharing:
        """Besides what ``sql`` asks for."""
        return self | Sharing(bool(_SETTINGS.search(sql)), bool(_SESSION.search(sql)))

    def common(self, caller: Caller) -> Caller:
        """The caller, with nothing that those who share an evaluation may differ in."""
        if self.session:
            return caller
        if self.identity:
            return replace(caller, session=None)
        return Caller(caller.realm, caller.procedure)
