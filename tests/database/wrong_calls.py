"""Wrong calls of every verb, each about something that a role may not use.

What must not be told holds the word ``secret``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

#: Tables with columns of every kind, others that lead to them, and functions of their rows.
SCHEMA = (
    "create type secret_mood as enum ('secret_gloomy', 'secret_merry')",
    "create type secret_inner as (secret_deep int)",
    "create type secret_wrap as (s secret_inner, secret_n int)",
    "create domain secret_even as int constraint secret_check check (value % 2 = 0)",
    "create type secret_range as range (subtype = secret_even)",
    "create table deep (secret_key int primary key, m secret_mood, far text)",
    "create table holder (id int primary key, m secret_mood unique default 'secret_merry', "
    "ms secret_mood[], w secret_wrap, l secret_wrap[], d secret_even, ds secret_even[], "
    "r secret_range, j jsonb, t text, n int, row_of deep, "
    "g text generated always as ('secret default') stored, "
    "secret_neighbour text default 'secret default', deep_id int references deep)",
    "create table item (id int primary key, label text, holder_id int references holder)",
    "create table note (id int primary key, item_id int references item)",
    "create table keyed (m secret_mood, secret_pair int, label text, primary key (m, secret_pair))",
    "create table coded (g int generated always as identity primary key, label text, "
    "constraint secret_code unique (label))",
    "create table leaf (id int primary key, deep_id int references deep, secret_key int)",
    "create view shown as select * from holder",
    "create function shade(item) returns secret_mood language sql stable as "
    "$$ select 'secret_gloomy'::secret_mood $$",
    "create function beside(item) returns setof holder language sql stable as "
    "'select h from holder as h'",
    "create function takes(holder) returns int language sql as 'select 1'",
    "create function takes_all(holder[]) returns int language sql as 'select 1'",
    "create function closed(secret_argument secret_mood) returns int language sql as 'select 1'",
    "create function items() returns setof item language sql security definer "
    "as 'select i from item i'",
    "create function pick(low int) returns setof item language sql security definer "
    "as 'select i from item i'",
    "create function pick(high text) returns setof holder language sql security definer "
    "as 'select h from holder h'",
    "create function pick(wide boolean) returns table (secret_out secret_mood) language sql "
    "as $$ select 'secret_gloomy'::secret_mood $$",
    "revoke execute on all functions in schema public from public",
    "insert into deep values (1, 'secret_merry', '')",
    "insert into holder (id, m, t, n, d, deep_id) values (1, 'secret_gloomy', 'a b', 1, 2, 1)",
    "insert into item values (1, 'a', 1)",
    "insert into note values (1, 1)",
    "insert into keyed values ('secret_merry', 1, 'a')",
)
#: A role that may do something with every relation, and nothing of what the calls are about.
GRANTS = (
    "grant select (id), insert (id), update (id), delete on holder, shown to {role}",
    "grant select (id, holder_id), insert (id), update (id), delete on item to {role}",
    "grant select (id, item_id) on note to {role}",
    "grant select (label), insert (label), update (label), delete on keyed, coded to {role}",
    "grant select (id, deep_id) on leaf to {role}",
    "grant insert (far) on deep to {role}",
    "grant execute on function takes, takes_all, items, pick(int) to {role}",
)
ALL_GRANTS = (
    "grant all on all tables in schema public to {role}",
    "grant execute on all functions in schema public to {role}",
)


class Wrong(NamedTuple):
    """A wrong call.

    :ivar telling: a role with all rights is told something that holds the word.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    telling: bool = True


