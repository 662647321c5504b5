"""Large transactions, of which the rows stream by, leave a copy by key that is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgwamp.capture import RawRow
from pgwamp.eventlog import transactions
from pgwamp.eventlog.resumed import FIRST, Base, Placed
from pgwamp.eventlog.statements import may_end_together
from pgwamp.eventlog.transactions import LargeTransaction
from tests.eventlog.simulation import AT, Records, Transaction, applied, change, recovered

FAST = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=[1, 4, 5000])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Rows that are ordered at once."""
    monkeypatch.setattr(transactions, "MOST_ROWS", request.param)
    return int(request.param)


def streamed(
    rows: Sequence[RawRow],
    base: Base = FIRST,
    taken: int = 0,
    *,
    deferrable: bool = False,
    told: Sequence[RawRow] = (),
) -> list[Placed]:
    """The changes that are left of a transaction whose rows come one by one, from a place on.

    :param told: changes that the log has.
    """
    published = Counter(row.at for row in told if row.op == "p")
    transaction = LargeTransaction(Records(deferrable=deferrable), base, taken, published)
    found: list[Placed] = []
    for row in rows:
        if (row.place, row.number) > base:
            found += transaction.add([row])
    return found + transaction.end()


def changes(found: Sequence[Placed]) -> list[RawRow]:
    return [item for item, *_ in found]


def with_published(rows: Sequence[RawRow], random: Random) -> list[RawRow]:
    """The rows with some of wamp.publish, called between queries, or in their triggers."""
    found: list[RawRow] = []
    for before, row in pairwise([*rows[:1], *rows]):
        place, command = row.place * 10, row.command * 10
        # Triggers of one query are not parted, see pgwamp.eventlog.statements.
        many = 0 if may_end_together(before, row) else random.randrange(3)
        for number in range(many):
            published = replace(change(None, None), op="p", relation=0, new=f"{place} {number}")
            where = {"place": place - 5 + number, "command": command - 5 + number}
            at = AT + timedelta(milliseconds=place + number)
            # Within the statement whose triggers have run what is around.
            depth = max(before.depth, row.depth) + random.randrange(2)
            found.append(replace(published, depth=depth, at=at, **where))
        found.append(replace(row, place=place, command=command))
    return found


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 1000]), st.booleans())
def test_what_triggers_have_run_leaves_what_is_there_at_the_end(
    seed: int, versions: int, is_plain: bool
) -> None:
    made = Transaction(Random(seed), versions=versions, queries=5, is_plain=is_plain)
    found = changes(streamed(made.written))
    assert applied(found, made.before, made.after) == made.after


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 1000]), st.booleans())
def test_without_commands_triggers_leave_what_is_there_at_the_end(
    seed: int, versions: int, is_plain: bool
) -> None:
    made = Transaction(Random(seed), versions=versions, queries=5, is_plain=is_plain)
    found = changes(streamed(recovered(made.written)))
    assert applied(found, made.before, made.after) == made.after


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_from_every_position_the_same_changes_follow(
    seed: int, is_plain: bool, has_published: bool
) -> None:
    random = Random(seed)
    written = Transaction(random, queries=5, is_plain=is_plain).written
    if has_published:
        written = with_published(written, random)
    found = streamed(written)
    for position, (_, base, number) in enumerate(found, 1):
        assert streamed(written, base, number) == found[position:]


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32), st.booleans(), st.data())
def test_what_is_taken_again_after_crashes_leaves_what_is_there_at_the_end(
    seed: int, is_plain: bool, data: st.DataObject
) -> None:
    made = Transaction(Random(seed), queries=5, is_plain=is_plain)
    told = told_over_crashes(made.written, data)
    assert applied(told, made.before, made.after) == made.after


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32), st.booleans(), st.data())
def test_what_is_published_is_told_once_over_crashes(
    seed: int, is_plain: bool, data: st.DataObject
) -> None:
    random = Random(seed)
    written = with_published(Transaction(random, queries=5, is_plain=is_plain).written, random)
    told = told_over_crashes(written, data)
    published = Counter(row.new for row in told if row.op == "p")
    assert published == Counter(row.new for row in written if row.op == "p")


