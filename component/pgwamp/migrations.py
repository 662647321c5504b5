"""Brings a database to the revision of the ``wamp`` schema that this version needs.

Alembic does the work; its environment is the package ``pgwamp.schema``. Every function takes the
database as a URL, ``postgresql://user:password@host:port/name``, and raises
:class:`~pgwamp.errors.StartError` with one line that names the cure.
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from psycopg2 import errorcodes, extensions
from sqlalchemy import URL, Connection, create_engine, event, pool, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from pgwamp.database.blockers import LONGEST_LOCK_SECONDS
from pgwamp.database.connect import OWN_SEARCH_PATH, undisturbed
from pgwamp.database.encoding import SERVER_ENCODING, encoding_problem
from pgwamp.database_url import SEVERAL_HOSTS, parse_database_url
from pgwamp.dependents import depended_upon
from pgwamp.errors import StartError
from pgwamp.interrupts import interruptible
from pgwamp.migration_lock import bounded_waits, wait_for_turn
from pgwamp.old_schema import OLD_REVISIONS, drop_old_schema, old_schema, watch_again
from pgwamp.ownership import (
    become_owner,
    ordinary_owner,
    require_own_schema,
    require_trusted_schema,
)
from pgwamp.privileged import complete, renew_evaluate, require_shipped
from pgwamp.refusals import is_lost, lost, place_of, refused, transaction, unreachable
from pgwamp.schema_sql import source
from pgwamp.watch_statements import find_watches, tell_script

SCHEMA_PACKAGE = "pgwamp.schema"
#: Holds the version table; nothing of the application's is in it.
SCHEMA = "wamp"
OLDEST_SERVER = 14
#: Where the address comes from, as errors name it.
SETTING = "DATABASE_URL, or database.events_url where that is set"
CONNECT_TIMEOUT = 10
_DOUBT = "nobody knows whether the migration was committed, 'pgwamp db current' says"

# Alembic keeps the environment it runs in module globals.
_alembic = threading.RLock()


class Revision(NamedTuple):
    """One migration of the ``wamp`` schema."""

    revision: str
    down_revision: str | None
    description: str


_IS_BARE = text("select to_regclass('wamp.log') is not null")
Result = TypeVar("Result")


def upgrade(
    dsn: str,
    revision: str = "head",
    report: Callable[[str], None] | None = None,
    *,
    replaced: Callable[[str], None] | None = None,
) -> str | None:
    """Migrate up to ``revision``, all or nothing; nothing happens if it is there already.

    At the head, a superuser also installs the event triggers of hot reload if they are missing. In
    the schema of an ordinary role it does nothing else, and runs and reads nothing of that role's.

    :param report: told each revision as it is applied, and what this role could not make.
    :param replaced: told that a schema of before the revisions began anew, which is an error
        otherwise, was dropped with its events, and its tables are watched again; and in a line each
        which are not.
    :returns: the revision that the schema is at; None for a superuser in that of another.
    """

    _require_named(revision)

    def act(connection: Connection, config: Config) -> str | None:
        encoding = connection.scalar(text(SERVER_ENCODING))
        if problem := encoding_problem(str(encoding)):
            raise StartError(problem)
        # First of all: from here on the schema is the one that is asked about.
        owner = ordinary_owner(connection)
        renew_evaluate(connection)
        require_trusted_schema(connection)
        if owner is not None:
            if revision not in ("head", head()):
                raise StartError(
                    f'the schema wamp belongs to "{owner}": run this as that role; a superuser '
                    "only makes there what takes more rights, at the newest revision"
                )
            require_shipped(connection, owner)
            complete(connection, report)
            reached = None
        else:
            reached = _apply(connection, config, revision, replaced, report)
        # Once more: conditions may run as another role now.
        require_trusted_schema(connection)
        return reached

    return _migrate(act, dsn, report)


def downgrade(
    dsn: str,
    revision: str,
    report: Callable[[str], None] | None = None,
    *,
    script: Callable[[str], None] | None = None,
) -> None:
    """Migrate down to ``revision``; ``base`` removes the schema with everything in it.

    :param report: told each revision as it is undone.
    :param script: told the lines of a script for psql that watches the tables again, where the
        schema is removed. If it raises, nothing is.
    """
    _require_named(revision)
    _migrate(lambda connection, config: _undo(connection, config, revision, script), dsn, report)


def current(dsn: str, report: Callable[[str], object] | None = None) -> str | None:
    """The revision that the database is at; None if it has no ``wamp`` schema.

    :param report: told who keeps it waiting.
    """
    with connect(dsn) as connection:
        try:
            with bounded_waits(connection, "looking for the revision", report=report):
                return _current(connection)
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) == errorcodes.INSUFFICIENT_PRIVILEGE:
                raise StartError(
                    f'user "{connection.engine.url.username}" may not read the revision of the '
                    "wamp schema: run this as its owner, or as a member of that role"
                ) from None
            raise


def head() -> str:
    """The revision that this version of pgwamp needs."""
    with _scripts() as scripts:
        found = scripts.get_current_head()
    assert found is not None
    return found


def history() -> list[Revision]:
    """All revisions, the oldest first."""
    with _scripts() as scripts:
        return [_revision(script) for script in reversed(list(scripts.walk_revisions()))]


def pending(dsn: str) -> list[Revision]:
    """The revisions that the database still lacks, the next one first."""
    known = history()
    found = current(dsn)
    position = [None, *(revision.revision for revision in known)]
    _require_known(found)
    return known[position.index(found) :]


def revision(message: str, dsn: str | None = None) -> Path:
    """For developers: add an empty revision after the head, and return its file.

    :param dsn: a database at the head; the revision then has what its tables lack of the models.
    """
    with ExitStack() as stack:
        # In a checkout it is a link to the folder at the top.
        folder = stack.enter_context(_folder()).resolve()
        if folder.name != "schema" or not (folder.parent / "setup.cfg").is_file():
            raise StartError(
                "a revision belongs in a source checkout, and this is an installed pgwamp; "
                "clone the repository and run: pip install -e ."
            )
        connection = stack.enter_context(connect(dsn)) if dsn else None
        config = _config(folder, connection)
        number = f"{int(head()) + 1:04d}"
        if connection is not None:
            stack.enter_context(bounded_waits(connection, "looking for what differs"))
        with _alone():
            try:
                script = command.revision(
                    config, message, rev_id=number, autogenerate=connection is not None
                )
            except CommandError as error:
                raise StartError(str(error)) from None
    assert isinstance(script, Script)
    return Path(script.path)


def _require_named(revision: str) -> None:
    if not revision:
        raise StartError("no revision is named: 'pgwamp db history' lists them")


def _migrate(
    action: Callable[[Connection, Config], Result],
    dsn: str,
    report: Callable[[str], None] | None,
) -> Result:
    """Do something to the schema in a transaction, when it is our turn."""

    def applied(step: Any, **_: Any) -> None:
        if report is not None:
            verb = "upgraded to" if step.is_upgrade else "downgraded from"
            script = step.up_revision
            report(f"{verb} {script.revision}: {script.doc}")

    with _folder() as folder, connect(dsn) as connection, _alone():
        config = _config(folder, connection)
        config.attributes["on_version_apply"] = applied
        try:
            with transaction(connection, _DOUBT):
                wait_for_turn(connection, report)
                with bounded_waits(connection, "the migration", ", and was undone", report):
                    return action(connection, config)
        except CommandError as error:
            raise StartError(f"{error}: 'pgwamp db history' lists the revisions") from None
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None)
            words = str(error.orig).partition("\n")[0]
            if code == errorcodes.DEPENDENT_OBJECTS_STILL_EXIST and (
                named := depended_upon(connection, words)
            ):
                raise named from None
            raise refused(error, connection.engine.url) from None


def _undo(
    connection: Connection, config: Config, target: str, script: Callable[[str], None] | None
) -> None:
    require_own_schema(connection)
    become_owner(connection)
    found = _current(connection)
    if found is None:
        raise StartError(
            "the schema wamp is a copy without its data: 'pgwamp db upgrade' makes it whole first"
            if connection.scalar(_IS_BARE)
            else "the database has no wamp schema: there is nothing to undo"
        )
    if found in OLD_REVISIONS and target == "base":
        watches = drop_old_schema(connection)
    else:
        _require_known(found)
        watches = find_watches(connection)
        command.downgrade(config, target)
        if _current(connection) is not None:
            return
        # Without CASCADE: what somebody else has put there is not ours to remove.
        _run(connection, f"DROP TABLE {SCHEMA}.alembic_version")
        _run(connection, f"DROP SCHEMA {SCHEMA}")
    # While the transaction is open: whoever cannot be told keeps the watches.
    tell_script(watches, script)


def _apply(
    connection: Connection,
    config: Config,
    target: str,
    replaced: Callable[[str], None] | None,
    report: Callable[[str], None] | None,
) -> str | None:
    is_there = require_own_schema(connection)
    become_owner(connection)
    found = _current(connection)
    watches = None
    if found in OLD_REVISIONS and replaced is not None:
        watches = drop_old_schema(connection)
    elif found is None and is_there and connection.scalar(_IS_BARE):
        # As pg_dump --schema-only leaves it, and at the first revision, the only one there is.
        _run(connection, source("0101/start"))
        connection.execute(text("insert into wamp.alembic_version values ('0101')"))
    else:
        _require_known(found)
    command.upgrade(config, target)
    reached = _current(connection)
    if reached == head():
        # RESET would bring back the role that ALTER DATABASE may have named.
        connection.execute(text("set local role none"))
        if watches is not None and replaced is not None:
            watch_again(connection, watches, replaced)
        complete(connection, report)
    return reached


def _require_known(found: str | None) -> None:
    if found in OLD_REVISIONS:
        raise old_schema(found)
    if found is not None and found not in {known.revision for known in history()}:
        raise StartError(unknown(found))


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _current(connection: Connection) -> str | None:
    if not require_own_schema(connection):
        return None
    with _alone():
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        return context.get_current_revision()


def _revision(script: Script) -> Revision:
    down = script.down_revision
    assert down is None or isinstance(down, str)
    return Revision(script.revision, down, script.doc)


def unknown(found: str | None) -> str:
    """Return what to do with a schema of a later version."""
    return (
        f"the wamp schema is at revision {found}, which this version of pgwamp does not know: "
        "it was upgraded by a later version; install that one"
    )


@contextmanager
def _folder() -> Iterator[Path]:
    with as_file(files(SCHEMA_PACKAGE)) as folder:
        yield folder


def _config(folder: Path, connection: Connection | None = None) -> Config:
    config = Config(stdout=io.StringIO(), attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


@contextmanager
def _scripts() -> Iterator[ScriptDirectory]:
    with _folder() as folder:
        yield ScriptDirectory.from_config(_config(folder))


@contextmanager
def _alone() -> Iterator[None]:
    """Use Alembic, one thread at a time, without what it logs; ``report`` says the same."""
    with _alembic:
        logger = logging.getLogger("alembic")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def connect(dsn: str, setting: str = SETTING, **options: Any) -> Iterator[Connection]:
    """A connection of its own, closed at the end. It waits for no lock without a bound.

    :param setting: that the address comes from, as errors name it.
    :raises StartError: it cannot be made, or was lost in a statement whose error nobody else has
        caught.
    """
    url = parse(dsn)
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT}
    engine = create_engine(
        url, poolclass=pool.NullPool, connect_args=arguments, execution_options=options
    )
    event.listen(engine, "connect", _pin_settings, insert=True)
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise unreachable(error, url, setting) from None
    try:
        with connection, interruptible(driver(connection)):
            version = major_version(connection)
            if version < OLDEST_SERVER:
                raise StartError(
                    f"PostgreSQL {OLDEST_SERVER} or later is needed; {place_of(url)} is {version}"
                )
            yield connection
    except DBAPIError as error:
        if is_lost(error):
            raise lost(error, url) from None
        raise


def _pin_settings(driver: extensions.connection, _record: object) -> None:
    """Begin with settings of our own.

    Nobody's functions and operators stand in for those of the system, and the timeouts of a login
    are meant for calls.
    """
    # In one message: after a BEGIN of its own, a session that may be idle in a transaction for a
    # millisecond would end before the settings come.
    driver.autocommit = True
    with driver.cursor() as cursor:
        # ALTER DATABASE can have every session begin as another role.
        cursor.execute(f"set role none; set search_path = {OWN_SEARCH_PATH}")
        cursor.execute(undisturbed(local=False))
        cursor.execute(f"set lock_timeout = '{round(LONGEST_LOCK_SECONDS)}s'")
    driver.autocommit = False


def driver(connection: Connection) -> extensions.connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, extensions.connection)
    return driver


def major_version(connection: Connection) -> int:
    return driver(connection).server_version // 10000


def parse(dsn: str) -> URL:
    """Return a URL for SQLAlchemy, which takes fewer forms of several hosts than libpq does."""
    try:
        url = parse_database_url(dsn).set(drivername="postgresql+psycopg2")
    except ValueError as error:
        raise StartError(f"database URL: {error}") from None
    try:
        (*_, found) = url.get_dialect()().create_connect_args(url)
        # It takes the brackets of one address among several for a part of a name.
        if "[" in found.get("host", ""):
            raise ValueError
    except (ArgumentError, ValueError):
        raise StartError(
            f"database URL: write several hosts each with its port, as in {SEVERAL_HOSTS}, and an "
            "IPv6 address alone"
        ) from None
    return url
