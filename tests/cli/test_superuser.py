"""No command of a superuser runs what an ordinary owner of the schema ``wamp`` has written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from pgwamp import migrations
from tests.cli.conftest import Run
from tests.servers import Addresses, execute
from tests.traps import Trap, laid

#: Every table, view and function of the schema leads to the trap.
TRAPS = """
do $do$
declare
    it record;
    columns text;
begin
    for it in
        select p.oid::regprocedure as id, p.proname as name, p.proretset as is_set,
            p.proargmodes is not null as has_out,
            pg_get_function_result(p.oid) as result, pg_get_function_arguments(p.oid) as arguments
        from pg_proc as p
        where p.pronamespace = 'wamp'::regnamespace and p.prokind = 'f'
            and p.proowner = current_user::regrole and p.proname <> 'capture'
    loop
        execute format(
            'create or replace function wamp.%I(%s) returns %s language plpgsql as '
            '''begin perform public.trap(); return%s; end''',
            it.name, it.arguments, it.result,
            case when it.is_set or it.has_out or it.result = 'void' then '' else ' null' end);
    end loop;
    for it in
        select c.oid::regclass as id, c.relname as name, c.oid
        from pg_class as c
        where c.relnamespace = 'wamp'::regnamespace and c.relkind in ('r', 'p')
            and not c.relispartition
    loop
        select string_agg(format(
            'nullif(public.trap(), ''0101'')::%s as %I', format_type(atttypid, atttypmod), attname),
            ', ')
        into columns
        from pg_attribute where attrelid = it.oid and attnum > 0 and not attisdropped;
        execute format('alter table %s rename to %I', it.id, it.name || '_kept');
        execute format('create view wamp.%I as select %s', it.name, columns);
    end loop;
end $do$;
"""


@pytest.fixture
def trap() -> Iterator[Trap]:
    with laid() as trap:
        yield trap


@pytest.fixture
def owner(addresses: Addresses, trap: Trap) -> Iterator[str]:
    """An ordinary role that owns a database of the same name with such a schema."""
    name = f"trapping_{uuid.uuid4().hex[:8]}"
    admin = addresses.database("postgres")
    execute(admin, f"create role {name} login", f"create database {name} owner {name}")
    try:
        url = addresses.database(name, name)
        execute(addresses.database(name), "grant all on schema public to public")
        migrations.upgrade(url)
        execute(
            url,
            "create table public.item (id int primary key)",
            "select wamp.watch('public.item')",
            trap.function + TRAPS,
        )
        yield name
    finally:
        execute(admin, f"drop database if exists {name} with (force)", f"drop role {name}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "upgrade"),
        ("db", "current"),
        ("db", "downgrade", "base"),
        ("watch", "list"),
        ("watch", "add", "item"),
        ("watch", "add", "--all"),
        ("watch", "remove", "item"),
        ("watch", "remove", "--all"),
        ("check",),
        ("run",),
        ("describe",),
    ],
    ids=" ".join,
)
async def test_nothing_of_the_owner_runs(
    run: Run, addresses: Addresses, owner: str, trap: Trap, arguments: tuple[str, ...]
) -> None:
    code, out, err = await run(*arguments, DATABASE_URL=addresses.database(owner))
    # A log of JSON quotes them.
    said = (out + err).replace('\\"', '"')
    if arguments != ("db", "upgrade"):
        assert code != 0, said
        assert f'connect as "{owner}"' in said
    assert not trap.has_sprung


async def test_the_traps_are_traps(addresses: Addresses, owner: str, trap: Trap) -> None:
    execute(addresses.database(owner), f"set role {owner}; select * from wamp.alembic_version")
    assert trap.has_sprung
