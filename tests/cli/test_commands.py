"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pgwamp.cli.context import run_async
from pgwamp.dev.postgres import Postgres
from pgwamp.errors import CallError
from tests.cli.conftest import SECRET, Run, one_line
from tests.conftest import Addresses, Connect, Database
from tests.processes import Pgwamp, run_pgwamp
from tests.replay.appending import append
from tests.servers import execute

pytestmark = pytest.mark.one_login


async def test_help_lists_the_commands(run: Run) -> None:
    code, out, _ = await run("--help")
    assert code == 0
    for command in ("dev", "run", "check", "db", "watch", "call", "tail", "describe"):
        assert f"  {command} " in out


@pytest.mark.parametrize("group", [(), ("db",), ("watch",)])
async def test_help_says_of_each_command_what_it_does(run: Run, group: tuple[str, ...]) -> None:
    _, out, _ = await run(*group, "--help")
    commands = out.partition("Commands:")[2].strip().splitlines()
    assert len(commands) > 2
    assert not [line for line in commands if "..." in line]


async def test_help_of_psql_shows_that_it_takes_arguments(run: Run) -> None:
    _, out, _ = await run("psql", "--help")
    assert "psql [ARGS]..." in out


WRONG = [
    ({"PGWAMP_ROUTER__URLL": "x"}, 'router.urll: unknown setting (did you mean "url"?)'),
    ({"PGWAMP_ROUTR__URL": "x"}, 'PGWAMP_ROUTR__URL: unknown setting (did you mean "router"?)'),
    ({"PGWAMP_ROUTER__URL": "http://x"}, "router.url: expected ws://"),
    ({"PGWAMP_DATABASE__POOL_MAX": "many"}, "database.pool_max: "),
    ({"PGWAMP_DATABASE__POOL_MAX": "1"}, "database: pool_min is larger than pool_max"),
    ({"PGWAMP_EVENTS__RETAIN": "soon"}, "events.retain: expected a duration"),
    ({"PGWAMP_EXPOSE__PREFIX": "com.Example."}, "expose.prefix: expected dot-separated"),
    ({"PGWAMP_EXPOSE__PREFIX": "wamp.x"}, "expose.prefix: a prefix that begins with"),
    ({"PGWAMP_EXPOSE__SCHEMAS": ""}, "nothing is exposed: name schemas in expose.schemas"),
    ({"PGWAMP_EXPOSE__SCHEMAS": '["nope"]'}, 'the database has no schema "nope"'),
    ({"DATABASE_URL": ""}, "no database: set DATABASE_URL"),
    ({"DATABASE_URL": f"mysql://u:{SECRET}@h/d"}, "database.url: expected postgres://"),
    ({"DATABASE_URL": f"postgres://u:{SECRET}@127.0.0.1:1/d"}, "no PostgreSQL answers at"),
    ({"PGWAMP_ROUTER__AUTH__METHOD": "ticket"}, 'router.auth: method "ticket" needs authid'),
    ({"PGWAMP_ROUTER__REALM": "nowhere"}, 'has no realm "nowhere": correct router.realm'),
    ({"PGWAMP_EXPOSE__PREFIX": "org.elsewhere"}, "refuses to register below org.elsewhere."),
    ({"PGWAMP_EXPOSE__QUERIES": "missing"}, "expose.queries: there is no folder"),
    ({"PGWAMP_EXPOSE__PROCEDURES": '["no_module"]'}, "the folder of pgwamp.toml, and where Python"),
]


@pytest.mark.parametrize(("changes", "expected"), WRONG, ids=[e[:30] for _, e in WRONG])
async def test_a_wrong_setting_is_one_line_that_names_the_cure(
    run: Run, changes: dict[str, str], expected: str
) -> None:
    code, out, err = await run("check", **changes)
    if code == 0:  # only starting finds it
        code, out, err = await run("run", PGWAMP_LOG__LEVEL="error", **changes)
    text = out or err
    assert code != 0
    assert expected in one_line(text)


