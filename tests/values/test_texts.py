"""Values are read from PostgreSQL's own text as a call answers them."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from pgwamp.catalog.load import load_types
from pgwamp.query.dialect import DIALECT
from pgwamp.query.expressions import output
from pgwamp.values import text_reader
from tests.query.conftest import Bench, bench

__all__ = ["bench"]
SCHEMA = """
create type texts_pair as (a text, b int[]);
create type texts_single as (one text);
create type texts_empty as ();
create domain texts_words as text[];
create domain texts_pairs as texts_pair[];
create type texts_mood as enum ('', 'NULL', 'a"b', '{}');
create type texts_outer as (pair texts_pair, pairs texts_pair[], word texts_words)
"""
#: SQL of values, whose texts hold what separates others.
VALUES = [
    "'{}'::int[]",
    "'[2:3]={1,NULL}'::int[]",
    "'[0:1][5:5]={{1},{2}}'::int[]",
    "'{{{1,2}},{{3,NULL}}}'::int[]",
    """array['NULL', null, '', '"', '\\', '{', '}', ',', ' ', '\\"', E'\\n', 'null']""",
    "'{((1,2),(0,0));((3,4),(2,2));NULL}'::box[]",
    "array['(1,2)'::point, null]",
    """array['{"a": ["\\"", "\\\\"]}'::jsonb, 'null', '1e400']""",
    "array[true, false, null]",
    "array['NaN', 'Infinity', '-Infinity', '1e-300', null]::float8[]",
    "array['\\x00ff'::bytea, '', null]",
    "array['', 'NULL', 'a\"b', '{}', null]::texts_mood[]",
    "row('', '{1,NULL}')::texts_pair",
    "row(null, null)::texts_pair",
    "row('a,b(c)\"\\', '{}')::texts_pair",
    "row(null)::texts_single",
    "row('')::texts_single",
    "row(' ')::texts_single",
    "array[row(null)::texts_single, null, row('')::texts_single]",
    "array[row('a', '{1}')::texts_pair, null]::texts_pairs",
    "row(row('x\"y', '{1,2}'), array[row('\\', null)::texts_pair, null], '{NULL,\"\"}')"
    "::texts_outer",
    "array[row(row('x', '{}'), '{}', null)::texts_outer]",
    "'[1,5)'::int4range",
    "array['empty'::int4range, '(,)', null]",
    "'{[1,2),[4,)}'::int4multirange",
    "array['{}'::int4multirange, '{[1,2)}']",
    "'P1Y2M3DT4H5M6.7S'::interval",
    "'0044-03-15 12:00:00+00 BC'::timestamptz",
    "'10.0.0.1'::inet",
    "array['10.0.0.1'::inet, '10.0.0.0/8']",
    "12345678901234567890.000001::numeric",
    "9223372036854775807",
    "array[9223372036854775807]",
    "'x'::\"char\"",
    "1259::oid",
    "'pg_class'::regclass",
]


@pytest.fixture(scope="module")
def types(bench: Bench) -> Bench:
    bench.execute(SCHEMA)
    return bench


@pytest.mark.parametrize("big", [False, True], ids=["number", "string"])
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_read_from_its_text_as_a_call_answers_it(
    types: Bench, value: str, big: bool
) -> None:
    prepared = types.run(types.connection.prepare(f"select {value} as v"))
    oid = prepared.get_attributes()[0].type.oid
    of = types.run(load_types(types.connection, [oid]))[oid]
    # PostgreSQL casts the elements of an ARRAY[...] that is cast.
    asked, convert = output(sa.literal_column(f"(select {value})"), of, bigint_as_string=big)
    (answer,) = types.fetch(str(sa.select(asked.label("v")).compile(dialect=DIALECT)))
    expected: Any = answer["v"] if convert is None else convert(answer["v"])
    schema, function = of.output or ("pg_catalog", "textout")
    (written,) = types.fetch(f'select textin("{schema}"."{function}"({value})) as v')
    assert text_reader(of, bigint_as_string=big)(written["v"]) == expected