def told_over_crashes(written: Sequence[RawRow], data: st.DataObject) -> list[RawRow]:
    """The changes that are told of a transaction, of which each crash loses the commands."""
    found = streamed(written)
    told: list[RawRow] = []
    for _ in range(data.draw(st.integers(1, 3), label="crashes")):
        if found:
            number = data.draw(st.integers(1, len(found)), label="changes before the crash")
            told += changes(found[:number])
            _, base, taken = found[number - 1]
            found = streamed(recovered(written), base, taken, told=told)
    return told + changes(found)


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(0, 2**32))
def test_after_a_crash_the_same_changes_of_one_table_follow(seed: int) -> None:
    made = Transaction(Random(seed), is_plain=True)
    written = recovered(made.written)
    found = streamed(made.written)
    for position, (_, base, number) in enumerate(found, 1):
        rest = changes(streamed(written, base, number))
        assert rest == recovered(changes(found[position:]))


@pytest.mark.usefixtures("most")
@FAST
@given(st.integers(1, 40), st.integers(1, 40))
def test_after_a_crash_the_rest_of_one_statement_has_its_values(size: int, number: int) -> None:
    written = [replace(change(None, f"{n}:1", 1), number=n) for n in range(size)]
    found = streamed(written)[:number]
    _, base, taken = found[-1]
    rest = streamed(recovered(written), base, taken)
    assert changes(found) + changes(rest) == [*written[:number], *recovered(written[number:])]


@pytest.mark.usefixtures("most")
def test_rows_that_a_function_writes_again_keep_their_values_after_a_crash() -> None:
    gone = [replace(change(f"{n}:1", None, 1), number=n, changed=20) for n in range(20)]
    again = [replace(change(None, f"{n}:1", 2), number=n, changed=40) for n in range(20)]
    written = recovered([*gone, *again])
    assert changes(streamed(written)) == written


@pytest.mark.usefixtures("most")
def test_an_upsert_stays_whole_after_a_statement_that_has_inserted() -> None:
    """Its update ended together with its insert, whose row a trigger has changed."""
    written = [
        replace(change(None, "a:1", 1), changed=1),
        replace(change("c:1", "c:2", 2, depth=2), changed=4, sent=AT + timedelta(seconds=1)),
        replace(change("b:1", "b:2", 3), changed=4, sent=AT + timedelta(seconds=1)),
        replace(change(None, "c:1", 4), changed=4, sent=AT + timedelta(seconds=1), command=8),
    ]
    after = {"a": "a:1", "b": "b:2", "c": "c:2"}
    for rows in (written, recovered(written)):
        assert applied(changes(streamed(rows)), {"b": "b:1"}, after) == after


def statements(*images: tuple[str | None, str | None]) -> list[RawRow]:
    return [change(old, new, place) for place, (old, new) in enumerate(images)]


@pytest.mark.usefixtures("most")
def test_statements_one_after_the_other_stay_as_they_were_written() -> None:
    written = statements(
        (None, "a:1"), ("a:1", "a:2"), ("a:2", "a:1"), ("a:1", "a:2"), ("a:2", "b:1"),
        (None, "a:1"), ("b:1", None), ("a:1", None),
    )  # fmt: skip
    assert changes(streamed(written)) == written


@pytest.mark.usefixtures("most")
def test_many_rows_of_one_query_that_touch_no_key_twice_keep_their_values() -> None:
    updated = [replace(change(f"{n}:0", f"{n}:1", 1), number=n) for n in range(20)]
    inserted = [replace(change(None, f"{n}:1", 2), number=n, command=4) for n in range(20, 40)]
    assert changes(streamed([*updated, *inserted])) == [*updated, *inserted]


@pytest.mark.usefixtures("most")
def test_many_rows_that_triggers_have_written_keep_their_values() -> None:
    written = [change(None, f"{n}:1", n, depth=2) for n in range(40)]
    assert changes(streamed(written)) == written


def test_rows_that_were_moved_with_their_keys_are_updates(most: int) -> None:
    moved = [replace(change(f"{n}:0", f"{n + 1}:0", 1), number=-n) for n in range(20, 0, -1)]
    assert changes(streamed(moved)) == moved
    assert all(item.op == "u" for item in changes(streamed(moved))), most


@pytest.mark.usefixtures("most")
def test_two_rows_that_share_a_deferrable_key_do_not_take_the_values_of_others() -> None:
    written = statements((None, "a:1"), ("a:0", "b:0"), (None, "c:1"), (None, "d:1"))
    found = changes(streamed(written, deferrable=True))
    assert applied(found, {"a": "a:0"}, {"a": "a:1", "b": "b:0", "c": "c:1", "d": "d:1"}) == {
        "a": "a:1", "b": "b:0", "c": "c:1", "d": "d:1",
    }  # fmt: skip
    assert [item for item in found if item.new in ("c:1", "d:1")] == written[2:]
