"""Values of every type, and what each of them is for a WAMP client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A type and some of its values.

    :ivar values: PostgreSQL's literals, and what they are; None where that is PostgreSQL's text.
    """

    type: str
    values: tuple[tuple[str, Any], ...]


def of(type: str, *literals: str, **known: Any) -> Kind:
    """A type whose values are what PostgreSQL writes of them."""
    return Kind(type, (*((literal, None) for literal in literals), *known.items()))


def be(type: str, values: dict[str, Any]) -> Kind:
    """A type whose values are others than PostgreSQL's text."""
    return Kind(type, tuple(values.items()))


#: What the types below are made of, with casts to json and text that no value may go through.
SCHEMA = """
create type mood as enum ('sad', 'ok', '', 'a"b,{}');
create type plain_mood as enum ('x', 'y');
create type place as (street text, zip int, at timestamptz, tags text[]);
create type nested as (place place, places place[], doc jsonb, span tstzrange);
create type word_range as range (subtype = text, collation = "C");
create type label;
create function label_in(cstring) returns label language internal immutable strict as 'textin';
create function label_out(label) returns cstring language internal immutable strict as 'textout';
create type label (input = label_in, output = label_out, like = text);
create function as_json(mood) returns json language sql as $$ select '{"cast": 1}'::json $$;
create function as_json(place) returns json language sql as $$ select '{"cast": 2}'::json $$;
create function as_json(label) returns json language sql as $$ select '{"cast": 3}'::json $$;
create function as_json(int4range) returns json language sql as $$ select '{"cast": 4}'::json $$;
create function as_text(mood) returns text language sql as $$ select 'cast' $$;
create function as_text(label) returns text language sql as $$ select 'cast' $$;
create cast (mood as json) with function as_json(mood);
create cast (place as json) with function as_json(place);
create cast (label as json) with function as_json(label);
create cast (int4range as json) with function as_json(int4range);
create cast (mood as text) with function as_text(mood);
create cast (label as text) with function as_text(label);
create function are_alike(mood, mood) returns boolean language sql as $$ select true $$;
create operator <~~> (function = are_alike, leftarg = mood, rightarg = mood);
create table item_1 ();
create text search configuration plain (copy = simple);
create text search dictionary plain (template = simple);
create collation plain from "C";
create domain price as numeric(10, 2);
create domain moods as mood[];
create domain stamps as timestamptz[];
create domain somewhere as place;
create domain somewheres as place[];
create domain feeling as mood;
create domain instant as timestamptz
"""

PLACE = r"""("a,""b\\",7,"2026-11-27 23:02:13.5+00","{x,NULL,""y z""}")"""
AS_PLACE = {
    "street": 'a,"b\\',
    "zip": 7,
    "at": "2026-11-27T23:02:13.5+00:00",
    "tags": ["x", None, "y z"],
}
EMPTY: dict[str, Any] = {"lower": None, "upper": None, "bounds": "empty"}


def between(lower: str | None, upper: str | None, bounds: str = "[)") -> dict[str, Any]:
    """A range."""
    return {"lower": lower, "upper": upper, "bounds": bounds}