async def test_a_database_without_the_schema_is_told_to_upgrade(
    run: Run, addresses: Addresses, database: Database
) -> None:
    bare = f"{database.name}_bare"
    admin = addresses.database("postgres")
    execute(admin, f"create database {bare}")
    try:
        url = addresses.database(bare)
        code, _, err = await run("run", DATABASE_URL=url, PGWAMP_LOG__LEVEL="error")
        assert code == 3
        assert "run 'pgwamp db upgrade'" in one_line(err)
        code, _, err = await run("watch", "add", "x", DATABASE_URL=url)
        assert "run 'pgwamp db upgrade'" in one_line(err)
    finally:
        execute(admin, f"drop database {bare} with (force)")


async def test_a_missing_database_is_named(run: Run, addresses: Addresses) -> None:
    url = addresses.database("not_there")
    for command in (("run",), ("db", "upgrade"), ("check",)):
        code, out, err = await run(*command, DATABASE_URL=url, PGWAMP_LOG__LEVEL="error")
        assert code != 0
        line = one_line(out or err)
        assert "not_there" in line
        assert "create" in line


async def test_a_wrong_password_is_named_and_not_repeated(run: Run, own_postgres: Postgres) -> None:
    execute(own_postgres.url(), "create role locked login password 'right'")
    rules = own_postgres.data / "pg_hba.conf"
    rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    execute(own_postgres.url(), "select pg_reload_conf()")
    url = own_postgres.url(user=f"locked:{SECRET}").replace("%3A", ":")
    for command in (("run",), ("db", "upgrade"), ("check",)):
        code, out, err = await run(*command, DATABASE_URL=url, PGWAMP_LOG__LEVEL="error")
        assert code != 0
        line = one_line(out or err)
        assert "refused the password of the user" in line
        assert "correct the user or password in DATABASE_URL" in line
        assert "locked" in line
        # A password that is missing is no wrong one.
        none = own_postgres.url(user="locked")
        code, out, err = await run(*command, DATABASE_URL=none, PGWAMP_LOG__LEVEL="error")
        assert code != 0
        line = one_line(out or err)
        assert "asks for a password of the user" in line
        assert "put it in DATABASE_URL" in line


@pytest.mark.parametrize(
    ("command", "name", "kind"),
    [("call", "note.select", "procedures"), ("tail", "note.", "topics")],
)
async def test_a_name_without_the_prefix_is_told_the_whole_one(
    run: Run, prefix: str, command: str, name: str, kind: str
) -> None:
    code, _, err = await run(command, name)
    line = one_line(err)
    assert code == 1
    assert line.count("wamp.error.not_authorized") == 1
    assert line.endswith(f"; {kind} here begin with {prefix}.: did you mean {prefix}.{name}?")


async def test_a_router_that_is_not_there_is_named(run: Run) -> None:
    url = "ws://127.0.0.1:1/ws"
    for command in (("check",), ("call", "com.example.x"), ("tail", "com.example.x.")):
        code, out, err = await run(*command, PGWAMP_ROUTER__URL=url)
        assert code != 0
        assert f"no router answers at {url}" in one_line(out or err)


@pytest.mark.parametrize("command", [("call", "com.example.x"), ("tail", "com.example.x.")])
async def test_a_realm_that_is_not_there_is_told_once(run: Run, command: tuple[str, ...]) -> None:
    code, _, err = await run(*command, PGWAMP_ROUTER__REALM="nowhere")
    assert (code, 'has no realm "nowhere"' in one_line(err)) == (3, True)


async def test_check_finds_nothing_wrong_with_a_good_set_up(run: Run) -> None:
    code, out, err = await run("check")
    fact, verdict = out.strip().splitlines()
    assert (code, verdict) == (0, "everything is in order"), err
    assert fact.startswith("events: no instance runs; 0 waiting to be published, none kept")
    code, out, _ = await run("check", "--json")
    assert (code, [finding["level"] for finding in json.loads(out)]) == (0, ["fact"])


@pytest.mark.parametrize("change", ["drop event trigger", "alter event trigger"])
async def test_check_says_that_ddl_is_not_followed_and_the_cure(
    run: Run, database: Database, change: str
) -> None:
    off = " disable" if change.startswith("alter") else ""
    database.execute(f"{change} wamp_sql_drop{off}")
    code, out, err = await run("check")
    advice, _, verdict = out.strip().splitlines()
    assert (code, verdict) == (0, "everything is in order"), err
    assert advice.startswith("advice: ")
    if off:
        assert "as a superuser run: ALTER EVENT TRIGGER wamp_sql_drop ENABLE" in advice
    else:
        for part in ("NOTIFY pgwamp, 'reload'", "pgwamp db upgrade", "superuser"):
            assert part in advice
    code, out, _ = await run("check", "--json")
    assert code == 0
    assert [finding["level"] for finding in json.loads(out)] == ["advice", "fact"]


