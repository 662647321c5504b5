"""Changes of one transaction, applied by key in the order that is found, give what it has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwamp.capture import RawRow
from pgwamp.eventlog.order import in_order
from tests.eventlog.simulation import (
    AT,
    TABLE,
    Records,
    Rows,
    Transaction,
    applied,
    change,
    key_of,
    recovered,
)

RECORDS = Records()
History = tuple[Rows, list[RawRow], Rows]


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
        free = [key for key in "abc" if deferrable or not any(key_of(r) == key for r in rows)]
        old = draw(st.sampled_from([*(row for row in rows if row not in inserted), None]))
        keys = sorted({*free, *([key_of(old)] if old else [])})
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
    while len({key_of(row) for row in rows}) < len(rows):
        changes.append(change(rows.pop(), None))
    return {key_of(r): r for r in before}, changes, {key_of(r): r for r in rows}


@given(histories(unique=True, together=True), st.randoms())
def test_changes_of_statements_that_end_together_chain_by_their_images(
    history: History, random: Random
) -> None:
    before, changes, after = history
    assert applied(in_order(shuffled(changes, random), RECORDS), before, after) == after


@given(histories(deferrable=True, unique=True), st.randoms())
def test_rows_that_share_a_key_for_a_while_leave_what_is_there_at_the_end(
    history: History, random: Random
) -> None:
    before, changes, after = history
    found = in_order(shuffled(changes, random), Records(deferrable=True))
    assert applied(found, before, after) == after


def shuffled(changes: Sequence[RawRow], random: Random) -> list[RawRow]:
    """Changes of one query, in the order in which it may have fired triggers."""
    written = list(changes)
    random.shuffle(written)
    # Each names another partition: of one name, the triggers fire in the order of the changes.
    return [
        replace(item, place=place, command=place + 1, relation=place)
        for place, item in enumerate(written)
    ]


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 1000]))
def test_what_triggers_have_run_leaves_what_is_there_at_the_end(seed: int, versions: int) -> None:
    made = Transaction(Random(seed), versions=versions)
    assert applied(in_order(made.written, RECORDS), made.before, made.after) == made.after


@given(histories())
def test_changes_of_statements_one_after_the_other_stay_as_they_were_written(
    history: History,
) -> None:
    _, changes, _ = history
    placed = [
        replace(item, place=place, command=2 * place + 1) for place, item in enumerate(changes)
    ]
    assert in_order(placed, RECORDS) == placed


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
    placed = [
        replace(item, place=place, command=2 * place + 1) for place, item in enumerate(written)
    ]
    assert applied(in_order(placed, RECORDS), before, after) == after


def test_changes_of_other_keys_keep_the_order_of_statements() -> None:
    changes = [change(None, f"{key}:1", place) for place, key in enumerate("cab")]
    assert in_order(reversed(changes), RECORDS) == changes


def test_rows_that_swap_their_keys_are_two_updates() -> None:
    swap = [change("a:1", "b:1", 0), change("b:2", "a:2", 1)]
    assert [(c.op, c.old, c.new) for c in in_order(swap, RECORDS)] == [
        ("u", "a:1", "a:2"),
        ("u", "b:2", "b:1"),
    ]


def test_a_row_that_its_own_trigger_changes_is_inserted_and_updated() -> None:
    nested, outer = change("a:1", "a:2", 0, depth=2), change(None, "a:1", 1)
    assert in_order([nested, outer], RECORDS) == [outer, nested]


def test_nothing_is_told_of_a_row_that_has_come_and_gone_or_is_there_again() -> None:
    moved, outer = change("a:1", "b:2", 0, depth=2), change(None, "a:1", 1)
    assert [(c.op, c.old, c.new) for c in in_order([moved, outer], RECORDS)] == [
        ("i", None, "b:2"),
    ]


def test_a_row_that_is_deleted_and_inserted_again_stays() -> None:
    changes = [change("a:1", None, 0), change(None, "a:1", 1)]
    assert in_order(changes, RECORDS) == changes


def test_a_row_that_a_with_moves_onto_itself_stays() -> None:
    written = [change(None, "a:1", 0), replace(change("a:1", None, 1), command=2)]
    assert in_order(written, RECORDS) == []


def test_statements_with_nothing_but_a_trigger_of_somebody_else_between_them_are_in_order() -> None:
    """An upsert, of which a trigger changes the row again, and a DELETE."""
    nested, updated = change("b:1", "b:2", 0, depth=2), change("a:0", "a:1", 1)
    inserted, deleted = change(None, "b:1", 2), change("b:2", None, 3)
    found = in_order([nested, updated, inserted, deleted], RECORDS)
    assert [item for item in found if item is not updated] == [inserted, nested, deleted]


def test_statements_whose_commands_are_lost_may_have_ended_together() -> None:
    written = [
        replace(item, command=-1) for item in (change(None, "a:1", 0), change("a:1", None, 1))
    ]
    assert in_order(written, RECORDS) == []


@pytest.mark.parametrize("command", [-1, 0, 7])
def test_statements_whose_commands_are_lost_are_in_order_where_something_else_differs(
    command: int,
) -> None:
    """Of moved rows, it is the same command."""
    written = [
        replace(item, command=command) for item in (change(None, "a:1", 0), change("a:1", None, 1))
    ]
    sent = [replace(item, sent=AT + timedelta(seconds=item.place)) for item in written]
    assert in_order(sent, RECORDS) == sent
    changed = [replace(item, changed=item.place + 1) for item in written]
    assert in_order(changed, RECORDS) == changed
    assert in_order([replace(item, changed=5) for item in written], RECORDS) == []
    # Nobody knows how many rows of other members of the table were changed.
    member = [replace(item, relation=TABLE + 1) for item in changed]
    assert in_order(member, RECORDS) == []


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 1000]), st.booleans())
def test_without_commands_triggers_leave_what_is_there_at_the_end(
    seed: int, versions: int, is_plain: bool
) -> None:
    made = Transaction(Random(seed), versions=versions, is_plain=is_plain)
    assert applied(in_order(recovered(made.written), RECORDS), made.before, made.after) == (
        made.after
    )


def test_the_same_operation_of_a_query_goes_on_after_the_first_time() -> None:
    """As of ON UPDATE CASCADE, of a table that refers to itself."""
    first = change("a:1", "a:2", 0)
    second, third = replace(change("a:2", "a:1", 1), command=2), change("a:1", "a:3", 2)
    third = replace(third, command=3)
    assert in_order([first, second, third], RECORDS) == [first, second, third]


def test_too_many_changes_to_be_searched_are_told_as_one() -> None:
    """They begin where the last one has ended, and nobody knows where that was."""
    changes = [
        replace(change(f"a:{n}", f"a:{(n + 1) % 150}", n, depth=2 - n % 2), command=3 * n + 1)
        for n in range(150)
    ]
    assert in_order(changes, RECORDS) == []
