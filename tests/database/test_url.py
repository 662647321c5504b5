"""Database URLs as providers hand them out, by both drivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgwamp import migrations
from pgwamp.database.connect import connect_through_pooler
from pgwamp.database_url import as_dsn, for_asyncpg, parse_database_url, place_of
from pgwamp.errors import StartError
from pgwamp.settings import Settings
from tests.checks.conftest import ask
from tests.conftest import Database, MakeSettings
from tests.servers import CALLS, EVENTS, Addresses

#: Of libpq; the first two are Neon's.
PARAMETERS = (
    "sslmode=prefer&channel_binding=prefer&connect_timeout=5&keepalives=1&keepalives_idle=30"
    "&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=9000&gssencmode=disable"
)


async def test_every_parameter_of_libpq_is_accepted(
    make_settings: MakeSettings, addresses: Addresses, database: Database
) -> None:
    settings = make_settings(
        database={
            "url": f"{addresses.database(database.name, CALLS)}?{PARAMETERS}",
            "events_url": f"{addresses.database(database.name, EVENTS)}?{PARAMETERS}",
        }
    )
    answers = await ask(settings)
    assert (answers.check, answers.start) == ([], None)
    assert migrations.current(settings.database.events_dsn()) == migrations.head()
    connection = await connect_through_pooler(settings.database.dsn())
    await connection.close()


async def test_several_hosts_are_tried_for_one_that_can_be_written_to(
    make_settings: MakeSettings, addresses: Addresses, database: Database
) -> None:
    def several(user: str) -> str:
        one = addresses.database(database.name, user)
        return one.replace("@", "@127.0.0.1:1,") + "?target_session_attrs=read-write"

    settings = make_settings(database={"url": several(CALLS), "events_url": several(EVENTS)})
    answers = await ask(settings)
    assert (answers.check, answers.start) == ([], None)
    assert migrations.current(settings.database.events_dsn()) == migrations.head()


async def test_all_hosts_are_named_when_none_answers(make_settings: MakeSettings) -> None:
    url = "postgresql://app:s3cret@127.0.0.1:1,127.0.0.1:2/app"
    answers = await ask(make_settings(database={"url": url}))
    line = answers.said("no PostgreSQL answers at 127.0.0.1:1,127.0.0.1:2: start it")
    assert "s3cret" not in line


async def test_an_address_of_the_file_is_corrected_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pgwamp.toml").write_text('[database]\nurl = "postgresql://u@127.0.0.1:1/d"\n')
    exposed = {"schemas": ["public"]}
    answers = await ask(Settings.load(None, expose=exposed))
    answers.said("no PostgreSQL answers at 127.0.0.1:1: start it, or correct database.url (")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:2/d")
    answers = await ask(Settings.load(None, expose=exposed))
    answers.said("no PostgreSQL answers at 127.0.0.1:2: start it, or correct DATABASE_URL (")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p%40%2F@h:1/d",
        "postgresql://u:p@h1:1,h2:2/d?target_session_attrs=read-write",
        "postgresql://u@h1,h2/d",
        "postgresql:///d?host=%2Ftmp",
        "postgresql://u:p%2Cw@h1:1,h2:2/d",
        "postgresql://h:1/d?application_name=a%40b",
    ],
)
def test_a_url_is_the_same_after_it_was_read(dsn: str) -> None:
    once = as_dsn(parse_database_url(dsn))
    assert as_dsn(parse_database_url(once)) == once
    again = parse_database_url(dsn.replace("postgresql:", "postgresql+asyncpg:"))
    assert as_dsn(again) == once
    assert for_asyncpg(once) == once
    assert "p%40" not in place_of(dsn)


def test_what_asyncpg_cannot_do_is_not_passed_over_in_silence() -> None:
    assert "gssencmode=require" in for_asyncpg("postgresql://u@h/d?gssencmode=require")


@pytest.mark.parametrize("value", ["mysql://u:word@a,b/d", "nothing", ","])
def test_what_is_no_url_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ValueError, match="expected postgres://user:password@host") as caught:
        parse_database_url(value)
    assert "word@" not in str(caught.value).replace("password@", "")


@pytest.mark.parametrize("password", ["4711,S3cret", "S3,cret", "S3/cret", "S3@cret", "S3?cret#,"])
@pytest.mark.parametrize("hosts", ["h:1", "h1:1,h2:2"])
def test_a_password_that_is_not_encoded_is_no_part_of_the_hosts(password: str, hosts: str) -> None:
    url = parse_database_url(f"postgresql://app:{password}@{hosts}/d")
    assert (url.username, url.password, url.database) == ("app", password, "d")
    assert place_of(as_dsn(url)) == hosts


@pytest.mark.parametrize("value", ["postgresql://u:s3@cret/x@h/d", "postgresql://u:p@h/d@s3"])
def test_a_url_whose_password_may_end_in_two_places_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="write @ as %40") as caught:
        parse_database_url(value)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u:word@h:65536/d",
        "postgresql://u:word@h:0/d",
        "postgresql://u:word@h:1,h:65536/d",
        "postgresql://u:word@h:1,h:word/d",
        "postgresql:///d?host=h:99999&password=word",
        "postgresql:///d?host=h&port=99999&password=word",
        "postgresql://u:word@[h/d",
        "postgresql://u:word%00@h/d",
        "postgresql://u:word@h:1/d?application_name=%00",
        "postgresql:///d?host=h&port=1,2&password=word",
        "postgresql:///d?host=h,i&port=1,2,3&password=word",
        "postgresql:///d?port=1,2&password=word",
        "postgresql:///d?host=h,i&port=1,&password=word",
        "postgresql:///d?host=h,&password=word",
        "postgresql://u:word@h:1/d?host=i:1&host=j:2",
    ],
)
def test_what_is_no_host_with_a_port_is_refused_with_the_settings(value: str) -> None:
    with pytest.raises(ValueError, match=r"expected postgres://.*@host:port") as caught:
        parse_database_url(value)
    assert "word" not in str(caught.value).replace("password@", "")


@pytest.mark.parametrize(
    "place",
    ["/d?host=h,i&port=1", "/d?host=h:1&host=i:2&port=1,2", "[::1]:1,i:2/d", "/d?host=h&host=/x:y"],
)
def test_several_hosts_that_a_migration_cannot_use_are_refused_with_the_cure(place: str) -> None:
    with pytest.raises(StartError, match="as in host1:5432,host2:5432, and an IPv6") as caught:
        migrations.current(f"postgresql://{place}")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u:s3cret?word=more@h:1/d",
        "postgresql://u:4711/s3cret?word=more@h/d",
        "postgresql://u:4711@s3cret?word=more@h:1/d",
        "postgresql://u:4711@s3cret?word=more@h",
        "postgresql://u:47@11/s3cret?word=more@h:1/d",
    ],
)
def test_a_password_that_reads_like_a_query_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="write \\? as %3F") as caught:
        parse_database_url(value)
    assert "s3cret" not in str(caught.value)
