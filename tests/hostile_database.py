"""A database as hostile hands leave it, for the tests in which the ways of pgwamp run on it."""

from __future__ import annotations

#: Names that quoting, formatting or looking up by name would get wrong.
NAMES = (
    "select", "order", "user", "$1", "a.b", "new\nline", "\N{PILE OF POO}", "back\\slash", "100%",
    "%s", "%(x)s", 'quo"te', "it's", "$$", ":p0", "--", "/*", "x" * 63, "public", "wamp", "event",
    "pgwamp", "__asyncpg_stmt_1__", "p0", "v", "count", "follow",
    "\N{ZERO WIDTH SPACE}", "Mixed Case",
)  # fmt: skip
_RECORD = "insert into public.touched values (current_user, {}); "
_TYPES = ("oid", "regclass", "name", "text", "int4", "int8", '"char"', "bool", "jsonb")
#: Pairs that PostgreSQL itself compares by way of a cast: an exact operator would be preferred.
_PAIRS = (
    *((one, other) for one in _TYPES for other in _TYPES),
    ("xid8", "pg_snapshot"),
    ("text[]", "text[]"),
    ("oid", "oid[]"),
)
_SYMBOLS = {"=": "bool", "<>": "bool", "||": "text", "~": "bool", "->>": "text", "?": "bool"}


def _operators() -> list[str]:
    statements = []
    for number, (left, right) in enumerate(_PAIRS):
        for place, (symbol, result) in enumerate(_SYMBOLS.items()):
            name = f"public.stand_in_{number}_{place}"
            statements += [
                f"create function {name}({left}, {right}) returns {result} language plpgsql as "
                f"$$ begin {_RECORD.format(repr(f'{left} {symbol} {right}'))}return null; end $$",
                f"create operator public.{symbol} "
                f"(leftarg = {left}, rightarg = {right}, function = {name})",
            ]
    return statements


def _functions() -> list[str]:
    signatures = {
        "format": ("text, text", "text"),
        "to_regclass": ("text", "regclass"),
        "to_regprocedure": ("text", "regprocedure"),
        "to_regnamespace": ("text", "regnamespace"),
        "current_setting": ("text", "text"),
        "set_config": ("text, text, bool", "text"),
        "pg_get_userbyid": ("oid", "name"),
        "quote_literal": ("text", "text"),
        "quote_ident": ("text", "text"),
        "pg_advisory_xact_lock": ("int4, int4", "bool"),
        "pg_notification_queue_usage": ("", "float8"),
        "pg_has_role": ("oid, oid, text", "bool"),
        "has_table_privilege": ("text, text", "bool"),
        "has_function_privilege": ("regprocedure, text", "bool"),
        "current_schema": ("", "name"),
        "version": ("", "text"),
        "pg_notify": ("text, text", "bool"),
        "unnest": ("text[]", "text"),
    }
    return [
        f"create function public.{name}({arguments}) returns {result} language plpgsql as "
        f"$$ begin {_RECORD.format(repr(name))}return null; end $$"
        for name, (arguments, result) in signatures.items()
    ]


#: Each records who ran it; for whoever may create objects in public.
HOSTILE = (
    "create table public.touched (who text, what text)",
    "grant insert, select on public.touched to public",
    *_operators(),
    *_functions(),
    *(
        f"create domain public.{name} as pg_catalog.{name} check (false)"
        for name in ("text", "oid")
    ),
    "create domain public.regclass as pg_catalog.regclass check (false)",
    "create table public.pg_class (oid int)",
    "create table public.pg_namespace (oid int)",
    "create table public.pg_trigger (oid int)",
    "create table public.alembic_version (version_num text)",
)


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it, under the usual settings."""
    return "'" + text.replace("'", "''") + "'"


def odd_objects() -> list[str]:
    """Tables, columns, enums, composites and functions of every odd name; views in circles."""
    labels = ", ".join(map(literal, NAMES))
    columns = ", ".join(f"{quoted(name)} text" for name in NAMES)
    statements = [
        f"create type {quoted('od.d')} as enum ({labels})",
        f"create type {quoted('pa$1rts')} as ({columns})",
        f"create table odd (id int primary key, kind {quoted('od.d')}, parts {quoted('pa$1rts')}, "
        f"{columns})",
        "create view one as select 1 as id",
        "create view two as select id from one",
        "create or replace view one as select id from two",
        "create view narcissus as select 1 as id",
        "create or replace view narcissus as select id from narcissus",
    ]
    for name in NAMES:
        statements += [
            f"create table {quoted(name)} (id int primary key, {quoted(name)} text)",
            f"create function {quoted(name[:62] + '_')}({quoted(name)} text) "
            f"returns text language sql as 'select $1'",
        ]
    return statements