#: Types that have arrays, and that members of composites and domains are made of, too.
SINGLE = (
    be("smallint", {"-32768": -32768}),
    be("integer", {"2147483647": 2147483647}),
    be("bigint", {"9223372036854775807": 9223372036854775807}),
    be("oid", {"4294967295": 4294967295}),
    be("real", {"0.1": 0.1, "NaN": "NaN"}),
    be("double precision", {"1e300": 1e300, "1": 1.0, "-Infinity": "-Infinity"}),
    of("numeric", "12345678901234567890.000001", "NaN", "1.50", "Infinity"),
    of("numeric(10, 2)", "1"),
    be("boolean", {"true": True, "false": False}),
    of("text", 'q"\\,{}()', "", "NULL", "ä𝄞\n"),
    of("character varying(9)", "v"),
    of("character(3)", "c"),
    of("name", "n"),
    of('"char"', "x"),
    be("bytea", {r"\x00ff": b"\x00\xff", "": b""}),
    be("json", {
        '{"a": [1, 2.0, 1e3]}': {"a": [1, 2.0, 1000.0]}, "null": None, r'"\ud800"': r'"\ud800"',
    }),
    be("jsonb", {'{"n": 18446744073709551616}': {"n": "18446744073709551616"}, '"x"': "x"}),
    of("date", "2026-02-28", "0044-03-15 BC", "10000-01-01", "infinity"),
    of("time", "23:02:13.5", "24:00"),
    of("time with time zone", "12:00:01.5+05:30", "24:00+00"),
    be("timestamp", {
        "2026-11-27 23:02:13.5": "2026-11-27T23:02:13.5",
        "2026-11-27 00:00": "2026-11-27T00:00:00",
        "0044-03-15 12:00 BC": "0044-03-15 12:00:00 BC",
        "10000-01-01 00:00": "10000-01-01 00:00:00",
        "-infinity": "-infinity",
    }),
    be("timestamp with time zone", {
        "2026-11-27 23:02:13.5+00": "2026-11-27T23:02:13.5+00:00",
        "2026-11-27 23:02:13.123456+05:30": "2026-11-27T17:32:13.123456+00:00",
        "0044-03-15 12:00+00 BC": "0044-03-15 12:00:00+00 BC",
        "10000-01-01 00:00+00": "10000-01-01 00:00:00+00",
        "infinity": "infinity",
    }),
    of("interval", "1 mon", "1 year 2 mons 3 days 04:05:06.7", "-1 day", "0"),
    of("uuid", "00000000-0000-0000-0000-00000000000a"),
    of("inet", "10.0.0.1", "::1/64"),
    of("cidr", "10.0.0.0/8"),
    of("macaddr", "08:00:2b:01:02:03"),
    of("macaddr8", "08:00:2b:01:02:03:04:05"),
    of("bit(3)", "101"),
    of("bit varying", "10"),
    of("money", "12.5"),
    of("xid", "7"),
    of("xid8", "7"),
    of("cid", "7"),
    of("tid", "(1,2)"),
    of("pg_lsn", "16/B374D848"),
    of("pg_snapshot", "10:20:10,14"),
    of("txid_snapshot", "10:20:10,14"),
    be("regclass", {"pg_class": "pg_class", "item_1": "public.item_1", "0": "-"}),
    be("regtype", {
        "integer": "integer", "mood": "public.mood", "place[]": "public.place[]", "text": "text",
    }),
    be("regproc", {"now": "now", "label_in": "public.label_in"}),
    be("regprocedure", {
        "now()": "now()", "as_json(mood)": "public.as_json(public.mood)",
        "textin(cstring)": "textin(cstring)",
    }),
    be("regoper", {"||/": "||/", "<~~>": "public.<~~>"}),
    be("regoperator", {
        "+(integer,integer)": "+(integer,integer)",
        "<~~>(mood,mood)": "public.<~~>(public.mood,public.mood)",
    }),
    of("regrole", "postgres"),
    of("regnamespace", "public"),
    be("regconfig", {"english": "english", "plain": "public.plain"}),
    be("regdictionary", {"simple": "simple", "plain": "public.plain"}),
    be("regcollation", {'"C"': '"C"', "plain": "public.plain"}),
    of("tsvector", "'a':1 'b,\"':2"),
    of("tsquery", "'a' & 'b'"),
    of("jsonpath", '$."a"[*]'),
    of("point", "(1,2.5)"),
    of("line", "{1,2,3}"),
    of("lseg", "[(0,0),(1,1)]"),
    of("box", "(1,1),(0,0)"),
    of("path", "((0,0),(1,1))"),
    of("polygon", "((0,0),(1,1),(1,0))"),
    of("circle", "<(0,0),1>"),
    of("mood", "sad", "", 'a"b,{}'),
    of("plain_mood", "x"),
    of("label", 'l"'),
    be("int4range", {"[1,5)": between("1", "5"), "empty": EMPTY, "(,)": between(None, None, "()")}),
    be("int8range", {"[1,5)": between("1", "5")}),
    be("numrange", {"[1.50,)": between("1.50", None)}),
    be("daterange", {"[2026-01-01,2026-02-01)": between("2026-01-01", "2026-02-01")}),
    be("tsrange", {
        "[2026-01-01 10:00,2026-01-02)": between("2026-01-01T10:00:00", "2026-01-02T00:00:00"),
    }),
    be("tstzrange", {
        "[2026-01-01 10:00+02,)": between("2026-01-01T08:00:00+00:00", None),
        "[-infinity,0044-03-15 12:00+00 BC)": between("-infinity", "0044-03-15 12:00:00+00 BC"),
        "empty": EMPTY,
    }),
    be("word_range", {r'["a\"",b\,]': between('a"', "b,", "[]")}),
    be("int4multirange", {"{[1,3),[5,9)}": [between("1", "3"), between("5", "9")], "{}": []}),
    be("int8multirange", {"{[1,3)}": [between("1", "3")]}),
    be("nummultirange", {"{[1.5,3)}": [between("1.5", "3")]}),
    be("datemultirange", {"{[2026-01-01,)}": [between("2026-01-01", None)]}),
    be("tsmultirange", {"{[2026-01-01,)}": [between("2026-01-01T00:00:00", None)]}),
    be("tstzmultirange", {
        "{[2026-01-01 00:00+00,)}": [between("2026-01-01T00:00:00+00:00", None)],
    }),
    be("place", {PLACE: AS_PLACE, "(,,,)": dict.fromkeys(AS_PLACE)}),
)  # fmt: skip
#: Types that are made of others in further ways.
MADE = (
    be("nested", {
        "row(row('x', 1, '2026-01-01 00:00+00', '{}'), array[null, row('y', 2, null, null)::place],"
        " '{\"k\": [1.5]}', '[2026-01-01 00:00+00,)')": {
            "place": {
                "street": "x", "zip": 1, "at": "2026-01-01T00:00:00+00:00", "tags": [],
            },
            "places": [None, {"street": "y", "zip": 2, "at": None, "tags": None}],
            "doc": {"k": [1.5]},
            "span": between("2026-01-01T00:00:00+00:00", None),
        },
    }),
    be("int[][]", {"'{{1,2},{3,NULL}}'": [[1, 2], [3, None]], "'{}'": []}),
    be("int[]", {"'[0:1]={1,2}'": [1, 2]}),
    be("int2vector", {"'1 2'": [1, 2]}),
    be("oidvector", {"'1 4294967295'": [1, 4294967295]}),
    be("timestamptz[][]", {
        "'{{2026-01-01 00:00+00},{infinity}}'": [["2026-01-01T00:00:00+00:00"], ["infinity"]],
    }),
    be("price", {"'1'": "1.00"}),
    be("feeling", {"'ok'": "ok"}),
    be("instant", {"'2026-01-01 00:00+00'": "2026-01-01T00:00:00+00:00"}),
    be("moods", {"'{sad,NULL}'": ["sad", None]}),
    be("stamps", {"'{2026-01-01 00:00+00}'": ["2026-01-01T00:00:00+00:00"]}),
    be("somewhere", {
        "row('x', 1, null, null)": {"street": "x", "zip": 1, "at": None, "tags": None},
    }),
    be("somewheres", {
        "array[row('x', 1, null, null)::place, null]": [
            {"street": "x", "zip": 1, "at": None, "tags": None}, None,
        ],
    }),
    be("price[]", {"'{1,NULL}'": ["1.00", None]}),
    be("instant[]", {"'{2026-01-01 00:00+00}'": ["2026-01-01T00:00:00+00:00"]}),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One value in a column of its own.

    :ivar sql: an expression of the column's type.
    :ivar expected: what a client gets; None where it is PostgreSQL's text.
    """

    column: str
    type: str
    sql: str
    expected: Any
    is_text: bool = False


def cells() -> Iterator[Cell]:
    """Every value: for itself, in an array, in a composite, and as a domain."""
    for number, kind in enumerate(SINGLE):
        for index, (literal, expected) in enumerate(kind.values):
            name = f"t{number}_{index}"
            sql = f"""'{literal.replace("'", "''")}'::{kind.type}"""
            is_text = expected is None and kind.type not in ("json", "jsonb")
            yield Cell(name, kind.type, sql, expected, is_text)
            yield Cell(
                f"{name}_a", f"{kind.type}[]", f"array[{sql}, null]", [expected, None], is_text
            )
            yield Cell(
                f"{name}_c", f"in_{number}", f"row({sql}, array[{sql}])::in_{number}",
                {"one": expected, "several": [expected]}, is_text,
            )  # fmt: skip
            yield Cell(
                f"{name}_d", f"domain_{number}", f"({sql})::domain_{number}", expected, is_text
            )
    for number, kind in enumerate(MADE):
        for index, (sql, expected) in enumerate(kind.values):
            yield Cell(f"m{number}_{index}", kind.type, f"({sql})::{kind.type}", expected)


def wrappers() -> Iterator[str]:
    """A composite and a domain around each type."""
    for number, kind in enumerate(SINGLE):
        yield f"create type in_{number} as (one {kind.type}, several {kind.type}[])"
        yield f"create domain domain_{number} as {kind.type}"