async def test_check_finds_events_that_nobody_publishes(
    run: Run, database: Database, environment: dict[str, str], prefix: str, tmp_path: Path
) -> None:
    database.execute(
        "insert into wamp.publication (realm, prefix, position, mark) "
        f"values ('realm1', '{prefix}', 0, '')",
        append({"op": "publish", "topic": "a.b", "body": {}}),
    )
    assert (await run("check"))[0] == 0, "a moment is no finding"
    database.execute("update wamp.log set at = now() - interval '2 hours'")
    code, out, _ = await run("check")
    line = one_line(out)
    assert code == 1
    assert "has waited for 7,2" in line
    assert "1 waiting to be published" in line
    assert "start 'pgwamp run'" in line
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    try:
        async with asyncio.timeout(20):
            while code:
                code, out, _ = await run("check")
    finally:
        await component.stop()
    assert "events: an instance publishes; 0 waiting" in out


async def test_check_names_the_grant_that_publish_rules_need(
    run: Run, database: Database, prefix: str
) -> None:
    code, out, _ = await run("check", PGWAMP_EVENTS__PUBLISH_ROLES='["nobody"]')
    assert code == 1
    assert 'publish_roles: the database has no role "nobody": create it' in out
    role = f"runner_{database.name}"
    database.execute(
        f"create role {role} login",
        f"grant usage on schema wamp to {role}",
        f"grant select, update on all tables in schema wamp to {role}",
    )
    try:
        url = database.url.replace("//postgres@", f"//{role}@")
        code, out, _ = await run("check", DATABASE_URL=url)
        assert code == 1
        for object_ in ("wamp.allow_publish(text,text[],text[])", "wamp.backlog()"):
            assert f"GRANT EXECUTE ON FUNCTION {object_} TO" in out.replace(" to it", " TO it")
    finally:
        database.execute(f"drop owned by {role}", f"drop role {role}")


async def test_an_upgrade_makes_the_rules_of_a_prefix_that_is_configured(
    run: Run, database: Database, prefix: str
) -> None:
    connection = await database.connect()
    topics = "select topics from wamp.component"
    code, _, err = await run("db", "upgrade", PGWAMP_EXPOSE__PREFIX="")
    assert (code, await connection.fetch(topics)) == (0, []), err
    code, _, err = await run("db", "upgrade", PGWAMP_EVENTS__PUBLISH_TOPICS='["org.partner."]')
    assert code == 0, err
    assert await connection.fetchval(topics) == [f"{prefix}.", "org.partner."]
    await connection.close()


async def test_every_form_of_database_url_is_accepted(run: Run, database: Database) -> None:
    rest = database.url.removeprefix("postgresql")
    for form in ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"):
        code, out, err = await run("db", "current", "--json", DATABASE_URL=form + rest)
        assert code == 0, err
        found = json.loads(out)
        assert found["current"] == found["head"]


async def test_tables_are_watched_listed_and_unwatched(run: Run, database: Database) -> None:
    database.execute("create table item (id int primary key)", "create table bare (x int)")
    assert (await run("watch", "add", "item"))[0] == 0
    _, out, _ = await run("watch", "list", "--json")
    assert json.loads(out) == [{"schema": "public", "table": "item", "key": ["id"], "options": {}}]
    code, _, err = await run("watch", "add", "nope")
    assert code == 1
    assert 'there is no table "nope"' in one_line(err)
    code, _, err = await run("watch", "add", "bare")
    assert "has no primary key" in one_line(err)
    assert (await run("watch", "remove", "item"))[0] == 0
    assert (await run("watch", "list"))[1] == ""


async def test_names_do_not_steer_the_terminal(run: Run, database: Database) -> None:
    database.execute(
        'create table "a\x1b]0;owned\x07" ("b\x9b2J" int primary key)',
        """select wamp.watch(format('%I', relname)) from pg_class where relname like 'a%owned%'
        and relkind = 'r'""",
    )
    assert (await run("watch", "list"))[1] == r"public.a\x1b]0;owned\x07 (b\x9b2J)" "\n"
    _, out, _ = await run("watch", "list", "--json")
    assert out.rstrip("\n").isprintable()
    assert json.loads(out)[0]["key"] == ["b\x9b2J"]


