"""SMPP 3.4, 7.1.1."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.smpp.times import absolute_time, parse_time, relative_time

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("remaining", "encoded"),
    [
        (timedelta(minutes=5), b"000000000500000R"),
        (timedelta(hours=1), b"000000010000000R"),
        (timedelta(minutes=2880), b"000002000000000R"),
        (timedelta(minutes=2879, seconds=59.9), b"000002000000000R"),
        (timedelta(minutes=2879, seconds=59), b"000001235959000R"),
        (timedelta(minutes=59, seconds=59, milliseconds=1), b"000000010000000R"),
        (timedelta(milliseconds=1), b"000000000001000R"),
        (timedelta(days=99, hours=23, minutes=59, seconds=59), b"000099235959000R"),
    ],
)
def test_relative_time(remaining, encoded):  # 7.1.1.2
    assert relative_time(remaining) == encoded


@pytest.mark.parametrize(
    "remaining",
    [timedelta(0), timedelta(seconds=-1), timedelta(days=99, hours=23, minutes=59, seconds=59.1), timedelta(days=100)],
)
def test_a_span_that_cannot_be_written_is_refused(remaining):
    with pytest.raises(ValueError):
        relative_time(remaining)


def test_absolute_time_is_utc_with_one_digit_of_tenths():  # 7.1.1.1
    assert absolute_time(datetime(2026, 3, 1, 1, 2, 3, 987654, UTC)) == b"260301010203000+"
    assert absolute_time(datetime(2026, 3, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))) == b"260228230203000+"


def test_a_year_without_two_digits_is_refused():
    with pytest.raises(ValueError):
        absolute_time(datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("encoded", "instant"),
    [
        (b"020610233429000R", datetime(2028, 8, 10, 23, 34, 29, tzinfo=UTC) + timedelta(hours=12)),
        (b"000100000000000R", datetime(2026, 2, 28, 12, 0, tzinfo=UTC)),  # a month from the 31st
        (b"260301010203704+", datetime(2026, 3, 1, 0, 2, 3, 700_000, UTC)),
        (b"260301010203020-", datetime(2026, 3, 1, 6, 2, 3, tzinfo=UTC)),
    ],
)
def test_both_formats_are_read(encoded, instant):
    assert parse_time(encoded, NOW) == instant


@pytest.mark.parametrize(
    "encoded", [b"", b"2603010102", b"260301010203049+", b"261301010203000+", b"26030101020300+R", b"260301010203000Z"]
)
def test_what_is_no_time_is_refused(encoded):
    with pytest.raises(ValueError):
        parse_time(encoded, NOW)


@given(st.integers(1, 100 * 86400 - 1))
def test_reading_undoes_writing_of_spans(seconds):
    span = timedelta(seconds=seconds)
    assert parse_time(relative_time(span), NOW) == NOW + span


@given(st.integers(0, 100 * 365 * 86400 - 1))
def test_reading_undoes_writing_of_instants(seconds):
    instant = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert parse_time(absolute_time(instant + timedelta(microseconds=999_999)), NOW) == instant
