"""Contract: section 3, `rate`: parts per second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.flow.dispatch.pacing import BURST_S, Pacer


def test_without_a_rate_any_number_may_go():
    assert Pacer(None).room(0) is None


def test_at_first_a_burst_may_go():
    assert Pacer(100).room(0) == 10


def test_what_is_spent_comes_back_at_the_rate():
    pacer = Pacer(100)
    pacer.spend(pacer.room(0))
    assert pacer.room(0) == 0
    assert pacer.room(0.05) == 5


def test_a_pause_is_not_made_up_for():
    pacer = Pacer(100)
    pacer.spend(pacer.room(0))
    assert pacer.room(3600) == 10


def test_a_slow_carrier_gets_one_part_at_a_time():
    pacer = Pacer(0.5)
    assert pacer.room(0) == 1
    pacer.spend(1)
    assert pacer.room(1) == 0
    assert pacer.next_room_s() == pytest.approx(1)
    assert pacer.room(2) == 1


def test_it_is_worth_waiting_for_half_a_burst():
    pacer = Pacer(1000)
    pacer.spend(pacer.room(0))
    assert pacer.next_room_s() == pytest.approx(0.05)


@given(rate=st.floats(0.1, 5000), looks=st.lists(st.floats(0, 3), max_size=50))
def test_no_stretch_of_time_sees_more_than_its_rate_and_a_burst(rate, looks):
    pacer, now_s, sent = Pacer(rate), 0.0, [(0.0, 0)]
    for pause_s in looks:
        now_s += pause_s
        count = pacer.room(now_s)
        pacer.spend(count)
        sent.append((now_s, count))
    burst = max(1, rate * BURST_S)
    for first, (start_s, _) in enumerate(sent):
        total = 0
        for end_s, count in sent[first:]:
            total += count
            assert total <= rate * (end_s - start_s) + burst + 0.001


@given(rate=st.floats(0.1, 5000), rounds=st.integers(1, 20))
def test_after_the_wait_there_is_room(rate, rounds):
    pacer, now_s = Pacer(rate), 0.0
    for _ in range(rounds):
        pacer.spend(pacer.room(now_s))
        now_s += pacer.next_room_s()
        assert pacer.room(now_s) >= 1