async def test_patterns_watch_what_they_match_and_each_refusal_is_told(
    run: Run, database: Database
) -> None:
    database.execute(
        "create schema shop",
        *(f"create table {name} (id int primary key)" for name in ("item", "shop.item", "parts")),
        "create table alembic_version (id int primary key)",
        "create table bare (x int)",
        "create table bald (x int)",
        'create table "a*" (id int primary key)',
    )

    async def watched() -> list[str]:
        return [line.partition(" ")[0] for line in (await run("watch", "list"))[1].splitlines()]

    code, out, err = await run("watch", "add", "public.*", "nope", "none.*")
    assert code == 1
    assert out.splitlines() == [f"watching public.{name}" for name in ("a*", "item", "parts")]
    said = err.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in said] == [
        "nope",
        "none.*",
        "public.bald",
        "public.bare",
    ]
    assert "there is no table" in said[0]
    assert "no table matches" in said[1]
    assert all("has no primary key. Add a primary key" in line for line in said[2:])

    assert (await run("watch", "remove", "*.item", '"a*"'))[0] == 0
    assert await watched() == ["public.parts"]
    code, _, err = await run("watch", "remove", "i*")
    assert (code, "no watched table matches" in one_line(err)) == (1, True)
    assert (await run("watch", "add", "it??"))[1] == "watching public.item\n"
    schemas = {"PGWAMP_EXPOSE__SCHEMAS": "shop", "PGWAMP_EXPOSE__EXCLUDE": "public.*"}
    assert (await run("watch", "add", "--all", **schemas))[1] == "watching shop.item\n"
    assert await watched() == ["public.item", "public.parts", "shop.item"]
    assert (await run("watch", "add", "item", "--old", "none"))[0] == 0
    database.execute("drop trigger wamp_update on item")
    for those in (("public.*",), ("--all",)):
        environment = {"PGWAMP_EXPOSE__SCHEMAS": "public", "PGWAMP_EXPOSE__EXCLUDE": "public.b*"}
        _, out, _ = await run("watch", "add", *those, "--old", "full", **environment)
        kept = "public.item is watched already: name it to replace its options"
        assert kept in out.splitlines()
    assert "public.item (id) old=none" in (await run("watch", "list"))[1].splitlines()
    database.execute("alter table item disable trigger wamp_update")
    assert (await run("watch", "add", "public.*", "item"))[1].count("watching item\n") == 1
    assert "public.item (id)" in (await run("watch", "list"))[1].splitlines()
    assert (await run("watch", "remove", "--all"))[0] == 0
    assert await watched() == []
    for command in ("add", "remove"):
        code, _, err = await run("watch", command)
        assert (code, "or --all" in one_line(err)) == (2, True)


async def test_tables_are_watched_with_options(run: Run, database: Database) -> None:
    database.execute("create table item (id int primary key, v text, who text, role text)")
    code, _, err = await run(
        "watch",
        "add",
        "item",
        *("--columns", "id, v", "--old", "none", "--when", "v <> 'it''s'", "--batch"),
        *("--topic", "x.{op}.{v}", "--eligible-authid", "who", "--eligible-authrole", "role"),
        "--no-publish",
    )
    assert code == 0, err
    _, out, _ = await run("watch", "list", "--json")
    assert json.loads(out)[0]["options"] == {
        "columns": ["id", "v"],
        "old": "none",
        "when": "v <> 'it''s'",
        "batch": True,
        "topic": "x.{op}.{v}",
        "eligible_authid": "who",
        "eligible_authrole": "role",
        "publish": False,
    }
    # Others replace them all.
    assert (await run("watch", "add", "item", "--old", "key", "--retain", "--when", "id > 0"))[
        0
    ] == 0
    _, out, _ = await run("watch", "list")
    assert out == 'public.item (id) old=key when="id > 0" retain=true\n'
    for arguments, message in (
        (
            ("--columns", "id,whoo"),
            'item has no column "whoo". Its columns are id, v, who, role: watch it with options',
        ),
        (("--columns", ""), 'item has no column ""'),
        (("--when", "v ="), "when: syntax error"),
        (("--topic", "wamp.x"), 'topic "wamp.x" is not a template'),
    ):
        code, _, err = await run("watch", "add", "item", *arguments)
        assert code == 1
        assert message in one_line(err)
    code, _, err = await run("watch", "add", "item", "--old", "most")
    assert code == 2
    assert "none" in err
    assert "Traceback" not in err


