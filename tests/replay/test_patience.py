"""How long the feed waits for followers that are full."""

from __future__ import annotations

import pytest

from pgwamp.replay.patience import PAGE_SECONDS, SAVED_SECONDS, VAIN_SECONDS, Patience


def test_waits_take_a_tenth_of_the_time_at_most() -> None:
    patience, now, waited = Patience(0.0), 0.0, 0.0
    while now < 1000:
        seconds = patience.seconds(now)
        patience.spend(seconds)
        waited += seconds
        now += seconds + 0.1
    assert waited == pytest.approx(SAVED_SECONDS + now / 10, rel=0.02)


def test_a_wait_for_a_page_is_short() -> None:
    assert Patience(0.0).seconds(1000.0) == PAGE_SECONDS


def test_a_quiet_day_saves_no_more_than_a_quiet_while() -> None:
    patience, waited = Patience(0.0), 0.0
    while (seconds := patience.seconds(86_400.0)) > 0:
        patience.spend(seconds)
        waited += seconds
    assert waited == SAVED_SECONDS


def test_a_caller_waited_for_in_vain_is_not_waited_for_again_for_a_while() -> None:
    patience = Patience(0.0)
    patience.waited_in_vain("slow", PAGE_SECONDS, 1.0)
    assert not patience.is_for("slow", 1.0)
    assert not patience.is_for("slow", VAIN_SECONDS)
    assert patience.is_for("slow", 1.0 + VAIN_SECONDS)
    assert patience.is_for("other", 1.0)


def test_a_wait_cut_short_by_others_is_held_against_nobody() -> None:
    patience = Patience(0.0)
    patience.waited_in_vain("unlucky", PAGE_SECONDS / 2, 1.0)
    assert patience.is_for("unlucky", 1.0)
