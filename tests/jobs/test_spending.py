import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.errors import SpendingLimitReached
from heliograph.jobs.spending import PERIOD_S, check_spending, counted_since, spending_second
from tests.fakes.builders import after

START = spending_second(after(0))


def refusal(spent, part_count, limit, at=0.0):
    with pytest.raises(SpendingLimitReached) as refused:
        check_spending(spent, part_count, limit, after(at))
    return str(refused.value)


def test_what_fits_in_exactly_may_be_sent():
    check_spending([(START, 7), (START + 1, 2)], 1, 10, after(2))
    check_spending([], 10, 10, after(0))


def test_a_refusal_tells_what_is_left_and_when_there_is_room():
    spent = [(START, 4), (START + 600, 4), (START + 1200, 2)]
    assert refusal(spent, 5, 10, at=1800) == (
        "this would be 5 SMS, each part of a long text counted, and agents may send 10 an hour for this account, of "
        "which 0 are left; nothing was sent. There is room for it in 40 min: tell the person"
    )
    assert "in 30 min" in refusal(spent, 4, 10, at=1800)


def test_what_never_fits_in_is_told_as_that():
    assert refusal([], 11, 10).endswith("It is too much for any hour: tell the person, who can have it raised")


def test_a_limit_that_was_lowered_leaves_nothing():
    assert "of which 0 are left" in refusal([(START, 8)], 1, 5)


@given(st.floats(0, 10_000), st.floats(0, 10_000))
def test_what_was_spent_counts_for_an_hour_and_at_most_a_second_more(spent_at, waited_s):
    counts = spending_second(after(spent_at)) > counted_since(after(spent_at + waited_s))
    if waited_s < PERIOD_S:
        assert counts
    if waited_s >= PERIOD_S + 1:
        assert not counts
