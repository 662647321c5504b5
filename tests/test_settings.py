"""Settings from the environment, from files and from ``pgwamp.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pgwamp.errors import SettingsError
from pgwamp.settings import Settings

SECRET = "s3cr3t-word"
KEY = "5a" * 32


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the settings of variables, in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def load(toml: str = "", **variables: str) -> Settings:
        if toml:
            (tmp_path / "pgwamp.toml").write_text(toml)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings.load(None)

    return load


@pytest.mark.parametrize(
    ("text", "schemas"),
    [
        ("public", ("public",)),
        ("public,sales", ("public", "sales")),
        (" public , sales ,", ("public", "sales")),
        ('["public", "sales"]', ("public", "sales")),
        ("", ()),
    ],
)
def test_a_list_is_written_with_commas_or_as_json(
    load: Any, text: str, schemas: tuple[str, ...]
) -> None:
    assert load(PGWAMP_EXPOSE__SCHEMAS=text).expose.schemas == schemas


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PGWAMP_EXPOSE__SCHEMAS", f'["{SECRET}"', 'expected a,b or ["a", "b"]'),
        ("PGWAMP_EXPOSE__SCHEMAS", f'{{"{SECRET}": 1}}', 'expected a,b or ["a", "b"]'),
        ("PGWAMP_ACCESS__ROLES", f"anonymous={SECRET}", 'expected {"a": "b"}'),
        ("PGWAMP_ACCESS__ROLES", f'["{SECRET}"]', 'expected {"a": "b"}'),
        ("PGWAMP_DATABASE__LOGINS", f'{{"r": "mysql://u:{SECRET}@h/d"}}', "expected postgres://"),
        ("PGWAMP_ROUTER__AUTH", SECRET, 'expected {"a": "b"}'),
        ("PGWAMP_ROUTER__TLS__KEY", "key.pem", "key needs certificate"),
        ("PGWAMP_DATABASE__LOGINS", f'{{"postgresql://u:{SECRET}@h/d": "web"}}', "not a URL"),
        ("PGWAMP_ACCESS__ROLES", f'{{"web": "postgresql://u:{SECRET}@h/d"}}', "not a URL"),
        ("PGWAMP_EVENTS__PUBLISH_ROLES", f"postgresql://u:{SECRET}@h/d", "not a URL"),
        ("PGWAMP_ROUTER__URL", f"ws://joe:{SECRET}@h/ws", "set router.auth instead"),
        ("PGWAMP_ROUTER__URL", f"http://joe:{SECRET}@h/ws", "expected ws://host:port/path"),
        ("PGWAMP_ROUTER__URL", f"ws://h:{SECRET}/ws", "with a port between 1 and 65535"),
        ("PGWAMP_ROUTER__URL", f"ws://h/ws#{SECRET}", "expected ws://host:port/path"),
        ("PGWAMP_ROUTER__URL", "ws://h:65536/ws", "with a port between 1 and 65535"),
        ("PGWAMP_EXPOSE__PREFIX", f"postgresql://u:{SECRET}@h/d", "dot-separated lower-case parts"),
        ("PGWAMP_EVENTS__CHANNELS", f'{{"x": "com.{SECRET}.inserted"}}', "a topic of changes"),
        ("DATABASE_URL_FILE", f"postgresql://u:{SECRET}@h/d", "the file cannot be read"),
    ],
)
def test_a_value_of_another_form_is_one_line_without_the_value(
    load: Any, name: str, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: text})
    line = str(caught.value)
    assert said in line
    assert name.rpartition("__")[0] in line
    assert SECRET not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PGWAMP_EVENTS__RETAIN", "9" * 20 + "d", "expected a duration of up to 36500 days"),
        ("PGWAMP_EVENTS__RETAIN", "9" * 400 + "d", "expected a duration of up to 36500 days"),
        ("PGWAMP_EXPOSE__SCHEMAS", "[" * 3000, 'expected a,b or ["a", "b"]'),
        ("PGWAMP_ACCESS__ROLES", '{"a":' * 3000, 'expected {"a": "b"}'),
        ("PGWAMP_LIMITS__CALL_TIMEOUT", "inf", "less than or equal to 2147483"),
        ("PGWAMP_LIMITS__DRAIN_TIMEOUT", "1e300", "less than or equal to 2147483"),
        ("PGWAMP_LIMITS__MAX_ROWS", "9" * 30, "less than or equal to 2147483647"),
        ("PGWAMP_DATABASE__POOL_MAX", "9" * 9, "less than or equal to 262143"),
    ],
)
def test_a_value_beyond_all_bounds_is_an_error_of_its_setting(
    load: Any, name: str, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: text})
    assert said in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("a = " + "[" * 3000, "nested too deeply"),
        ("a = " + "{a = " * 3000, "nested too deeply"),
        ("a = " + "9" * 5000, "not valid TOML: Exceeds the limit"),
        ("[events]\nretain = -5", "events.retain: expected a duration of up to"),
    ],
)
def test_a_file_beyond_all_bounds_is_an_error_that_names_the_file(
    load: Any, toml: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(toml)
    assert said in str(caught.value)
    assert "pgwamp.toml" in str(caught.value)


def test_a_file_with_a_name_that_is_too_long_is_not_there() -> None:
    with pytest.raises(SettingsError, match="no such file"):
        Settings.load(Path("x" * 5000))


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingsError, match=r"pgwamp\.toml: the file cannot be read: Permission"):
        load("[events]")


IN_FILE = '[database]\nurl = "postgresql://u@file/d"\n'
URL = "postgresql://u@variable/d"


@pytest.mark.parametrize(
    ("toml", "variables", "named"),
    [
        ("", {"DATABASE_URL": URL}, "DATABASE_URL"),
        ("", {"PGWAMP_DATABASE__URL": URL}, "PGWAMP_DATABASE__URL"),
        ("", {"DATABASE_URL": "", "PGWAMP_DATABASE__URL": URL}, "PGWAMP_DATABASE__URL"),
        ("", {"DATABASE_URL": "x", "PGWAMP_DATABASE__URL": URL}, "PGWAMP_DATABASE__URL"),
        (IN_FILE, {}, "database.url"),
        (IN_FILE, {"DATABASE_URL": ""}, "database.url"),
        (IN_FILE, {"PGWAMP_DATABASE__POOL_MAX": "5"}, "database.url"),
        (IN_FILE, {"DATABASE_URL": URL}, "DATABASE_URL"),
    ],
)
def test_errors_name_where_the_address_of_the_database_is_set(
    load: Any, toml: str, variables: dict[str, str], named: str
) -> None:
    database = load(toml, **variables).database
    assert database.url_setting == database.events_setting == named


def test_errors_name_the_file_that_a_variable_names(load: Any, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    assert load(DATABASE_URL_FILE=str(tmp_path / "url")).database.url_setting == "DATABASE_URL_FILE"
    (tmp_path / "url").write_text("foo")
    with pytest.raises(SettingsError, match=r"expected .* \(set in DATABASE_URL_FILE\)$"):
        load()


@pytest.mark.parametrize(
    ("toml", "variables", "places"),
    [
        ("", {"DATABASE_URL": "foo"}, ["DATABASE_URL"]),
        ('[database]\nurl = "foo"\n', {}, ["pgwamp.toml"]),
        (IN_FILE, {"PGWAMP_DATABASE__POOL_MAX": "many"}, ["PGWAMP_DATABASE__POOL_MAX"]),
        (
            "[database]\npool_min = 5\n",
            {"PGWAMP_DATABASE__POOL_MAX": "1"},
            ["pgwamp.toml and PGWAMP_DATABASE__POOL_MAX"],
        ),
        (
            '[log]\nlevel = "loud"\n',
            {"DATABASE_URL": "foo"},
            ["DATABASE_URL", "pgwamp.toml"],
        ),
        ('[expose]\nschemas = ["public"]\n[router]\nurll = ""\n', {}, ["pgwamp.toml"]),
    ],
)
def test_each_wrong_value_is_told_with_the_place_that_it_comes_from(
    load: Any, toml: str, variables: dict[str, str], places: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(toml, **variables)
    assert re.findall(r"\(set in ([^)]*)\)(?:; |$)", str(caught.value)) == places


def test_tables_take_keys_one_by_one_or_as_json(load: Any) -> None:
    settings = load(
        PGWAMP_ACCESS__ROLES='{"anonymous": "web_anon"}',
        PGWAMP_ROUTER__AUTH='{"method": "ticket", "authid": "me", "secret": "x"}',
    )
    assert settings.access.roles == {"anonymous": "web_anon"}
    assert settings.router.auth.authid == "me"
    settings = load(PGWAMP_ACCESS__ROLES__STAFF="web_staff")
    assert settings.access.roles == {"anonymous": "web_anon", "staff": "web_staff"}
    with pytest.raises(SettingsError, match="expose__schemas is set as a whole too"):
        load(PGWAMP_EXPOSE__SCHEMAS="public", PGWAMP_EXPOSE__SCHEMAS__0="public")


def test_a_key_of_a_table_joins_those_of_the_file(load: Any) -> None:
    settings = load(
        '[access.roles]\nanonymous = "web_anon"\n[expose]\nschemas = ["public"]\n',
        PGWAMP_ACCESS__ROLES__STAFF="web_staff",
    )
    assert settings.access.roles == {"anonymous": "web_anon", "staff": "web_staff"}
    assert settings.expose.schemas == ("public",)


def test_secrets_come_from_files(load: Any, tmp_path: Path) -> None:
    url, ticket = tmp_path / "url", tmp_path / "ticket"
    url.write_text(f"postgresql://app:{SECRET}@db/app\n")
    ticket.write_text("right\r\n")
    settings = load(
        DATABASE_URL_FILE=str(url),
        PGWAMP_ROUTER__AUTH__SECRET_FILE=str(ticket),
        PGWAMP_ROUTER__AUTH__METHOD="ticket",
        PGWAMP_ROUTER__AUTH__AUTHID="me",
    )
    assert settings.database.dsn() == f"postgresql://app:{SECRET}@db/app"
    assert settings.router.auth.secret.get_secret_value() == "right"
    assert set(settings.secret_files()) == {url, ticket}


def test_a_secret_is_given_once_and_readable(load: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="_FILE: the file cannot be read: No such"):
        load(DATABASE_URL_FILE=str(tmp_path / "missing"))
    (tmp_path / "url").write_text(f"postgresql://app:{SECRET}@db/app")
    with pytest.raises(SettingsError, match="DATABASE_URL is set too; set one of them") as caught:
        load(DATABASE_URL_FILE=str(tmp_path / "url"), DATABASE_URL="postgresql://app@db/app")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["EXPOSE_SCHEMAS", "DATABASE_EVENTS_URL", "ROUTER_URL"])
def test_a_variable_with_one_underscore_is_told_the_one_that_was_meant(load: Any, key: str) -> None:
    meant = f"PGWAMP_{key.replace('_', '__', 1)}"
    with pytest.raises(SettingsError) as caught:
        load(**{f"PGWAMP_{key}": "public"})
    assert str(caught.value) == (
        f"PGWAMP_{key}: unknown setting: did you mean {meant} (two underscores)?"
    )


@pytest.mark.parametrize("name", ["folder", "_read_from"])
def test_what_is_no_setting_is_refused_in_the_file_too(load: Any, name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: unknown setting"):
        load(f'{name} = "/tmp"\n')


@pytest.mark.parametrize(
    ("toml", "holds"),
    [
        ('[database]\nurl = "postgresql://app:word@db/app"\n', True),
        ('[database]\nurl = "postgresql://app@db/app?password=word"\n', True),
        ('[database.logins]\nweb = "postgresql://web:word@db/app"\n', True),
        ('[router.auth]\nmethod = "ticket"\nauthid = "me"\nsecret = "word"\n', True),
        ('[database]\nurl = "postgresql://app:s/ecret@db/app"\n', True),
        ('[database]\nurl = "postgresql://app:s@cret@db/app"\n', True),
        ('[database]\nurl = "postgresql://app@db/app?sslpassword=word"\n', True),
        ('[router]\nurl = "ws://proxy/ws?token=word"\n', True),
        (f'[router.auth]\nmethod = "cryptosign"\nauthid = "me"\nprivate_key = "{KEY}"\n', True),
        ('[database]\nurl = "postgresql://app@db/app"\n', False),
        ('[expose]\nschemas = ["public"]\n', False),
    ],
)
def test_a_file_with_a_secret_in_it_is_known(
    load: Any, tmp_path: Path, toml: str, holds: bool
) -> None:
    assert (Path("pgwamp.toml") in load(toml).secret_files()) is holds


def test_files_with_keys_are_known(load: Any, tmp_path: Path) -> None:
    settings = load(
        '[router.auth]\nmethod = "cryptosign"\nauthid = "me"\nprivate_key = "key.priv"\n'
        '[router.tls]\ncertificate = "both.pem"\n',
        DATABASE_URL="postgresql://app@db/app?sslkey=%2Fkeys%2Fapp.pem&passfile=%2Fkeys%2Fpass",
    )
    assert set(settings.secret_files()) == {
        tmp_path / "key.priv",
        tmp_path / "both.pem",
        Path("/keys/app.pem"),
        Path("/keys/pass"),
    }
    apart = load(PGWAMP_ROUTER__TLS__KEY="key.pem").secret_files()
    assert tmp_path / "key.pem" in apart
    assert tmp_path / "both.pem" not in apart, "a certificate alone is public"


def test_relative_paths_start_at_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "app.toml").write_text(
        '[router.auth]\nmethod = "cryptosign"\nauthid = "me"\nprivate_key = "key.priv"\n'
        '[router.tls]\nca = "ca.pem"\ncertificate = "own.pem"\n[expose]\nqueries = "queries"\n'
    )
    monkeypatch.setenv("PGWAMP_ROUTER__TLS__KEY", "own.key")
    settings = Settings.load(Path("../app.toml"))
    tls = settings.router.tls
    found = [settings.router.auth.key_file(), tls.ca, tls.certificate, tls.key]
    names = ["key.priv", "ca.pem", "own.pem", "own.key", "queries"]
    assert [*found, settings.expose.queries] == [tmp_path / name for name in names]
    monkeypatch.setenv("PGWAMP_ROUTER__TLS__CA", "/etc/ca.pem")
    assert Settings.load(Path("../app.toml")).router.tls.ca == Path("/etc/ca.pem")
