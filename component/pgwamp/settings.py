"""Settings: ``pgwamp.toml``, overridden by the environment.

Nothing else in pgwamp reads configuration from the environment. A wrong or
unknown key is a :class:`~pgwamp.errors.SettingsError` that names the key and
the place it came from.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import URL

from pgwamp.database_url import as_dsn, parse_database_url, place_of
from pgwamp.errors import SettingsError
from pgwamp.formats import (
    MOST_SECONDS,
    Channel,
    ChannelTopic,
    Count,
    Duration,
    Prefix,
    RoleName,
    RouterUrl,
    Seconds,
    Topics,
)
from pgwamp.secret_values import HEX_KEY, files_of_urls, holds_secret
from pgwamp.setting_errors import Sources, explain, refuse_unknown_variables
from pgwamp.variables import URL_VARIABLE, nested, with_files

#: Variables with our prefix that are not settings.
_OTHER_VARIABLES = re.compile(r"PGWAMP_(CONFIG|CROSSBAR|TEST_\w+)")
_URL = ("database", "url")
#: The largest max_connections that PostgreSQL takes.
_MOST_CONNECTIONS = 262_143
#: What the settings know beside settings.
_NO_SETTINGS = {"folder"}


def _database_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        parse_database_url(value.get_secret_value())
    return value


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    """A relative path starts at the folder of the configuration file."""
    return Path(info.context["folder"], path) if info.context else path


InFolder = Annotated[Path, AfterValidator(_in_folder)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(_Section):
    """``[database]``: where PostgreSQL is, and how many connections to hold."""

    #: The login of calls: with access.roles it needs no rights of its own.
    url: DatabaseUrl = SecretStr("")
    #: The login of events and the catalog, which owns the schema wamp; a direct connection.
    events_url: DatabaseUrl = SecretStr("")
    listen_url: DatabaseUrl = SecretStr("")
    #: PostgreSQL role of access.roles -> the login of its calls, which may become no other role.
    logins: Mapping[RoleName, DatabaseUrl] = Field(default_factory=dict)
    #: ``url`` goes through a transaction pooler; so it does where ``listen_url`` is set.
    pooler: bool = False
    replica_url: DatabaseUrl = SecretStr("")
    pool_min: int = Field(2, ge=0)
    #: Connections of one pool of calls; there is one pool for reads and one for writes.
    pool_max: int = Field(10, ge=1, le=_MOST_CONNECTIONS)
    #: Seconds to wait for a free connection.
    acquire_timeout: Seconds = 10

    #: Where ``url`` is set, as errors name it.
    _url_setting: str = PrivateAttr(URL_VARIABLE)

    @model_validator(mode="after")
    def _bounds(self) -> DatabaseSettings:
        direct = self.events_url.get_secret_value() or self.listen_url.get_secret_value()
        if self.pooler and not direct:
            raise ValueError("pooler needs events_url or listen_url, a direct connection")
        if self.pool_min > self.pool_max:
            raise ValueError("pool_min is larger than pool_max")
        return self

    def dsn(self) -> str:
        """The database for calls, as libpq and asyncpg take it."""
        return _dsn(self.url)

    def events_dsn(self) -> str:
        """The direct connection for events, the catalog, LISTEN and migrations."""
        return _dsn(self.events_url) or _dsn(self.listen_url) or self.dsn()

    def read_dsn(self) -> str:
        """Where read-only calls go."""
        return _dsn(self.replica_url) or self.dsn()

    @property
    def events_setting(self) -> str:
        """The setting that :meth:`events_dsn` comes from, as errors name it."""
        if self.events_url.get_secret_value():
            return "database.events_url"
        return "database.listen_url" if self.listen_url.get_secret_value() else self.url_setting

    @property
    def url_setting(self) -> str:
        """Where ``url`` is set, as errors name it."""
        return self._url_setting

    def user_of(self, role: str) -> str:
        """The user that logs in for the calls of a role in ``logins``."""
        return _url(self.logins[role]).username or ""

    def login_dsn(self, role: str, *, read_only: bool = False) -> str:
        """The database for the calls of a role in ``logins``; on the replica as the same user."""
        own = _dsn(self.logins[role])
        replica = _dsn(self.replica_url)
        if not (read_only and replica):
            return own
        user = _url(self.logins[role])
        url = _url(self.replica_url).set(username=user.username, password=user.password)
        return as_dsn(url)

    def local(self) -> DatabaseSettings:
        """The same with two addresses alone, as ``pgwamp dev`` serves a server of its own."""
        names = ("url", "events_url", "pool_min", "pool_max", "acquire_timeout")
        return DatabaseSettings(**{name: getattr(self, name) for name in names})

    def places(self) -> str:
        """Host and port of every address, as logs name them."""
        dsns = (self.dsn(), self.events_dsn(), self.read_dsn())
        return ", ".join(dict.fromkeys(place_of(dsn) for dsn in dsns))

    @property
    def pooled(self) -> bool:
        """Whether ``url`` goes through a transaction pooler such as PgBouncer."""
        return self.pooler or bool(self.listen_url.get_secret_value())


def _url(secret: SecretStr) -> URL:
    return parse_database_url(secret.get_secret_value())


def _dsn(secret: SecretStr) -> str:
    return as_dsn(_url(secret)) if secret.get_secret_value() else ""


class RouterAuth(_Section):
    """``[router.auth]``: how the component authenticates at the router."""

    method: Literal["anonymous", "ticket", "wampcra", "scram", "cryptosign"] = "anonymous"
    authid: str = ""
    #: The ticket, the WAMP-CRA secret or the SCRAM password.
    secret: SecretStr = SecretStr("")
    #: cryptosign: the private key in hex, or the path of a file that holds it.
    private_key: SecretStr = SecretStr("")

    @field_validator("private_key")
    @classmethod
    def _in_folder(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        key = value.get_secret_value()
        if not key or HEX_KEY.fullmatch(key):
            return value
        return SecretStr(str(_in_folder(Path(key), info)))

    @model_validator(mode="after")
    def _complete(self) -> RouterAuth:
        if self.method == "anonymous":
            return self
        if not self.authid:
            raise ValueError(f'method "{self.method}" needs authid')
        needed = "private_key" if self.method == "cryptosign" else "secret"
        if not getattr(self, needed).get_secret_value():
            raise ValueError(f'method "{self.method}" needs {needed}')
        return self

    def key_file(self) -> Path | None:
        """The file that ``private_key`` names, if it is not the key itself."""
        key = self.private_key.get_secret_value()
        return Path(key) if key and not HEX_KEY.fullmatch(key) else None


class RouterTls(_Section):
    """``[router.tls]``: certificates for ``wss://`` and ``rss://``, as files in PEM."""

    #: Authorities that are trusted instead of the machine's.
    ca: InFolder | None = None
    #: The component's own certificate, and its key if that is not in the same file.
    certificate: InFolder | None = None
    key: InFolder | None = None

    @model_validator(mode="after")
    def _complete(self) -> RouterTls:
        if self.key and not self.certificate:
            raise ValueError("key needs certificate")
        return self


