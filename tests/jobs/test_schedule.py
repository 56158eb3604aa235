"""Contract: section 1, `options.jobPeriod`, `options.blackoutPeriods`, `options.validityMin`."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.schedule import (
    END_OF_TIME,
    Period,
    SendWindow,
    earliest_send,
    joined,
    reaching_into,
    send_window,
)


def at(time, *, day=1):
    return datetime.fromisoformat(f"2022-09-{day:02}T{time}+00:00")


def period(start, end, *, day=1, end_day=None):
    return Period(at(start, day=day), at(end, day=end_day or day))


NIGHT = period("20:00", "07:00", end_day=2)


@pytest.mark.parametrize("end", ["19:59", "20:00"])
def test_a_period_ends_after_its_start(end):
    with pytest.raises(ValueError, match="end of a period must be after its start"):
        period("20:00", end)


def test_the_start_is_inside_a_period_and_the_end_is_not():
    assert at("20:00") in NIGHT
    assert at("06:59:59.999999", day=2) in NIGHT
    assert at("07:00", day=2) not in NIGHT
    assert at("19:59:59.999999") not in NIGHT


def test_a_period_under_an_hour_counts_as_an_hour_from_its_start():
    assert joined([period("10:00", "10:05")]) == (period("10:00", "11:00"),)


def test_overlapping_and_touching_periods_join():
    assert joined([period("12:00", "14:00"), period("10:00", "12:00"), period("13:00", "15:00")]) == (
        period("10:00", "15:00"),
    )


def test_a_period_within_another_is_no_end_of_it():
    assert joined([period("10:00", "15:00"), period("11:00", "12:00")]) == (period("10:00", "15:00"),)


def test_a_short_period_joins_what_its_hour_reaches():
    assert joined([period("10:00", "10:01"), period("11:00", "12:30")]) == (period("10:00", "12:30"),)


def test_periods_with_time_between_them_stay_apart_in_order():
    morning, evening = period("08:00", "09:00"), period("18:00", "19:00")
    assert joined([evening, morning]) == (morning, evening)


def test_a_period_may_reach_to_the_end_of_time():
    last_minute = Period(END_OF_TIME - timedelta(minutes=1), END_OF_TIME)
    assert joined([last_minute]) == (last_minute,)


def test_a_message_due_in_a_blackout_period_leaves_at_its_end():
    assert earliest_send(at("23:15"), [NIGHT]) == at("07:00", day=2)
    assert earliest_send(at("20:00"), [NIGHT]) == at("07:00", day=2)


def test_a_message_due_outside_blackout_periods_leaves_at_once():
    assert earliest_send(at("19:59"), [NIGHT]) == at("19:59")
    assert earliest_send(at("07:00", day=2), [NIGHT]) == at("07:00", day=2)
    assert earliest_send(at("19:59"), []) == at("19:59")


def test_a_job_without_job_period_is_due_now():
    assert send_window(job_period=None, now=at("10:00"), blackouts=[], validity_min=60) == SendWindow(
        due=at("10:00"), expires=at("11:00")
    )


def test_a_job_period_in_the_past_means_now():
    window = send_window(job_period=at("09:00"), now=at("10:00"), blackouts=[], validity_min=60)
    assert window == SendWindow(due=at("10:00"), expires=at("11:00"))


def test_validity_counts_from_the_job_period():
    window = send_window(job_period=at("12:00"), now=at("10:00"), blackouts=[], validity_min=60)
    assert window == SendWindow(due=at("12:00"), expires=at("13:00"))


def test_validity_counts_from_the_end_of_the_blackout_period_that_an_sms_falls_due_in():
    window = send_window(job_period=at("23:00"), now=at("10:00"), blackouts=[NIGHT], validity_min=60)
    assert window == SendWindow(due=at("07:00", day=2), expires=at("08:00", day=2))


def test_the_carrier_s_default_validity_is_taken_to_be_two_days():
    window = send_window(job_period=None, now=at("10:00"), blackouts=[], validity_min=0)
    assert window.expires == at("10:00", day=3)


def test_a_job_at_the_end_of_time_expires_there():
    window = send_window(job_period=END_OF_TIME, now=at("10:00"), blackouts=[], validity_min=5)
    assert window.expires == END_OF_TIME


minutes = st.integers(0, 2000)
instants = minutes.map(lambda minute: at("00:00") + timedelta(minutes=minute))
periods = st.builds(
    lambda start, length: Period(start, start + timedelta(minutes=length)), instants, st.integers(1, 300)
)
some_periods = st.lists(periods, max_size=12)


@given(some_periods)
def test_what_is_joined_stays_as_it_is(some_periods):
    assert joined(joined(some_periods)) == joined(some_periods)


@given(some_periods)
def test_joined_periods_are_sorted_have_time_between_them_and_last_an_hour(some_periods):
    blackouts = joined(some_periods)
    assert all(earlier.end < later.start for earlier, later in pairwise(blackouts))
    assert all(period.end - period.start >= timedelta(hours=1) for period in blackouts)


@given(some_periods)
def test_joined_periods_cover_just_what_the_periods_cover(some_periods):
    widened = [Period(p.start, max(p.end, p.start + timedelta(hours=1))) for p in some_periods]
    blackouts = joined(some_periods)
    for minute in range(-1, 2400):
        instant = at("00:00") + timedelta(minutes=minute)
        assert any(instant in period for period in blackouts) == any(instant in period for period in widened)


@given(some_periods, instants)
def test_the_earliest_send_is_the_first_instant_outside_blackout_periods(some_periods, not_before):
    blackouts = joined(some_periods)
    expected = not_before
    while any(expected in period for period in blackouts):
        expected += timedelta(minutes=1)
    assert earliest_send(not_before, blackouts) == expected


@given(some_periods, st.none() | instants, instants, st.just(0) | st.integers(5, 2880))
def test_no_send_window_opens_in_a_blackout_period_or_too_early(some_periods, job_period, now, validity_min):
    blackouts = joined(some_periods)
    window = send_window(job_period=job_period, now=now, blackouts=blackouts, validity_min=validity_min)
    assert not any(window.due in period for period in blackouts)
    assert window.due >= max(job_period or now, now)
    assert window.expires - window.due == timedelta(minutes=validity_min or 2880)


def test_blackout_periods_that_end_before_a_window_or_begin_with_its_end_do_not_reach_into_it():
    window = SendWindow(at("10:00"), at("12:00"))
    outside = period("08:00", "09:59"), period("12:00", "13:00")
    inside = period("09:00", "10:00"), period("10:30", "11:30"), period("11:59", "14:00")
    assert reaching_into(window, sorted([*outside, *inside], key=lambda each: each.start)) == inside