#: Values of a row that cannot be computed. The error about each names a type; about the others not.
FIELDS = (
    "w->zz", "w->>zz", "w->s->zz", "l->0->zz", "l->0->s->>zz", "m->zz", "m->zz::text",
    "ms->0->zz", "r->zz", "row_of->m->zz", "m::integer", "w->s::integer", "ms::integer", "w::date",
    "m::numeric(10,2)",
)  # fmt: skip
QUIET_FIELDS = (
    "m::zz", "m::text::text", "l->zz", "d->zz", "ds->0->zz", "t->zz", "n->0", "w->", "j->a->>b->c",
    "row_of->zz",
)  # fmt: skip
AGGREGATES = ("m.sum()", "ms.avg()", "w->s.bool_and()", "r.max()", "row_of->m.avg()")
QUIET_AGGREGATES = ("m.max()::zz", "m.median()", "d.avg()::point", "m.count()::point")
QUIET_ORDERS = ("m.zz", "d::point", "zz")
#: Conditions that cannot be met.
CONDITIONS: Mapping[str, tuple[Any, ...]] = {
    "m": (
        "zz", 5, ["zz"], {"eq": "zz"}, {"neq": 5}, {"not": {"eq": "zz"}}, {"in": "zz"},
        {"in": ["zz", None]}, {"between": ["zz", "zz"]}, {"isdistinct": "zz"},
        {"gt": {"any": ["zz"]}}, {"eq": {"all": "zz"}}, {"contains": "zz"}, {"left_of": "zz"},
    ),
    "ms": (
        "{zz}", {"eq": ["zz"]}, {"contains": ["zz"]}, {"contains": "{zz}"}, {"overlaps": 5},
        {"gt": {"any": [["zz"]]}}, {"left_of": []},
    ),
    "w": ({"eq": {"zz": 1}}, {"eq": {"s": {"zz": 1}}}, {"eq": 5}, {"contains": {}}),
    "ds": ({"eq": [1]}, {"contains": [1]}, {"eq": "{1}"}),
    "r": ({"contains": 1}, {"eq": "[1,3)"}),
    "l": ({"eq": [{"zz": 1}]},), "row_of": ({"eq": {"m": "zz"}},), "row_of->m": ("zz",),
    "ms->0": ("zz",), "m->zz": (1,), "w->zz": (1,), "m::integer": (1,),
}  # fmt: skip
QUIET_CONDITIONS: Mapping[str, tuple[Any, ...]] = {
    "m": (
        {}, {"zz": 1}, {"gt": None}, {"between": 1}, {"is": True}, {"like": 5}, {"match": "("},
        {"fts": "a"}, {"has_key": "zz"},
    ),
    "d": (1, "zz", {"contains": 1}, {"between": [1, "a"]}, {"eq": {"any": [1, "a"]}}),
    "r": ("zz", {"eq": {"lower": "a"}}, {"left_of": 5}, {"eq": {"bounds": "zz"}}),
    "row_of": ({"eq": {"zz": 1}}, {"eq": 5}),
    "t": ({"fts": "a b"}, {"fts": {"query": "a", "config": "zz"}}, 5),
    "j": ({"left_of": 1},), "n": ("a", {"like": 5}), "m::zz": (1,), "zz": (1,),
}  # fmt: skip
#: Values that cannot be written.
VALUES: Mapping[str, tuple[Any, ...]] = {
    "m": ("zz", 5, ["zz"]), "ms": (["zz"], [["zz"]], 5),
    "w": ({"zz": 1}, {"s": {"zz": 1}}, {"s": 5}, 5), "l": ([{"zz": 1}], 5),
    "r": (5,), "row_of": ({"m": "zz"}, {"m": 5}),
}  # fmt: skip
#: Values that PostgreSQL cannot read.
UNREADABLE: Mapping[str, tuple[Any, ...]] = {
    "ms": ("{zz}",), "d": (1,), "ds": ([1], "{1}"), "r": ({"lower": 1},),
}  # fmt: skip
QUIET_VALUES: Mapping[str, tuple[Any, ...]] = {
    "d": ("a", 10**10), "ds": (["a"],), "r": ("zz", {"lower": "a"}), "l": ("{zz}",),
    "j": ({1: 2},), "t": (5,), "n": ("a",), "g": ("a",), "zz": (1,), "row_of": ({"zz": 1}, "(zz)"),
}  # fmt: skip
#: The same as CSV.
TEXTS = ("id,m\n7,zz\n", "id,ms\n7,{zz}\n", "id,d\n7,1\n", "id,ds\n7,{1}\n")
QUIET_TEXTS = (
    "id,w\n7,zz\n", 'id,w\n7,"((zz),)"\n', "id,d\n7,a\n", "id,r\n7,zz\n", "id,r\n7,empty,1\n",
    "id,n\n7,a\n", "id,g\n7,a\n", "id,zz\n7,a\n", "id,m,m\n7,a,b\n", "id,row_of\n7,(zz)\n",
)  # fmt: skip
_WRITES = (
    ("holder.insert", ({"id": 9},)),
    ("holder.update", ({"id": 1}, {"id": 1})),
    ("holder.upsert", ({"id": 9},)),
    ("holder.delete", ({"id": 9},)),
)