class RouterSettings(_Section):
    """``[router]``: the WAMP router and the realm to join."""

    url: RouterUrl = "ws://127.0.0.1:8080/ws"
    realm: str = Field("realm1", min_length=1)
    serializer: Literal["msgpack", "cbor", "json"] = "msgpack"
    auth: RouterAuth = RouterAuth()
    tls: RouterTls = RouterTls()

    @property
    def place(self) -> str:
        """The URL as errors and logs name it: its query may hold a token."""
        return self.url.partition("?")[0]


class ExposeSettings(_Section):
    """``[expose]``: what of the database becomes procedures, under which prefix."""

    prefix: Prefix = "com.example"
    schemas: tuple[str, ...] = ()
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    #: Relation or routine ("name" or "schema.name") -> its part of the URI.
    alias: Mapping[str, Annotated[str, Field(pattern=r"^[^\s.#]+$")]] = Field(default_factory=dict)
    #: Folder of ``.sql`` files.
    queries: InFolder | None = None
    #: Python modules with procedures, importable from the configuration file's folder.
    procedures: tuple[str, ...] = ()
    #: ``"number"`` or, for callers in JavaScript, ``"string"``.
    bigint: Literal["number", "string"] = "number"


class AccessSettings(_Section):
    """``[access]``: WAMP authrole -> PostgreSQL role of each call."""

    roles: Mapping[str, RoleName] = Field(default_factory=dict)
    before: str = ""


