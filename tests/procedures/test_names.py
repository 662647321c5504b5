"""Values that name objects of the database: the same name in every search path."""

from __future__ import annotations

from collections import Counter

from tests.procedures.conftest import Start

NAMES = (
    "create type note as (about regclass, n int)",
    "create table item (id int primary key, about regclass, note note, made_by regprocedure)",
    "create function shop_item() returns regclass language plpgsql stable as "
    "$$ begin return 'item'::regclass; end $$",
    "insert into item values (1, 'item', row('item', 2), 'shop_item()'), (2, null, null, null)",
)
ITEM = "public.item"


async def test_they_are_written_where_rows_are_grouped_paged_and_returned(api: Start) -> None:
    call = await api(*NAMES)
    assert await call("item.select", columns=["about", "count()"], order=["about"]) == [
        {"about": ITEM, "count": 1},
        {"about": None, "count": 1},
    ]
    assert await call("item.get", 1, columns=["note", "made_by", "path:note->about"]) == {
        "note": {"about": ITEM, "n": 2},
        "made_by": "public.shop_item()",
        "path": ITEM,
    }
    page, also = await call.client.call_full(
        f"{call.prefix}.item.select",
        [],
        {"order": ["about"], "columns": ["id"], "limit": 1, "after": None},
    )
    assert page == [{"id": 1}]
    rest = {"order": ["about"], "columns": ["id"], "after": also["next"]}
    assert await call("item.select", **rest) == [{"id": 2}]
    changed = await call("item.update", {"about": "item"}, {"id": 2}, returning=["about"])
    assert changed == [{"about": ITEM}]


async def test_parts_that_rows_are_grouped_by_are_what_they_are_otherwise(api: Start) -> None:
    call = await api(
        *NAMES,
        "alter table item add kinds regclass[], add owner int references item",
        "update item set kinds = '{note,item}', owner = 1",
        "insert into item (id, note, kinds) values (3, row('item', 2), '{}')",
        "create function kind(item) returns regclass language sql stable as 'select $1.about'",
        "create function noted(item) returns note language sql stable as 'select $1.note'",
        # What it would say is neither a value of the type nor the one that there is.
        "create function misspelled(note) returns text language sql stable as "
        "$$ select '(pg_class,99)' $$",
        "create cast (note as text) with function misspelled",
    )
    for column in ("kinds->1", "kind", "note->about", "noted->about", "noted"):
        label = f"one:{column}"
        rows = await call("item.select", columns=[label])
        counted = await call("item.select", columns=[label, "count()"], order=["one"])
        given = [row["one"] for row in rows]
        assert {str(row["one"]): row["count"] for row in counted} == Counter(map(str, given))
        assert len(counted) == len(set(map(str, given)))
        assert ITEM in str(given)
        for text in ("pg_class", "'item'"):
            assert text not in str(counted)
    # Within others, with others, by name, and as CSV.
    inner = {"columns": ["kind", "count()"], "order": ["kind"]}
    (row,) = await call("item.select", {"id": 1}, columns=["id"], include={"item!owner": inner})
    assert row["item"] == [{"kind": ITEM, "count": 1}, {"kind": None, "count": 1}]
    many = {"columns": ["id", "kind", "kinds->0", "about", "id.max()"], "where": {"kind": "item"}}
    assert await call("item.select", **many) == [
        {"id": 1, "kind": ITEM, "kinds": "public.note", "about": ITEM, "max": 1}
    ]
    csv = await call(
        "item.select", columns=["kind", "count()"], order=["kind"], where={"id": 1}, format="csv"
    )
    assert csv == f"kind,count\n{ITEM},1\n"


async def test_conditions_take_each_name_that_the_search_path_finds(api: Start) -> None:
    call = await api(*NAMES)
    for name in ("item", ITEM, '"item"'):
        assert await call("item.count", {"about": name}) == 1
        assert await call("item.count", {"about": {"in": [name]}}) == 1
    oid = await call("item.get", 1, columns=["about::oid"])
    assert await call("item.count", {"about": str(oid["about"])}) == 1
    assert await call("item.count", {"about": {"in": [str(oid["about"]), "-"]}}) == 1
    assert await call("item.count", {"about": "-"}) == 0


async def test_the_search_path_of_a_call_is_there_again_behind_them(api: Start) -> None:
    call = await api(
        *NAMES,
        # Each finds names in the search path of the call only.
        "create function path_of(item) returns text language plpgsql as "
        "$$ begin return current_setting('search_path') || (select count(*) from item); end $$",
        "create function named() returns table (about regclass, path text) language plpgsql as "
        "$$ begin return query select i.about, path_of(i) from item as i order by id; end $$",
        "create function of_a_table(name text) returns regclass language plpgsql as "
        "$$ begin return (select i.about from item as i where i.id = 1); end $$",
        "create function a_record() returns record language plpgsql as "
        "$$ declare r record; begin select about, id into r from item where id = 1; "
        "return r; end $$",
    )
    path = '"public"2'
    columns = ["about", "path_of", "again:about", "note"]
    row = await call("item.get", 1, columns=columns)
    assert (row["about"], row["path_of"], row["again"]) == (ITEM, path, ITEM)
    assert await call("named") == [
        {"about": ITEM, "path": path}, {"about": None, "path": path},
    ]  # fmt: skip
    assert await call("of_a_table", "item") == ITEM
    assert await call("a_record") == {"about": ITEM, "id": 1}
    steps = [
        {"procedure": f"{call.prefix}.item.get", "args": [1]},
        {"procedure": f"{call.prefix}.of_a_table", "args": ["item"]},
        {"procedure": f"{call.prefix}.item.get", "args": [1], "kwargs": {"columns": ["path_of"]}},
    ]
    got, of_a_table, last = await call("batch", steps)
    assert (got["about"], of_a_table, last) == (ITEM, ITEM, {"path_of": path})


async def test_a_procedure_answers_the_name_of_what_it_has_made_or_dropped(api: Start) -> None:
    call = await api(
        "grant create on schema public to pgwamp_calls",
        "create procedure makes(out one regclass) language plpgsql as "
        "$$ begin create table made (); one := 'made'; end $$",
        "create procedure commits(out one regclass, out n bigint) language plpgsql as "
        "$$ begin create table other (); one := 'other'; n := 1; commit; end $$",
        "create procedure hides(out one regclass) language plpgsql as $$ begin "
        "one := 'made'; perform set_config('search_path', 'pg_catalog', true); end $$",
        "create procedure drops(out one regclass) language plpgsql as "
        "$$ begin one := 'made'; drop table made; commit; end $$",
    )
    assert await call("makes") == {"one": "public.made"}
    assert await call("commits") == {"one": "public.other", "n": 1}
    assert await call("hides") == {"one": "public.made"}
    # PostgreSQL has nothing but its number then.
    assert (await call("drops"))["one"].isdigit()
