"""Creating the database and the logins of a component, for an administrator.

Everything has least privileges: the login of events owns the database, that of calls has no right
but to connect and to become the roles that callers are mapped to.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files

from psycopg2 import errorcodes, extensions, sql
from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from pgwamp.database_url import as_dsn
from pgwamp.errors import StartError
from pgwamp.migration_lock import bounded_waits, wait_for_turn
from pgwamp.migrations import connect, driver, major_version, parse
from pgwamp.ownership import ordinary_owner, require_trusted_schema
from pgwamp.refusals import is_lost, transaction, words_of

#: The version in which an owner of the database without INHERIT has no right in public.
_PUBLIC_IS_CLOSED = 15
_NEW_OWNER = (files("pgwamp") / "new_owner.sql").read_text(encoding="utf-8")
_SCHEMA_OWNER = """
select r.rolname, r.rolsuper from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
where n.nspname = 'wamp'
"""
#: Whether somebody logs in with the rights of a role; superusers have those of all.
_IS_USED = text(
    "select r.rolcanlogin or exists (select from pg_roles as m where m.rolcanlogin "
    "and not m.rolsuper and pg_has_role(m.oid, r.oid, 'member')) "
    "from pg_roles as r where r.rolname = :name"
)
_IS_UTF8 = text("select encoding = 6 from pg_database where datname = 'template1'")


#: Where the address of the administrator comes from.
_ADMIN = "--admin-url"
#: Of errors that the right role would not have met.
_LACKING = (errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.INVALID_GRANT_OPERATION)

Told = Callable[[str], object]


def create_database(
    admin_url: str,
    target_url: str,
    *,
    inherit: bool = True,
    made: Told | None = None,
    report: Told | None = None,
) -> str:
    """Create the role and the database that ``target_url`` names, with least privileges.

    The role may log in, and owns the database; nobody else may connect. Without a password in
    ``target_url`` a new role gets a random one. What exists already is left as it is, so that
    running it again is harmless.

    :param admin_url: a superuser, or a role with CREATEROLE and CREATEDB.
    :param inherit: whether a new role has the rights of the roles that it is a member of.
    :param made: told the URL as soon as its role is made, or may have been: whatever fails later,
        its password is not lost.
    :param report: told who keeps it waiting.
    :returns: the URL to connect with, ``postgresql://user:password@host:port/name``.
    """
    url = _target(target_url)
    user, database = url.username or "", url.database or ""
    with _administrator(admin_url, report) as admin:
        owner = _owner(admin, database)
        if owner not in (None, user):
            raise StartError(
                f'database "{database}" exists and belongs to "{owner}"; run: '
                f'ALTER DATABASE "{database}" OWNER TO "{user}"'
            )
        url, known = _with_role(admin, url, "INHERIT" if inherit else "NOINHERIT", made)
        _create_owned_database(admin, url, exists=owner is not None)
        if not (inherit or known) and major_version(admin) == _PUBLIC_IS_CLOSED:
            _open_public(admin, url, report)
    return _tried(url) if known else _shown(url)


def create_calls_login(
    admin_url: str,
    target_url: str,
    roles: Iterable[str],
    *,
    renew_password: bool = False,
    made: Told | None = None,
    report: Told | None = None,
) -> str:
    """Create the login of calls that ``target_url`` names, beside a login of events.

    It has no rights of its own (NOINHERIT), may connect, and may become ``roles``, which are made
    where they are not there.
    Without a password in ``target_url`` a new role gets a random one. A role that exists keeps
    what it has.

    :param renew_password: give a role that exists the password of ``target_url`` too.
    :param made: and ``report``, as of :func:`create_database`.
    :returns: the URL to connect with, ``postgresql://user:password@host:port/name``.
    """
    url = _target(target_url)
    login = sql.Identifier(url.username or "")
    with _administrator(admin_url, report) as admin:
        url, known = _with_role(admin, url, "NOINHERIT", made)
        if known and renew_password:
            _run(admin, "ALTER ROLE {} PASSWORD {}", login, _verifier(admin, url))
        _run(admin, "GRANT CONNECT ON DATABASE {} TO {}", sql.Identifier(url.database or ""), login)
        for role in sorted(set(roles)):
            _grant(admin, role, login)
    return _tried(url) if known else _shown(url)


def give_schema(admin_url: str, role: str, report: Callable[[str], None] | None = None) -> None:
    """Give the schema ``wamp`` of a superuser, with what is in it, to another owner.

    Nothing is done where it is that owner's, who could say which object a name means.

    :param admin_url: of the database, for a superuser.
    :param report: told who keeps it waiting.
    """
    aim = "give the schema wamp to another role"
    doubt = "nobody knows whether the schema wamp has its new owner, run it again: it does no harm"
    with (
        connect(admin_url) as admin,
        _explained(admin, aim, "a superuser", "nothing has changed"),
        transaction(admin, doubt),
    ):
        wait_for_turn(admin, report)
        with bounded_waits(admin, "the change of the owner", ", and was undone", report):
            ordinary_owner(admin)
            require_trusted_schema(admin)
            if not _role_exists(admin, role):
                raise StartError(f'there is no role "{role}": make it with LOGIN')
            if not admin.scalar(_IS_USED, {"name": role}):
                raise StartError(
                    f'the role "{role}" cannot log in, and no login is a member of it: name the '
                    f'login of events, or run: ALTER ROLE "{role}" LOGIN, or grant it to that login'
                )
            if _require_trusted_content(admin, role) == role:
                return
            for statement in admin.scalars(text(_NEW_OWNER), {"role": role}).all():
                admin.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _require_trusted_content(admin: Connection, role: str) -> str:
    """Return the owner, if no function of the schema would have more rights with a new one.

    :raises StartError: it is of an ordinary role, which may have made functions in it.
    """
    owner = admin.execute(text(_SCHEMA_OWNER)).first()
    if owner is None:
        raise StartError("the database has no wamp schema: run 'pgwamp db upgrade'")
    if not owner.rolsuper and owner.rolname != role:
        raise StartError(
            f'the schema wamp belongs to "{owner.rolname}", who is no superuser, and whose '
            f'functions in it would get the rights of "{role}": name "{owner.rolname}" in '
            "database.events_url, or run 'pgwamp db downgrade base', and 'pgwamp db upgrade' as "
            f'"{role}"'
        )
    return str(owner.rolname)


def grant_roles(
    admin_url: str, target_url: str, roles: Iterable[str], report: Told | None = None
) -> None:
    """Let the login that ``target_url`` names become ``roles``; one that is not there is made."""
    login = sql.Identifier(_target(target_url).username or "")
    with _administrator(admin_url, report) as admin:
        for role in sorted(set(roles)):
            _grant(admin, role, login)


def _grant(admin: Connection, role: str, login: sql.Composable) -> None:
    if not _role_exists(admin, role):
        _run(admin, "CREATE ROLE {} NOLOGIN", sql.Identifier(role))
    _run(admin, "GRANT {} TO {}", sql.Identifier(role), login)


def _target(url: str) -> URL:
    target = parse(url)
    if not target.username or not target.database:
        raise StartError(
            "the target URL must name a user and a database: postgresql://USER@HOST/NAME"
        )
    return target


def _shown(url: URL) -> str:
    return as_dsn(url.set(drivername="postgresql"))


def _tried(url: URL) -> str:
    """The URL of a role that was there before, which may have another password."""
    if url.password:
        with connect(_shown(url)):
            pass
    return _shown(url)


@contextmanager
def _administrator(url: str, report: Told | None) -> Iterator[Connection]:
    """A connection that may create roles and databases, each statement by itself."""
    right = "a superuser, or a role with CREATEROLE and CREATEDB"
    left = "run it again, which leaves what is made already as it is"
    with (
        connect(url, _ADMIN, isolation_level="AUTOCOMMIT") as admin,
        _explained(admin, "create role or database", right, left),
        bounded_waits(admin, "making role and database", report=report),
    ):
        yield admin


@contextmanager
def _explained(admin: Connection, aim: str, right: str, left: str) -> Iterator[None]:
    """Say in one line what could not be done, and who may do it.

    :param left: what is so where the connection was lost.
    """
    try:
        yield
    except DBAPIError as error:
        line = f'"{admin.engine.url.username}" could not {aim}: {words_of(error)}'
        if is_lost(error):
            line += f"; {left}"
        elif getattr(error.orig, "pgcode", None) in _LACKING:
            line += f"; name an administrator's URL: {right}"
        raise StartError(line) from None


def _open_public(admin: Connection, url: URL, report: Told | None) -> None:
    """Let the owner of a database use its schema public as every other owner does."""
    user = url.username or ""
    place = as_dsn(admin.engine.url.set(drivername="postgresql", database=url.database))
    with (
        _membership(admin, user),
        connect(place, _ADMIN, isolation_level="AUTOCOMMIT") as own,
        bounded_waits(own, "opening the schema public", report=report),
    ):
        _run(own, "SET ROLE pg_database_owner")
        _run(own, "GRANT ALL ON SCHEMA public TO {}", sql.Identifier(user))


def _with_role(admin: Connection, url: URL, attributes: str, made: Told | None) -> tuple[URL, bool]:
    """The URL of a role, which is made unless it is there, and whether it was."""
    if _role_exists(admin, url.username or ""):
        return url, True
    url = url.set(password=url.password or secrets.token_urlsafe(24))
    role, verifier = sql.Identifier(url.username or ""), _verifier(admin, url)
    rights = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {attributes}"
    may_be_made = True
    try:
        _run(admin, f"CREATE ROLE {{}} {rights} PASSWORD {{}}", role, verifier)
    except DBAPIError as error:
        may_be_made = is_lost(error)
        raise
    finally:
        # Also where Ctrl-C has come: who cancels a COMMIT that waits for a standby has made it. If
        # the role is not there, running it again with this URL makes it.
        if made is not None and may_be_made:
            made(_shown(url))
    return url, False


def _verifier(admin: Connection, url: URL) -> sql.Composable:
    # Hashed here, so that the password itself is never in the server's log.
    user, password = url.username or "", url.password or ""
    return sql.Literal(extensions.encrypt_password(password, user, scope=driver(admin)))


def _role_exists(admin: Connection, name: str) -> bool:
    query = text("select exists (select from pg_roles where rolname = :name)")
    return bool(admin.scalar(query, {"name": name}))


def _owner(admin: Connection, database: str) -> str | None:
    query = text("select pg_get_userbyid(datdba) from pg_database where datname = :name")
    owner: str | None = admin.scalar(query, {"name": database})
    return owner


def _create_owned_database(admin: Connection, url: URL, exists: bool) -> None:
    database, role = sql.Identifier(url.database or ""), sql.Identifier(url.username or "")
    with _membership(admin, url.username or ""):
        if not exists:
            # Another encoding is refused later (pgwamp.database.encoding).
            options = "" if admin.scalar(_IS_UTF8) else " ENCODING 'UTF8' TEMPLATE template0"
            _run(admin, f"CREATE DATABASE {{}} OWNER {{}}{options}", database, role)
        _run(admin, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database)


@contextmanager
def _membership(admin: Connection, role: str) -> Iterator[None]:
    """Be a member of ``role`` for a moment: only so can an ordinary role give it a database."""
    # From PostgreSQL 16 membership alone does not allow SET ROLE.
    right = "SET" if major_version(admin) >= 16 else "MEMBER"
    if admin.scalar(select(func.pg_has_role(role, right))):
        yield
        return
    _run(admin, "GRANT {} TO CURRENT_USER", sql.Identifier(role))
    try:
        yield
    finally:
        _run(admin, "REVOKE {} FROM CURRENT_USER", sql.Identifier(role))


def _run(admin: Connection, statement: str, *parts: sql.Composable) -> None:
    composed = sql.SQL(statement).format(*parts).as_string(driver(admin))
    admin.exec_driver_sql(composed, execution_options={"no_parameters": True})
