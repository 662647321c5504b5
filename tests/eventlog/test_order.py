"""Changes of one transaction, applied by key in the order that is found, give what it has left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pgwamp.capture import RawRow
from pgwamp.eventlog.order import in_order

TABLE = 1
AT = datetime(2026, 1, 1, tzinfo=UTC)
#: Key -> image; an image is its key and what else the row holds.
Rows = dict[str, str]
History = tuple[Rows, list[RawRow], Rows]


def key_of(_: int, image: str) -> str:
    return image.partition(":")[0]


def change(old: str | None, new: str | None, place: int = 0, depth: int = 1) -> RawRow:
    op = "i" if old is None else "d" if new is None else "u"
    # No other command of one transaction has the place of the next.
    return RawRow(1, AT, place, 1, 2 * place, depth, TABLE, op, old, new, 0, (0, "(0,1)"))


def applied(changes: Iterable[RawRow], rows: Rows, after: Rows) -> Rows:
    """Apply changes as a subscriber does who keeps a copy by key.

    :param after: the rows that are left, in which one is looked up of which only the key is told.
    """
    copy = dict(rows)
    for item in changes:
        if item.op == "?":
            assert item.old is not None
            copy.pop(key_of(TABLE, item.old), None)
            copy |= {k: row for k, row in after.items() if k == key_of(TABLE, item.old)}
            continue
        if item.old is not None:
            copy.pop(key_of(TABLE, item.old), None)
        if item.new is not None:
            copy[key_of(TABLE, item.new)] = item.new
    return copy


@st.composite
def histories(
    draw: st.DrawFn, *, deferrable: bool = False, unique: bool = False, together: bool = False
) -> History:
    """Rows, changes in the order in which they were made, and the rows that are left.

    :param deferrable: two rows may have one key for a while.
    :param unique: no image comes twice.
    :param together: the changes are of statements that end together, which do not see the rows
        that another one inserts.
    """
    inserted = set()
    before = [f"{key}:0" for key in draw(st.sets(st.sampled_from("abc")))]
    rows, changes = list(before), []
    for version in range(1, draw(st.integers(2, 8))):
        if not unique:
            version = draw(st.integers(0, 2))
        free = [
            key for key in "abc" if deferrable or not any(key_of(TABLE, r) == key for r in rows)
        ]
        old = draw(st.sampled_from([*(row for row in rows if row not in inserted), None]))
        keys = sorted({*free, *([key_of(TABLE, old)] if old else [])})
        new = draw(st.sampled_from([*(f"{key}:{version}" for key in keys), None]))
        if old is None and new is None:
            continue
        if old is not None:
            rows.remove(old)
        if new is not None:
            rows.append(new)
            if old is None and together:
                inserted.add(new)
        changes.append(change(old, new))
    while len({key_of(TABLE, row) for row in rows}) < len(rows):
        changes.append(change(rows.pop(), None))
    return {key_of(TABLE, r): r for r in before}, changes, {key_of(TABLE, r): r for r in rows}


@given(histories(unique=True, together=True), st.randoms())
def test_changes_of_statements_that_end_together_chain_by_their_images(
    history: History, random: Random
) -> None:
    before, changes, after = history
    assert applied(in_order(shuffled(changes, random), key_of), before, after) == after


@given(histories(deferrable=True, unique=True), st.randoms())
def test_rows_that_share_a_key_for_a_while_leave_what_is_there_at_the_end(
    history: History, random: Random
) -> None:
    before, changes, after = history
    assert applied(in_order(shuffled(changes, random), key_of, {TABLE}), before, after) == after


def shuffled(changes: Sequence[RawRow], random: Random) -> list[RawRow]:
    written = list(changes)
    random.shuffle(written)
    return [replace(item, place=place, command=place) for place, item in enumerate(written)]


@given(histories())
def test_changes_of_statements_one_after_the_other_stay_as_they_were_written(
    history: History,
) -> None:
    _, changes, _ = history
    placed = [replace(item, place=place, command=2 * place) for place, item in enumerate(changes)]
    assert in_order(placed, key_of) == placed


@given(histories(), st.data())
def test_outer_statements_come_before_those_that_their_triggers_ran(
    history: History, data: st.DataObject
) -> None:
    before, changes, after = history
    depths = [1]
    for _ in changes[1:]:
        depths.append(data.draw(st.integers(1, min(depths[-1] + 1, 3))))
    written: list[RawRow] = []
    running: list[RawRow] = []
    for item, depth in zip(changes, depths, strict=False):
        while running and running[-1].depth >= depth:
            written.append(running.pop())
        running.append(replace(item, depth=depth))
    written += reversed(running)
    placed = [replace(item, place=place, command=2 * place) for place, item in enumerate(written)]
    assert applied(in_order(placed, key_of), before, after) == after


def test_changes_of_other_keys_keep_the_order_of_statements() -> None:
    changes = [change(None, f"{key}:1", place) for place, key in enumerate("cab")]
    assert in_order(reversed(changes), key_of) == changes


def test_rows_that_swap_their_keys_are_two_updates() -> None:
    swap = [change("a:1", "b:1", 0), change("b:2", "a:2", 1)]
    assert [(c.op, c.old, c.new) for c in in_order(swap, key_of)] == [
        ("u", "a:1", "a:2"),
        ("u", "b:2", "b:1"),
    ]


def test_a_row_that_its_own_trigger_changes_is_inserted_and_updated() -> None:
    nested, outer = change("a:1", "a:2", 0, depth=2), change(None, "a:1", 1)
    assert in_order([nested, outer], key_of) == [outer, nested]


def test_only_the_key_is_told_of_a_row_that_may_be_there_again() -> None:
    moved, outer = change("a:1", "b:2", 0, depth=2), change(None, "a:1", 1)
    assert [(c.op, c.old, c.new) for c in in_order([moved, outer], key_of)] == [
        ("i", None, "b:2"),
        ("?", "a:1", "a:1"),
    ]


def test_a_row_that_is_deleted_and_inserted_again_stays() -> None:
    changes = [change("a:1", None, 0), change(None, "a:1", 1)]
    assert in_order(changes, key_of) == changes


def test_a_row_that_a_with_moves_onto_itself_stays() -> None:
    written = [change(None, "a:1", 0), replace(change("a:1", None, 1), command=1)]
    assert in_order(written, key_of) == written[::-1]