def of_fields() -> Iterator[Wrong]:
    """Columns and orders, at every place that takes them."""
    for text in (*FIELDS, *AGGREGATES):
        request = {"columns": [text]}
        yield Wrong("holder.select", (), request)
        yield Wrong("holder.select", (), {**request, "format": "csv"})
        yield Wrong("holder.get", (1,), request)
        yield from _included(request)
        for verb, args in _WRITES:
            yield Wrong(verb, args, {"returning": [text]})
    for text in FIELDS:
        request = {"columns": ["id"], "order": [f"{text}.desc"]}
        yield Wrong("holder.select", (), request)
        yield from _included(request)
        for name in ("item.select", "items"):
            yield Wrong(name, (), {"columns": ["id"], "order": [f"holder({text})"]})
        for verb, args in _WRITES:
            yield Wrong(verb, args, {"returning": ["id"], "order": [text]})
    for text in (*QUIET_FIELDS, *QUIET_AGGREGATES):
        yield from _quiet(_included({"columns": [text]}))
    for text in (*QUIET_FIELDS, *QUIET_ORDERS):
        yield from _quiet(_included({"columns": ["id"], "order": [text]}))
    for columns in (["m", "m"], ["*", "zz:*"], ["a b:m"]):
        yield Wrong("holder.select", (), {"columns": columns}, telling=False)


def _included(request: Mapping[str, Any]) -> Iterator[Wrong]:
    """Calls that include a request for rows of the holder."""
    include = {"holder": request}
    for name in ("item.select", "items"):
        yield Wrong(name, (), {"columns": ["id"], "include": include})
    further = {"item": {"columns": ["id"], "include": {"x:holder_id": request}}}
    yield Wrong("note.select", (), {"columns": ["id"], "include": further})
    yield Wrong("item.update", ({"id": 1}, {"id": 1}), {"returning": ["id"], "include": include})


def _quiet(calls: Iterator[Wrong]) -> Iterator[Wrong]:
    return (call._replace(telling=False) for call in calls)