async def test_call_tail_and_describe_against_a_running_component(
    run: Run,
    environment: dict[str, str],
    addresses: Addresses,
    database: Database,
    prefix: str,
    tmp_path: Path,
) -> None:
    database.execute(
        "create table item (id int primary key, name text)",
        "comment on table item is 'What is sold'",
        "insert into item values (1, 'pen'), (2, 'ink')",
        "select wamp.watch('item')",
    )
    clients = {"PGWAMP_ROUTER__URL": addresses.clients}
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    try:
        code, out, _ = await run(
            "call", f"{prefix}.item.select", "-k", 'where={"id": 2}', **clients
        )
        assert (code, json.loads(out)) == (0, {"id": 2, "name": "ink"})
        code, _, err = await run("call", f"{prefix}.item.selekt", **clients)
        assert code == 1
        assert f"did you mean {prefix}.item.select?" in one_line(err)
        code, _, err = await run("call", f"{prefix}.item.get", "7", **clients)
        assert "pgwamp.error.not_found" in one_line(err)
        code, out, err = await run("call", f"{prefix}.item.select", "-k", "format=csv", **clients)
        assert (code, out, err) == (0, "id,name\n1,pen\n2,ink\n", "")
        code, _, err = await run("call", f"{prefix}.item.insert", '{"id": 2}', **clients)
        problem, details = err.splitlines()
        assert code == 1
        assert problem.startswith("pgwamp: pgwamp.error.unique_violation: ")
        assert json.loads(details)["detail"] == "Key (id)=(2) already exists."
        code, _, err = await run("call", f"{prefix}.item.select", "-k", "limit=-1", **clients)
        assert (code, "limit: " in one_line(err)) == (1, True)
        database.execute("update item set name = 'nib' where id = 1")
        _, out, err = await run("call", f"{prefix}.item.changes", **clients)
        assert [event["op"] for event in json.loads(out)] == ["update"]
        cursor = json.loads(err.strip().splitlines()[-1])["next"]
        database.execute("delete from item where id = 1", "delete from item where id = 2")
        code, out, err = await run(
            "tail", f"{prefix}.item.", "--since", cursor, "--count", "2", **clients
        )
        assert code == 0, err
        events = [json.loads(line) for line in out.splitlines()]
        assert [event["topic"] for event in events] == [f"{prefix}.item.deleted"] * 2
        # The answer about the topic is still on its way when the command gives up.
        code, _, err = await run("tail", f"{prefix}.item.", "--since", "garbage", **clients)
        listening, problem = err.splitlines()
        assert (code, listening) == (1, f"listening to {prefix}.item. (prefix)")
        assert "since" in one_line(problem)
        _, out, _ = await run("describe")
        described = {entry["uri"]: entry for entry in json.loads(out)["procedures"]}
        assert described[f"{prefix}.item.select"]["description"] == "What is sold"
    finally:
        assert await component.stop() == 0, component.output


async def test_an_api_that_no_message_holds_is_described_whole_and_in_parts(
    run: Run,
    environment: dict[str, str],
    addresses: Addresses,
    database: Database,
    prefix: str,
    tmp_path: Path,
) -> None:
    columns = ", ".join(f"column_number_{n} text" for n in range(300))
    database.execute(*(f"create table item_{n} ({columns}, id int primary key)" for n in range(4)))
    environment = {**environment, "PGWAMP_LIMITS__MAX_BYTES": "500000"}
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    try:
        clients = {"PGWAMP_ROUTER__URL": addresses.clients}
        code, _, err = await run("call", f"{prefix}.describe", **clients)
        assert (code, "payload_size_exceeded" in one_line(err)) == (1, True)
        _, _, err = await run("call", f"{prefix}.item_2.selekt", **clients)
        assert f"did you mean {prefix}.item_2.select?" in one_line(err)
    finally:
        await component.stop()
    code, whole, err = await run("describe", "--format", "typescript")
    assert (code, err) == (0, "")
    assert f'"{prefix}.item_0.select"' in whole
    _, part, _ = await run("describe", f"{prefix}.item_1.", f"{prefix}.b", "--format", "typescript")
    assert f'"{prefix}.item_1.select"' in part
    assert f'"{prefix}.batch"' in part
    assert f'"{prefix}.item_0.select"' not in part
    _, index, _ = await run("describe", f"{prefix}.item_3.", "--index")
    entries = json.loads(index)["procedures"]
    assert {"uri", "kind", "relation", "verb"} == set(entries[-1])
    code, _, err = await run("describe", f"{prefix}.itme")
    assert (code, "--index" in one_line(err)) == (2, True)


