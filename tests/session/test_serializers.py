"""Callers on every serializer, and subscribers, get the same values of every type."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.conftest import Connect, Database, Events, Serve

COLUMNS: dict[str, tuple[str, ...]] = {
    "bool": ("true",),
    "smallint": ("-32768",),
    "int": ("2147483647",),
    "bigint": ("9223372036854775807", "-9223372036854775808"),
    "real": ("1.5", "'NaN'", "0.1"),
    "float8": ("0.1", "'NaN'", "'Infinity'", "'-Infinity'", "1e300", "'-0'", "1e22"),
    "numeric": ("12345678901234567890.1234567890", "'NaN'", "'Infinity'", "1.50", "0"),
    "numeric(10,2)": ("1.5",),
    "text": ("'\U0001f600 \u00e9'", "''", "'NaN'", r"E'\x01\n'"),
    "varchar(5)": ("'abc'",),
    "char(5)": ("'abc'",),
    "name": ("'abc'",),
    '"char"': ("'a'",),
    "bytea": (r"'\x00ff'", "''"),
    "json": ('\'{"a": [1, 1.5, 1e2, null, "x", 123456789012345678901234567890]}\'', "'null'"),
    "jsonb": ("'{\"a\": [1, 1.50, 1e2, 18446744073709551616, 12345678901234567890]}'", "'[]'"),
    "date": ("'2024-02-29'", "'infinity'", "'0044-03-15 BC'"),
    "time": ("'10:11:12.5'", "'24:00'"),
    "timetz": ("'10:11:12.5+05:30'", "'10:00+02'"),
    "timestamp": ("'2024-01-02 03:04:05.678'", "'-infinity'", "'0044-03-15 10:00 BC'"),
    "timestamptz": ("'2024-01-02 03:04:05.678+02'", "'infinity'", "'0044-03-15 10:00+00 BC'"),
    "interval": ("'1 year 2 mons -3 days 04:05:06.7'", "'0'"),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",),
    "inet": ("'192.168.0.1/24'", "'::1'"),
    "cidr": ("'10.0.0.0/8'",),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "bit(4)": ("'1010'",),
    "varbit": ("'10101'", "''"),
    "money": ("12.34",),
    "oid": ("4294967295",),
    "regclass": ("'pg_class'",),
    "pg_lsn": ("'16/B374D848'",),
    "point": ("'(1.5,2)'",),
    "box": ("'(1,2),(3,4)'",),
    "polygon": ("'((0,0),(1,1),(2,0))'",),
    "tsvector": ("'a fat cat'",),
    "tsquery": ("'fat & rat'",),
    "jsonpath": ("'$.a'",),
    "int4range": ("'[1,5)'", "'empty'", "'(,5)'"),
    "numrange": ("'[1.50,2]'",),
    "daterange": ("'[2024-01-01,infinity)'",),
    "tsrange": ("'[2024-01-01 10:00,2024-01-02)'",),
    "tstzrange": ("'[2024-01-01 10:00+02,2024-01-02 00:00+00)'",),
    "int4multirange": ("'{[1,3),[5,9)}'", "'{}'"),
    "tstzmultirange": ("'{[2024-01-01 10:00+02,2024-01-02 00:00+00)}'",),
    "int[]": ("'{1,null,3}'", "'{{1,2},{3,4}}'", "'{}'"),
    "bigint[]": ("'{9223372036854775807}'",),
    "text[]": ('\'{a,null,"b \\"c\\"",NULL}\'', "'{{a,b},{c,null}}'"),
    "float8[]": ("'{NaN,Infinity,1.5,null}'",),
    "numeric[]": ("'{1.50,NaN,null}'",),
    "bool[]": ("'{t,f,null}'",),
    "bytea[]": (r"array['\x00'::bytea, null]",),
    "uuid[]": ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,null}'",),
    "timestamptz[]": ("'{2024-01-02 03:04:05+02,infinity,null}'",),
    "timestamp[]": ("'{{2024-01-02 03:04:05,null}}'",),
    "date[]": ("'{2024-01-02}'",),
    "jsonb[]": ("array['{\"a\": 1.50}'::jsonb, '[1]', null]",),
    "int4range[]": ("array['[1,5)'::int4range, 'empty', null]",),
    "mood": ("'sad'",),
    "mood[]": ("'{sad,null,\"so so\"}'",),
    "positive": ("7",),
    "positive[]": ("'{7,null}'",),
    "label": ("'x'",),
    "pair": ("row(1, 'x', 1.50, 'sad', '2024-01-02 03:04:05+02', '{1,2}')", "row(null, null)"),
    "pair[]": ("array[row(1, 'NaN', 'NaN', null, null, null)::pair, null]",),
}
TYPES = (
    "create type mood as enum ('happy', 'so so', 'sad')",
    "create domain positive as int check (value > 0)",
    "create domain label as text",
    "create type pair as (n int, t text, d numeric, m mood, w timestamptz, l int[])",
)


def _column(type_name: str, index: int) -> str:
    return f"{type_name} {index}".replace("%", "")


async def _create(database: Database) -> list[str]:
    connection = await database.connect()
    kinds = dict(COLUMNS)
    try:
        for statement in TYPES:
            await connection.execute(statement)
        kinds["pair"] = (kinds["pair"][0], "row(null, null, null, null, null, null)")
        try:
            await connection.execute("select '<a/>'::xml")
            kinds["xml"] = ("'<a>b</a>'",)
        except asyncpg.FeatureNotSupportedError:
            pass
        if await connection.fetchval(
            "select exists (select from pg_available_extensions where name = 'hstore')"
        ):
            await connection.execute("create extension hstore")
            kinds["hstore"] = ("'a=>1, b=>NULL'",)
        columns = [(_column(t, i), t, v) for t, vs in kinds.items() for i, v in enumerate(vs)]
        defined = ", ".join(f'"{name.replace(chr(34), "")}" {t}' for name, t, _ in columns)
        await connection.execute(f"create table every (id int primary key, {defined})")
        await connection.execute("select wamp.watch('every')")
    finally:
        await connection.close()
    return [value for *_, value in columns]


@pytest.mark.parametrize("serializer", ["json", "msgpack", "cbor"])
async def test_every_type_is_the_same_for_each_serializer_and_in_events(
    database: Database,
    serve: Serve,
    connect: Connect,
    prefix: str,
    events: Events,
    serializer: str,
) -> None:
    values = await _create(database)
    await serve()
    reference, client = await connect("cbor"), await connect(serializer)
    await client.subscribe(f"{prefix}.every.inserted", events)
    database.execute(f"insert into every values (1, {', '.join(values)})")
    async with asyncio.timeout(20):
        expected: list[dict[str, Any]] = await reference.call(f"{prefix}.every.select")
        assert len(expected[0]) == len(values) + 1
        assert await client.call(f"{prefix}.every.select") == expected
        assert await client.call(f"{prefix}.every.get", [1]) == expected[0]
        (event,) = await events.count(1)
    different = {
        name: (event["new"].get(name), value)
        for name, value in expected[0].items()
        if event["new"].get(name) != value
    }
    assert different == {}


async def test_real_and_oid_are_the_same_in_events(
    database: Database, serve: Serve, connect: Connect, prefix: str, events: Events
) -> None:
    database.execute("create table t (id int primary key, r real, o oid)", "select wamp.watch('t')")
    await serve()
    client = await connect()
    await client.subscribe(f"{prefix}.t.inserted", events)
    database.execute("insert into t values (1, 0.1, 4294967295)")
    (event,) = await events.count(1)
    assert event["new"] == await client.call(f"{prefix}.t.get", [1])


async def test_the_values_are_those_postgresql_writes(
    database: Database, serve: Serve, connect: Connect, prefix: str
) -> None:
    values = await _create(database)
    await serve()
    database.execute(f"insert into every values (1, {', '.join(values)})")
    row = await (await connect()).call(f"{prefix}.every.get", [1])
    told = {
        "bigint 0": 2**63 - 1,
        "float8 1": "NaN",
        "numeric 0": "12345678901234567890.1234567890",
        "text 0": "\U0001f600 \u00e9",
        "bytea 0": b"\x00\xff",
        "timestamptz 1": "infinity",
        "int[] 0": [1, None, 3],
        "int[] 1": [[1, 2], [3, 4]],
        "mood 0": "sad",
        "int4range 0": {"lower": "1", "upper": "5", "bounds": "[)"},
    }
    assert {name: row[name] for name in told} == told
