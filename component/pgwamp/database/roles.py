"""The PostgreSQL roles that calls run as, with the settings that ALTER ROLE gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from pgwamp import logs
from pgwamp.access import Caller, role_of
from pgwamp.errors import StartError

log = logs.get(__name__)
#: Left out of a role's own settings: how values are written is pgwamp's to decide, a connection of
#: the pool may be idle for longer than a role's session, and those of a transaction end with it.
_OURS = (
    "application_name",
    "array_nulls",
    "bytea_output",
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "idle_session_timeout",
    "intervalstyle",
    "role",
    "session_authorization",
    "standard_conforming_strings",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
)
# Settings with a dot belong to extensions and applications: anybody may set those that no
# extension has defined.
_SETTINGS = """
select r.rolname as role, s.name, s.value, exists (
    select from pg_settings as p where lower(p.name) = s.name and p.vartype = 'string'
) as is_text
from unnest($1::text[], $3::text[]) as mapped (role, login)
join pg_roles as r on r.rolname = mapped.role
-- A login that is not there has no right either.
join pg_roles as l on l.rolname = coalesce(mapped.login, session_user)
-- A role may change its own settings: they are sent with each call, and not of any length.
left join pg_db_role_setting as d on d.setrole = r.oid and d.setdatabase in (
    0, (select oid from pg_database where datname = current_database())
) and octet_length(array_to_string(d.setconfig, ',')) <= 16384
left join lateral (
    select lower(split_part(entry, '=', 1)) as name,
        substr(entry, strpos(entry, '=') + 1) as value
    from unnest(d.setconfig) as entry
) as s on s.name <> all ($2::text[]) and (
    exists (select from pg_settings as p where lower(p.name) = s.name and p.context = 'user')
    or (
        strpos(s.name, '.') > 0
        and not exists (select from pg_settings as p where lower(p.name) = s.name)
    )
)
where pg_has_role(
    l.oid, r.oid,
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end
)
order by d.setdatabase
"""


@dataclass(frozen=True, slots=True)
class Role:
    """A PostgreSQL role, and the settings that a login as it would start with.

    :ivar own_login: whether its calls have a login of their own, by ``database.logins``.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    own_login: bool = False

    @property
    def login(self) -> str:
        """The key of the pools of its calls."""
        return self.name if self.own_login else ""


class Roles:
    """Which role a call runs as, by ``access.roles``.

    Logging in applies a role's own settings, SET ROLE does not; so they are set with it, as
    PostgREST does.
    """

    def __init__(self, mapped: Mapping[str, str], logins: Mapping[str, str]):
        """:param logins: the user that logs in for a role, where that is not database.url's."""
        self._mapped = mapped
        self._logins = logins
        self._roles = {name: self._role(name, {}) for name in mapped.values()}

    def _role(self, name: str, settings: Mapping[str, str]) -> Role:
        return Role(name, settings, name in self._logins)

    def __bool__(self) -> bool:
        return bool(self._mapped)

    def of(self, caller: Caller) -> Role | None:
        """The role a call runs as, or None when no roles are configured.

        :raises NotAuthorized: the caller is not disclosed or not mapped.
        """
        name = role_of(caller, self._mapped)
        return None if name is None else self._roles[name]

    def all(self) -> list[Role | None]:
        """The mapped roles; without any, None for the login itself."""
        return list(self._roles.values()) or [None]

    async def load(self, connection: asyncpg.Connection[Any]) -> None:
        """Read the roles' own settings.

        :raises StartError: a role is not there, or the component's user is no member of it.
        """
        names = sorted(set(self._mapped.values()))
        if not names:
            return
        found: dict[str, dict[str, str]] = {}
        logins = [self._logins.get(name) for name in names]
        for row in await connection.fetch(_SETTINGS, names, list(_OURS), logins):
            settings = found.setdefault(row["role"], {})
            name, value = row["name"], row["value"]
            if name is None:
                continue
            if row["is_text"] and not await _is_accepted(connection, name, value):
                log.warning("a setting of a role is not valid", role=row["role"], setting=name)
                continue
            settings[name] = value
        for name in names:
            if name not in found:
                raise StartError(await self._missing(connection, name))
        self._roles = {name: self._role(name, settings) for name, settings in found.items()}

    async def _missing(self, connection: asyncpg.Connection[Any], role: str) -> str:
        """Why calls cannot run as a role."""
        known = "select exists (select from pg_catalog.pg_roles where rolname = $1)"
        if not await connection.fetchval(known, role):
            return f'access.roles: there is no role "{role}": create it, or correct the setting'
        login = self._logins.get(role)
        user = "the user of database.url" if login is None else f'"{login}"'
        return f'access.roles: may not SET ROLE "{role}": GRANT it to {user}'


async def _is_accepted(connection: asyncpg.Connection[Any], name: str, value: str) -> bool:
    """Whether a text, of which ALTER ROLE believes anything, is valid for a setting.

    A login passes over it with a warning, SET fails.
    """
    attempt = connection.transaction()
    await attempt.start()
    try:
        await connection.execute("select pg_catalog.set_config($1, $2, true)", name, value)
    except asyncpg.PostgresError:
        return False
    finally:
        await attempt.rollback()
    return True
