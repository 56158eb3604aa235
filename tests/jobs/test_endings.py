"""Contract: section 4."""

import pytest

from heliograph.jobs.endings import Ending, Throttle, ending_of


@pytest.mark.parametrize(
    ("dst", "ending"),
    [
        ("+49176120001", Ending.UNDELIVERED),
        ("49176120002", Ending.EXPIRED),
        ("49176120003", Ending.REFUSED),
        ("49176120004", Ending.UNREACHABLE),
        ("49176120005", Ending.SILENT),
        ("49176120006", Ending.THROTTLED),
        ("49176120007", Ending.DELIVERED),
        ("49176120010", Ending.DELIVERED),
        ("1", Ending.DELIVERED),
    ],
)
def test_the_last_four_digits_decide(dst, ending):
    assert ending_of(dst) is ending


def test_the_same_thing_is_turned_away_twice_and_then_passes_and_then_is_new():
    throttle = Throttle()
    assert [throttle.turns_away("a") for _ in range(6)] == [True, True, False] * 2
    assert throttle.turns_away("b")


def test_of_too_many_things_the_oldest_is_turned_away_anew():
    throttle = Throttle()
    throttle.turns_away("oldest")
    throttle.turns_away("oldest")
    for number in range(100_000):
        throttle.turns_away(number)
    assert throttle.turns_away("oldest")
    assert throttle.turns_away(99_999)
    assert not throttle.turns_away(99_999)
