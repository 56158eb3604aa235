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


# Throttling


def throttled_pacer(rate_per_s, went_per_s, *, pause_s=5.0):
    """A pacer that let so many parts go in the last seconds, and was throttled at second 2."""
    pacer = Pacer(rate_per_s, throttle_pause_s=pause_s)
    for tick in range(20):
        pacer.room(tick / 10)
        pacer.spend(went_per_s // 10)
    pacer.throttled(2.0)
    return pacer


def test_a_throttled_carrier_gets_a_pause():
    pacer = throttled_pacer(None, 100)
    assert (pacer.room(2.0), pacer.room(6.9)) == (0, 0)
    assert pacer.next_room_s() == pytest.approx(0.1)
    assert pacer.room(7.0) >= 1


def test_after_the_pause_half_as_much_goes_and_slowly_more():
    pacer = throttled_pacer(None, 100)

    def went(start_s, seconds):
        total = 0
        for tick in range(seconds * 100):
            count = pacer.room(start_s + tick / 100)
            pacer.spend(count)
            total += count
        return total

    assert 45 <= went(7, 1) <= 60
    for second in range(8, 17):
        went(second, 1)
    assert 90 <= went(17, 1) <= 115


def test_the_agreed_rate_comes_back_and_is_never_passed():
    pacer = throttled_pacer(40, 40)
    pacer.room(1000)
    pacer.spend(4)
    assert pacer.room(1000.1) == 4


def test_what_went_before_the_pause_is_throttled_but_once():
    once, often = throttled_pacer(100, 100), throttled_pacer(100, 100)
    for tick in range(20):
        often.throttled(2.0 + tick / 10)
    assert [once.room(7 + tick) for tick in range(5)] == [often.room(7 + tick) for tick in range(5)]


def test_throttled_again_it_is_halved_again_but_never_stops():
    pacer, now_s = Pacer(100, throttle_pause_s=1), 0.0
    for _ in range(50):
        assert pacer.room(now_s) >= 1
        pacer.spend(1)
        pacer.throttled(now_s)
        now_s += 1.0
    pacer.room(now_s + 1)
    assert pacer.next_room_s() <= 1


def test_a_pacer_without_a_pause_cares_for_no_throttling():
    pacer = Pacer(100)
    pacer.throttled(0)
    assert pacer.room(0) == 10


def test_a_share_of_the_rate_is_kept_to_until_there_is_another():
    pacer, sent = Pacer(100), 0
    pacer.take_share(0.25)
    for tick in range(500):
        room = pacer.room(tick / 50)
        pacer.spend(room)
        sent += room
    assert 245 <= sent <= 253  # In 10 s, with the burst at the beginning.
    pacer.take_share(1.0)
    pacer.room(10.0)
    assert pacer.room(10.2) == 10


def test_a_share_of_a_throttled_rate_is_no_more_than_throttling_left():
    pacer = throttled_pacer(100, 100)
    pacer.take_share(0.5)
    assert pacer.room(7.0) == 1  # As after any pause.
    pacer.take_share(0.1)
    pacer.spend(1)
    assert pacer.room(8.0) == 1


def test_no_limit_has_no_shares():
    pacer = Pacer(None)
    pacer.take_share(0.5)
    assert pacer.room(0) is None
