"""What watching makes of each kind of table: triggers, the statement of conditions, a layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.golden.files import comments, formatted

FOLDER = Path(__file__).with_name("golden")
#: Executes a statement, and answers its rows.
Query = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Watch:
    """A watched table.

    :ivar make: makes it.
    :ivar oldest: the first PostgreSQL that has it.
    """

    table: str
    make: tuple[str, ...]
    options: dict[str, Any]
    oldest: int = 0


#: By the name of the golden file.
WATCHES = {
    "plain": Watch("plain", ("create table plain (id int primary key, name text)",), {}),
    "partitioned": Watch(
        "whole",
        (
            "create table whole (id int, day date, primary key (id, day)) partition by range (day)",
            "create table whole_2025 partition of whole "
            "for values from ('2025-01-01') to ('2026-01-01')",
            "create table whole_2026 (day date not null, id int not null)",
            "alter table whole attach partition whole_2026 "
            "for values from ('2026-01-01') to ('2027-01-01')",
        ),
        {"topic": "com.example.whole.{op}.{id}"},
    ),
    "deferrable": Watch(
        "later", ("create table later (id int primary key deferrable, name text)",), {}
    ),
    "keyless": Watch(
        "keyless",
        (
            "create table keyless (at timestamptz, line text)",
            "alter table keyless replica identity full",
        ),
        {"old": "full"},
    ),
    "condition": Watch(
        "shown",
        (
            "create domain label as text",
            "create table shown (id int primary key, kind label, data jsonb, hidden text)",
        ),
        {"when": "kind <> 'draft' and data->>'a' = 'b'", "columns": ["id", "kind"]},
    ),
    "virtual": Watch(
        "computed",
        (
            "create table computed (id int primary key, net numeric(10, 2), word text, "
            "gross numeric(10, 2) generated always as (net * 2) virtual, "
            'loud text collate "C" generated always as (upper(word)) virtual)',
        ),
        {"when": "net > 1"},
        oldest=18,
    ),
}
_TRIGGERS = """
select pg_get_triggerdef(t.oid) from pg_trigger as t
where t.tgrelid in (select %(oid)s union select relid from pg_partition_tree(%(oid)s))
    and t.tgname like 'wamp%%'
order by t.tgrelid::regclass::text collate "C", t.tgname
"""
_CONDITION = "select condition, condition_columns from wamp.watch where relation = %(oid)s"
_EVALUATION = """
select wamp.evaluation(wamp.layout(relation), condition) from wamp.watch where relation = %(oid)s
"""
#: By what oids mean, and without hashes.
_LAYOUT = """
select key, case key
    when 'columns' then (
        select jsonb_object_agg(k.oid::oid::regclass, (
            select jsonb_agg((c ->> 0) || ' ' || format_type((c ->> 1)::oid, null) order by n)
            from jsonb_array_elements(k.list) with ordinality as x (c, n)))
        from jsonb_each(nullif(value, 'null')) as k (oid, list))
    when 'partitions' then (
        select jsonb_object_agg(k.oid::oid::regclass, k.name)
        from jsonb_each(nullif(value, 'null')) as k (oid, name))
    when 'reads' then (
        select jsonb_agg((r ->> 0) || ' ' || format_type((r ->> 1)::oid, null) order by n)
        from jsonb_array_elements(nullif(value, 'null')) with ordinality as x (r, n))
    when 'stamps' then (
        select jsonb_agg(oid::oid::regclass order by oid::oid::regclass::text collate "C")
        from jsonb_object_keys(nullif(value, 'null')) as k (oid))
    when 'types' then (
        select jsonb_agg(format_type((t ->> 'oid')::oid, null)
            order by format_type((t ->> 'oid')::oid, null) collate "C")
        from jsonb_array_elements(nullif(value, 'null')) as x (t))
    when 'virtual' then (
        select jsonb_agg(
            concat_ws(' ', v ->> 0, format_type((v ->> 1)::oid, (v ->> 2)::int),
                'collate ' || (v ->> 3)::oid::regcollation, v ->> 4) order by n)
        from jsonb_array_elements(nullif(value, 'null')) with ordinality as x (v, n))
    else value end
from jsonb_each(wamp.layout(%(oid)s)) order by key collate "C"
"""


def made(query: Query, watch: Watch) -> str:
    """Watch a table that is not there yet; the text of its golden file."""
    for statement in watch.make:
        query(statement)
    options = json.dumps(watch.options)
    call = "select wamp.watch('{}', '{}')".format(watch.table, options.replace("'", "''"))
    query(call)

    def ask(statement: str) -> list[tuple[Any, ...]]:
        return query(statement % {"oid": f"'{watch.table}'::regclass"})

    ((condition, columns),) = ask(_CONDITION)
    ((evaluation,),) = ask(_EVALUATION)
    told = [] if condition is None else [f"condition of {', '.join(columns)}: {condition}"]
    layout = dict(ask(_LAYOUT))
    told += [f"layout, {k}: {json.dumps(v)}" for k, v in layout.items() if v is not None]
    told.append(f"layout, null: {', '.join(k for k, v in layout.items() if v is None)}")
    parts = [
        "".join(f"{statement};\n" for statement in (*watch.make, call)),
        "".join(f"{definition};\n" for (definition,) in ask(_TRIGGERS)),
        f"{formatted(evaluation)};\n",
        comments(told),
    ]
    return "\n".join(parts)