def _pairs(table: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    return ({name: value} for name, values in table.items() for value in values)


def of_conditions() -> Iterator[Wrong]:
    """Conditions, at every place that takes them."""
    for where in _pairs(CONDITIONS):
        nested = {"or": [{"id": 5}, {"not": {"and": [where]}}]}
        yield Wrong("holder.select", (), {"columns": ["id"], "where": where})
        yield Wrong("shown.select", (), {"columns": ["id"], "where": nested})
        yield Wrong("holder.count", (where, "planned"), {})
        yield Wrong("holder.delete", (where,), {"returning": False})
        yield Wrong("holder.update", ({"id": 2}, nested), {"returning": False})
        yield Wrong("note.count", ({"item": {"holder": where}},), {})
        yield Wrong("items", (), {"columns": ["id"], "where": {"holder": where}})
        yield from _included({"columns": ["id"], "where": where})
    for where in _pairs(QUIET_CONDITIONS):
        yield Wrong("holder.select", (), {"columns": ["id"], "where": where}, telling=False)
        yield Wrong("note.count", ({"item": {"holder": where}},), {}, telling=False)


def of_rows() -> Iterator[Wrong]:
    """Rows to write, and rows that functions take."""
    for values in (*_pairs(VALUES), *_pairs(UNREADABLE)):
        yield from _written(values)
    for values in _pairs(QUIET_VALUES):
        yield from _quiet(_written(values))
    for values in _pairs(VALUES):
        yield Wrong("takes", (values,), {})
        yield Wrong("takes_all", ([values],), {})
    for text in TEXTS:
        for verb in ("holder.insert", "holder.upsert", "shown.insert"):
            yield Wrong(verb, (), {"csv": text})
        yield Wrong("holder.upsert", (), {"csv": text, "resolution": "ignore"})
    for text in QUIET_TEXTS:
        for verb in ("holder.insert", "holder.upsert", "shown.insert"):
            yield Wrong(verb, (), {"csv": text}, telling=False)


def _written(values: dict[str, Any]) -> Iterator[Wrong]:
    row, plain = {"id": 7, **values}, {"returning": False}
    for verb in ("holder.insert", "holder.upsert", "shown.insert"):
        yield Wrong(verb, (row,), plain)
        yield Wrong(verb, ([row, {**row, "id": 8}],), plain)
    for missing in ("default", "null"):
        yield Wrong("holder.insert", ([row, {"id": 8}],), {**plain, "missing": missing})
    yield Wrong("holder.update", (values, {"id": 1}), plain)
    yield Wrong("holder.update", (), {"rows": [{**values, "id": 1}], **plain})


def of_keys() -> Iterator[Wrong]:
    """Keys of which the role may use no column."""
    for key in (1, {}, {"m": "zz"}, ["zz", 1], [5, "a"], {"m": "zz", "n": 1}):
        yield Wrong("keyed.get", (key,), {"columns": ["label"]})
    yield Wrong("keyed.get", ([None, 1],), {"columns": ["label"]}, telling=False)
    yield Wrong("keyed.update", (), {"rows": [{"label": "a"}], "returning": False})
    for given in ({"conflict": ["label"]}, {"conflict": ["zz"]}):
        yield Wrong("keyed.upsert", ([{"label": "a"}],), {**given, "returning": False})
        yield Wrong("keyed.upsert", (), {**given, "csv": "label\na\n"})
    row = {"m": "secret_merry", "label": "a"}
    yield Wrong("keyed.upsert", ([row],), {"returning": False})
    yield Wrong("keyed.upsert", (), {"csv": "label,m\na,secret_merry\n"})
    for row in ({"g": 1, "label": "a"}, {"label": "a"}):
        yield Wrong("coded.upsert", (row,), {"returning": False}, telling=False)


def of_related() -> Iterator[Wrong]:
    """Related rows, computed columns, and overloads of a function."""
    yield Wrong("leaf.select", (), {"include": {"deep": {"spread": True}}})
    for key in ("deep", "zz:deep"):
        yield Wrong("holder.select", (), {"columns": ["id"], "include": {key: {"columns": ["zz"]}}})
        yield Wrong("holder.select", (), {"columns": ["id"], "order": [f"{key}(zz)"]})
    yield Wrong("holder.count", ({"deep": {"zz": 1}},), {})
    for kwargs in (
        {"where": {"deep": {"m": "zz"}}},
        {"order": ["deep(m->zz)"]},
        {"include": {"deep": {"columns": ["m->zz"]}}},
    ):
        yield Wrong("holder.select", (), {"columns": ["id"], **kwargs})
    for name in ("shade->zz", "shade.sum()", "shade::integer"):
        yield Wrong("item.select", (), {"columns": [name]})
        inner = {"item": {"columns": [name]}}
        yield Wrong("note.select", (), {"columns": ["id"], "include": inner})
    yield Wrong("item.select", (), {"columns": ["id"], "order": ["shade->zz"]})
    for value in ("zz", 5, {"contains": 1}):
        yield Wrong("item.count", ({"shade": value},), {})
        yield Wrong("note.count", ({"item": {"shade": value}},), {})
    beside = {"columns": ["m->zz"], "where": {"m": 5}}
    yield Wrong("item.select", (), {"columns": ["id"], "include": {"beside": beside}})
    yield Wrong("item.count", ({"beside": {"m": "zz"}},), {})
    for args, kwargs in ((("zz",), {}), ((5,), {}), ((), {"zz": 1})):
        yield Wrong("closed", args, kwargs)
    for kwargs in ({"where": {"zz": 1}}, {"columns": ["zz"]}, {"order": ["zz"]}):
        yield Wrong("pick", ("a",), kwargs)
        yield Wrong("pick", (True,), kwargs)
    for kwargs in ({"where": {"m": "zz"}}, {"columns": ["m->zz"]}, {"columns": ["m::integer"]}):
        yield Wrong("pick", ("a",), kwargs)
        yield Wrong("pick", (1,), {"columns": ["id"], "include": {"holder": kwargs}})


KINDS = {
    "fields": of_fields,
    "conditions": of_conditions,
    "rows": of_rows,
    "keys": of_keys,
    "related": of_related,
}
