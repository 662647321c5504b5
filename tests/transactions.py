"""Random transactions of every shape: whoever reads what they changed has a copy of the tables."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import asyncpg

_NAMES = (
    *("signal", "its_turn", "its_place", "its_stamp", "its_op", "old_text", "new_text"),
    *("is_single", "tg_op", "tg_relid", "found", "r", "s", "o", "w", "old_rows", "new_rows"),
    *("number", "record", "turn", "xid", "place", "n", "depth", "relation", "op", '"new"', '"old"'),
)
TABLES = {
    # Its own trigger changes the row once more, and sometimes another one of the statement.
    "item": "id int primary key, v int, note text",
    # Two keys of one table: one takes the row along, the other changes it.
    "parent": "id int primary key, v int, note text",
    "child": "id int primary key, v int references parent on delete cascade, "
    "note int references parent on delete set null on update cascade",
    # Rows may share a key until the transaction ends.
    "swap": "id int primary key deferrable initially deferred, v int, note text",
    # A trigger removes what is in the way, or what was written.
    "single": "id int primary key, v int, note text",
    # A trigger of one partition refuses rows: those that are moved there are gone.
    "moved": "id int primary key, v int, note text",
    # Columns bear the names of what the capture has of its own.
    "named": "id int primary key, v int, note text, "
    + ", ".join(f"{name} int default 1" for name in _NAMES),
}
_TRIGGERS = """
create function touch() returns trigger language plpgsql as $$ begin
    update item set note = 'touched'
    where id = new.id and v % 3 = 0 and note is distinct from 'touched';
    update item set v = v + 1 where id = new.id + 1 and new.v % 5 = 0 and v % 5 <> 0;
    delete from item where id = new.id and v = 7;
    return null;
end $$;
create trigger touch after insert or update on item for each row execute function touch();
create function replace_row() returns trigger language plpgsql as $$ begin
    if new.v % 2 = 0 then
        delete from single where id = new.id;
    end if;
    return new;
end $$;
create trigger replace_row before insert on single for each row execute function replace_row();
create function move_on() returns trigger language plpgsql as $$ begin
    if new.v = 3 then
        delete from single where id = new.id;
    elsif new.v = 5 then
        update single set id = id + 100 where id = new.id
            and not exists (select from single where id = new.id + 100);
    end if;
    return null;
end $$;
create trigger move_on after insert on single for each row execute function move_on();
create table moved_1 partition of moved for values from (minvalue) to (10);
create table moved_2 partition of moved for values from (10) to (20);
create table moved_3 partition of moved default;
create function refuse() returns trigger language plpgsql as $$ begin
    return case when new.v % 3 <> 0 then new end;
end $$;
create trigger refuse before insert on moved_2 for each row execute function refuse();
"""
#: Makes tables and triggers.
SCHEMA = (
    *(
        f"create table {name} ({columns}){' partition by range (id)' if name == 'moved' else ''}"
        for name, columns in TABLES.items()
    ),
    _TRIGGERS,
)


def statement(random: Random) -> str:
    """A statement that changes some rows, of one of many shapes."""
    one, other, v = random.randrange(6), random.randrange(6), random.randrange(9)
    table = random.choice(["item", "parent", "single", "swap", "moved", "named"])
    return random.choice(
        [
            f"insert into {table} values ({one}, {v}, 'a') on conflict do nothing"
            if table != "swap"
            else f"insert into swap select {one}, {v}, 'a' "
            f"where not exists (select from swap where id = {one})",
            f"insert into item values ({one}, {v}, 'b'), ({one + 1}, {v}, 'c') "
            f"on conflict (id) do update set v = item.v + 1",
            f"update {table} set v = v + 1 where id in ({one}, {other})",
            f"update {table} set v = v + 1, id = id + 10 where id = {one} "
            f"and not exists (select from {table} where id = {one + 10})",
            f"delete from {table} where id = {one}",
            f"delete from {table} where v > {v}",
            # Otherwise nothing changes any more when all rows have got such keys.
            "delete from parent where id >= 10",
            f"insert into child select {one}, p.id, q.id from parent as p, parent as q limit 1 "
            "on conflict do nothing",
            f"update parent set id = id + 20 where id = {one} and not exists "
            f"(select from child where v = {one})",
            f"with gone as (delete from item where id = {one} returning *) "
            "insert into item select * from gone",
            f"with gone as (delete from swap where id = {one} returning *), "
            f"changed as (update swap set v = v + 1 where id = {other} and id <> {one}) "
            "insert into swap select id, v + 1, 'moved' from gone",
            f"update swap set id = case id when {one} then {other} else {one} end "
            f"where id in ({one}, {other}) and (select count(*) from swap "
            f"where id in ({one}, {other})) = 2",
            f"merge into parent as t using (values ({one}, {v})) as s (id, v) on t.id = s.id "
            "when matched and t.v > 4 then delete when matched then update set v = s.v "
            "when not matched then insert values (s.id, s.v, 'merged')",
        ]
    )


async def transact(writer: asyncpg.Connection[Any], random: Random) -> list[str]:
    """Run some statements in one transaction, some of them in savepoints that are undone."""
    made = [statement(random) for _ in range(random.randint(1, 5))]
    with suppress(asyncpg.IntegrityConstraintViolationError):
        async with writer.transaction():
            for sql in made:
                with suppress(
                    asyncpg.IntegrityConstraintViolationError,
                    asyncpg.TriggeredDataChangeViolationError,
                    Undone,
                ):
                    async with writer.transaction():
                        await writer.execute(sql)
                        if random.random() < 0.1:
                            raise Undone
    return made


class Undone(Exception):
    """Rolls a savepoint back."""
