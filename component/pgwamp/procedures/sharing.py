"""As whom a live query is evaluated: as all of its callers, and nobody else.

One evaluation serves every caller for whom it cannot come out otherwise. That needs no proof of
what a query reads: an evaluation runs as a caller who has only what its callers have in common, so
that nothing else can be in its answer. What that is:

- the PostgreSQL role, the authid and the authrole, if there are roles or if SQL of the application
  (the query, a function, a view, a policy) asks for settings; otherwise nothing of the caller;
- the session too, if that SQL names it, or if ``access.before`` is set, which may do anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from pgwamp.access import Caller
from pgwamp.settings import AccessSettings

# The functions of extensions ask for settings of their own. A view's rule holds the functions that
# it calls by oid: 2077 and 3294 are the two of current_setting.
_ASKING = r"""
select concat(p.prosrc, pg_get_function_sqlbody(p.oid)) as sql
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
    and n.nspname !~ '^pg_temp_'
    and concat(p.prosrc, pg_get_function_sqlbody(p.oid)) ~* 'current_setting|wamp\.'
    and not exists (
        select from pg_depend as d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
union all
select concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) from pg_policy
union all
select pg_get_viewdef(r.ev_class)
from pg_rewrite as r
join pg_class as c on c.oid = r.ev_class
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('v', 'm')
    and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'wamp')
    and r.ev_action::text ~ ':funcid (2077|3294) '
"""
_SETTINGS = re.compile(r"current_setting|wamp\.", re.IGNORECASE)
_SESSION = re.compile(r"wamp\.session", re.IGNORECASE)


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
        sql = "\n".join([row["sql"] for row in await connection.fetch(_ASKING)])
        before = bool(access.before)
        return cls(bool(access.roles) or before, before).asking(sql)

    def asking(self, sql: str) -> Sharing:
        """Besides what ``sql`` asks for."""
        return Sharing(
            self.identity or bool(_SETTINGS.search(sql)),
            self.session or bool(_SESSION.search(sql)),
        )

    def common(self, caller: Caller) -> Caller:
        """The caller, with nothing that those who share an evaluation may differ in."""
        if self.session:
            return caller
        if self.identity:
            return replace(caller, session=None)
        return Caller(caller.realm, caller.procedure)