async def test_an_interrupted_command_ends_cleanly(
    environment: dict[str, str], tmp_path: Path
) -> None:
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    assert await component.interrupt() == 0
    assert "Traceback" not in component.output


async def test_output_into_a_closed_pipe_is_no_error(run: Run, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m pgwamp db history | head -c 1",
        env={**environment, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert err == b""


@pytest.mark.parametrize("missing", [False, True])
def test_an_error_does_not_begin_with_a_loop_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, "uvloop", None)

    async def fail() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own") as caught:
        run_async(fail())
    assert caught.value.__context__ is None


def test_no_name_in_a_line_of_the_log_steers_the_terminal() -> None:
    program = (
        "from pgwamp import logs; from pgwamp.settings import LogSettings; "
        "logs.configure(LogSettings(format='console')); log = logs.get('test'); "
        "log.warning('skipped', name='a.b\\x1b[2J\\x07'); "
        "log.error('failed\\x1b[2J', exc_info=ValueError('c\\x1b[2J'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert r"name=a.b\x1b[2J\x07" in ended.stderr
    assert r"ValueError: c\x1b[2J" in ended.stderr
    assert "\x1b" not in ended.stderr


async def test_a_second_signal_ends_the_calls_that_a_stop_waits_for(
    environment: dict[str, str], database: Database, connect: Connect, prefix: str, tmp_path: Path
) -> None:
    database.execute(
        "create function nap() returns int language sql volatile as 'select 1 from pg_sleep(600)'"
    )
    environment["PGWAMP_LIMITS__CALL_TIMEOUT"] = "600"
    component = Pgwamp("run", environment=environment, folder=tmp_path)
    await component.start()
    client = await connect()
    pending = asyncio.ensure_future(client.call(f"{prefix}.nap"))
    # Behind the other, which has arrived.
    assert await client.call(f"{prefix}.describe")
    component.ask_to_stop()
    await component.until("stopping after the calls under way")
    assert not pending.done()
    assert await component.stop() == 0
    with pytest.raises(CallError, match="the component is stopping"):
        await pending


async def test_where_programs_read_every_line_of_run_is_json(
    environment: dict[str, str], tmp_path: Path
) -> None:
    component = Pgwamp(
        "run", environment={**environment, "PGWAMP_LOG__LEVEL": "error"}, folder=tmp_path
    )
    await component.start()
    assert await component.stop() == 0
    (ready,) = [json.loads(line) for line in component.lines]
    assert ready["event"] == "pgwamp is ready"
    assert ready["prefix"] == environment["PGWAMP_EXPOSE__PREFIX"]

    failing = {**environment, "PGWAMP_ROUTER__REALM": "nowhere"}
    code, out, err = await run_pgwamp("run", environment=failing, folder=tmp_path)
    assert (code, out) == (3, "")
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["event"] == "pgwamp ended"
    assert 'has no realm "nowhere"' in lines[-1]["problem"]


async def test_people_read_a_plain_line_when_run_is_ready(
    environment: dict[str, str], tmp_path: Path
) -> None:
    console = {**environment, "PGWAMP_LOG__FORMAT": "console", "PGWAMP_LOG__LEVEL": "error"}
    component = Pgwamp("run", environment=console, folder=tmp_path)
    await component.start()
    assert await component.stop() == 0
    (line,) = component.lines
    assert line.startswith("pgwamp is ready: ")


async def test_describe_exposes_nothing_that_is_not_named(run: Run) -> None:
    code, out, err = await run("describe", PGWAMP_EXPOSE__SCHEMAS="")
    assert (code, out) == (2, "")
    assert "nothing is exposed: name schemas in expose.schemas" in one_line(err)