class EventSettings(_Section):
    """``[events]``: what ``wamp.publish`` may do, LISTEN channels, how long events are kept."""

    #: Beside what is below the prefix: topics, or with a dot at the end all below one.
    publish_topics: tuple[Topics, ...] = ()
    #: PostgreSQL roles that get EXECUTE.
    publish_roles: tuple[RoleName, ...] = ()
    channels: Mapping[Channel, ChannelTopic] = Field(default_factory=dict)
    retain: Duration = timedelta(hours=72)
    #: Seconds between two evaluations of one live query.
    live_interval: Seconds = 0.1


class LimitSettings(_Section):
    """``[limits]``: what one call may ask for, and what one caller may take of the service."""

    #: Rows of a result, and of each level of what is embedded in it.
    max_rows: Count = 1000
    #: Bytes of one WAMP message; Crossbar's own limit is 16 MiB.
    max_bytes: int = Field(15_000_000, ge=1024, le=16_000_000)
    #: Seconds until a call ends with wamp.error.timeout.
    call_timeout: Seconds = 30
    #: Seconds that a call with progressive results may take in all.
    stream_timeout: Seconds = 600
    #: Seconds that calls under way have to end when the component stops; None: call_timeout.
    drain_timeout: float | None = Field(None, ge=0, le=MOST_SECONDS)

    #: Values in the arguments of one call, those in lists and dicts included.
    max_values: Count = Field(20_000, ge=100)
    #: Levels of ``where`` and of ``include``, and steps of a path into a value.
    max_depth: int = Field(10, ge=1, le=30)
    #: Bytes of one name: a column with its path and cast, a key of ``include``, a term of order.
    max_name: Count = Field(1000, ge=63)
    #: Names of columns in one call, in all lists of them and at all levels; a step of a path into a
    #: value counts as one, and so does each column of a whole row that is embedded.
    max_columns: int = Field(300, ge=1, le=1600)
    #: Conditions of one call, those in its includes counted.
    max_conditions: Count = 200
    #: Related relations that one call embeds, asks conditions of, or orders by.
    max_includes: Count = 20

    #: Bytes of the arguments of all calls under way and waiting; further large ones are refused.
    argument_bytes: int = Field(100_000_000, ge=1_000_000)
    #: Calls served at a time; further ones wait their turn.
    concurrency: Count = 64
    #: Calls that go on until their caller cancels them, such as follow; further ones are refused.
    followers: Count = 1000
    #: Share of concurrency, connections and followers that one session, and one authid, may take.
    per_session: float = Field(0.25, gt=0, le=1)
    #: Share of the same that no single authrole takes, so that there is something left for others.
    reserve: float = Field(0.25, ge=0, lt=1)
    #: Calls of one session that wait for their turn; further ones are refused.
    waiting: Count = 256

    @property
    def drain_seconds(self) -> float:
        """The longest that the component waits for calls when it stops."""
        return self.call_timeout if self.drain_timeout is None else self.drain_timeout


class MetricsSettings(_Section):
    """``[metrics]``: a page for Prometheus."""

    #: 0 is off.
    port: int = Field(0, ge=0, le=65535)
    host: str = Field("127.0.0.1", min_length=1)


class LogSettings(_Section):
    """``[log]``: structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    #: ``auto`` is ``console`` on a terminal and ``json`` elsewhere.
    format: Literal["auto", "console", "json"] = "auto"


class DevSettings(_Section):
    """``[dev]``: what ``pgwamp dev`` runs to bring the application's schema and data."""

    #: Commands run in order in the configuration file's folder, with DATABASE_URL set.
    setup: tuple[str, ...] = ()
    database: str = "app"


class Settings(_Section):
    """Everything that can be configured; see ``docs/configuration.md``."""

    database: DatabaseSettings = DatabaseSettings()
    router: RouterSettings = RouterSettings()
    expose: ExposeSettings = ExposeSettings()
    access: AccessSettings = AccessSettings()
    events: EventSettings = EventSettings()
    limits: LimitSettings = LimitSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    dev: DevSettings = DevSettings()

    #: Folder that relative paths start from: where ``pgwamp.toml`` lies.
    folder: Path = Field(default_factory=Path.cwd, exclude=True)
    #: The configuration file, if there is one.
    _file: Path | None = PrivateAttr(None)
    #: Files that secrets were read from.
    _read_from: tuple[Path, ...] = PrivateAttr(())

    @classmethod
    def load(cls, path: Path | None = None, **overrides: Any) -> Settings:
        """Read ``path`` (default ``pgwamp.toml`` here, if there is one) and the environment.

        ``overrides`` (section -> dict) win over both. Raises
        :class:`~pgwamp.errors.SettingsError` naming every wrong key.
        """
        given = path or (Path(p) if (p := os.environ.get("PGWAMP_CONFIG")) else None)
        file = given or Path("pgwamp.toml")
        data: dict[str, Any] = {}
        if _is_file(file):
            data = _read_toml(file)
        elif given is not None:
            raise SettingsError(f"{file}: no such file (--config or PGWAMP_CONFIG names it)")
        variables, named = with_files(
            {k: v for k, v in os.environ.items() if not _OTHER_VARIABLES.fullmatch(k)}
        )
        refuse_unknown_variables(variables, cls, _NO_SETTINGS)
        sources = Sources(file, data, os.environ, variables)
        given_here = _merge(_from_database_url(variables), nested(variables, cls))
        values = _merge(_merge(data, given_here), overrides)
        if wrong := _NO_SETTINGS & values.keys():
            raise SettingsError(f"{wrong.pop()}: unknown setting (set in {file})")
        if holds_secret(data):
            named.append(file)
        folder = file.resolve().parent
        try:
            settings = cls.model_validate({**values, "folder": folder}, context={"folder": folder})
        except ValidationError as error:
            raise SettingsError(explain(error, sources, cls, _NO_SETTINGS)) from None
        if "url" not in overrides.get("database", {}) and (setting := sources.setting(_URL)):
            settings.database._url_setting = setting
        settings._file = file if data else None
        settings._read_from = tuple(named)
        return settings

    def require_database(self) -> None:
        """Raise :class:`~pgwamp.errors.SettingsError` unless a database is named."""
        if not self.database.url.get_secret_value():
            raise SettingsError(
                "no database: set DATABASE_URL=postgres://user:password@host:port/database, "
                "or database.url in pgwamp.toml"
            )

    def require_exposure(self) -> None:
        """Raise :class:`~pgwamp.errors.SettingsError` if nothing would be exposed."""
        if not (self.expose.schemas or self.expose.queries or self.expose.procedures):
            raise SettingsError(
                "nothing is exposed: name schemas in expose.schemas, "
                "for example PGWAMP_EXPOSE__SCHEMAS=public"
            )

    def secret_files(self) -> list[Path]:
        """Files that secrets are read from."""
        database, tls = self.database, self.router.tls
        urls = [database.url, database.events_url, database.listen_url, database.replica_url]
        urls += database.logins.values()
        named = files_of_urls(url.get_secret_value() for url in urls)
        # A certificate without a key of its own has it in the same file.
        of_router = (self.router.auth.key_file(), tls.key or tls.certificate)
        named += [path for path in of_router if path]
        return list(dict.fromkeys([*self._read_from, *named]))

    def trusted_files(self) -> list[Path]:
        """Files and folders that say how the component behaves: who may write there commands it."""
        named = (self._file, self.expose.queries, self.router.tls.ca)
        return [path for path in named if path]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder that may not be searched
        return False


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: the file cannot be read: {error.strerror}") from None
    except RecursionError:
        raise SettingsError(f"{file}: lists or tables are nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number that Python refuses to read
        raise SettingsError(f"{file}: not valid TOML: {error}") from None


def _from_database_url(environ: Mapping[str, str]) -> dict[str, Any]:
    url = environ.get(URL_VARIABLE)
    return {"database": {"url": url}} if url else {}


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
