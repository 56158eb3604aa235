"""Contract: section 1, "Times are ISO-8601 and …"; "What clients in the wild send"."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heliograph.jobs.schedule import Period
from heliograph.wire.times import format_instant, parse_instant, parse_period

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2022-09-28T10:58:30+02:00",
        "2022-09-28T10:58:30+0200",
        "2022-09-28T10:58:30+02",
        "2022-09-28T08:58:30Z",
        "2022-09-28t08:58:30z",
        "2022-09-28 10:58:30+02:00",
        "2022-09-28T03:28:30-05:30",
        "20220928T105830+0200",
        "2022-W39-3T10:58:30+02:00",
        "2022-09-28T10:58:30",  # in the zone, Europe/Berlin
    ],
)
def test_an_instant_is_the_same_in_every_usual_spelling(text):
    assert parse_instant(text, BERLIN) == utc("2022-09-28T08:58:30")


def test_an_instant_is_in_utc():
    assert parse_instant("2022-09-28T10:58:30+02:00", BERLIN).tzinfo is UTC
    assert parse_instant("2022-09-28", BERLIN).tzinfo is UTC


@pytest.mark.parametrize("text", ["2022-09-28T10:58:30 02:00", "2022-09-28 10:58:30 02:00", "2022-09-28T10:58:30 0200"])
def test_a_plus_lost_in_url_decoding_is_read_as_a_plus(text):
    assert parse_instant(text, UTC) == utc("2022-09-28T08:58:30")


def test_a_blank_before_the_time_is_no_lost_plus():
    assert parse_instant("2022-09-28 10:58", UTC) == utc("2022-09-28T10:58")


def test_seconds_and_minutes_may_be_missing():
    assert parse_instant("2022-09-28T10:58Z", UTC) == utc("2022-09-28T10:58:00")
    assert parse_instant("2022-09-28T10", UTC) == utc("2022-09-28T10:00:00")


@pytest.mark.parametrize("fraction", [".5", ",5", ".500", ".5000000", ".500000" + "9" * 5000])
def test_a_fraction_has_any_number_of_digits(fraction):
    assert parse_instant(f"2022-09-28T10:58:30{fraction}Z", UTC) == utc("2022-09-28T10:58:30.500")


def test_a_date_alone_means_its_midnight():
    assert parse_instant("2022-09-28", BERLIN) == utc("2022-09-27T22:00")


def test_24_00_is_the_midnight_that_ends_the_day():
    assert parse_instant("2022-09-30T24:00", BERLIN) == utc("2022-09-30T22:00")
    assert parse_instant("2022-12-31T24:00:00.0Z", BERLIN) == utc("2023-01-01T00:00")


def test_a_time_that_summer_time_skips_is_read_with_the_offset_before_the_change():
    assert parse_instant("2022-03-27T02:30", BERLIN) == utc("2022-03-27T01:30")


def test_a_time_that_occurs_twice_as_summer_time_ends_is_the_first():
    assert parse_instant("2022-10-30T02:30", BERLIN) == utc("2022-10-30T00:30")
    assert parse_instant("2022-10-30T02:30+01:00", BERLIN) == utc("2022-10-30T01:30")


NO_INSTANTS = [
    "",
    "now",
    "2022",
    "2022-09",
    "2022-13-01",
    "2022-02-29",
    "2022-09-28T",
    "2022-09-28T25:00",
    "2022-09-28T24:01",
    "2022-09-28T10:60",
    "2022-09-28T10:5",
    "2022-09-28T10:58:30.",
    "2022-09-28T10:58.5",
    "2022-09-28T10:58:30+24:00",
    "2022-09-28T10:58:30+02:60",
    "2022-09-28T10:58:30+2",
    "2022-09-28T10:58:30-",
    "2022-09-28x10:58",
    "2022-09-28  10:58",
    "2022-09-28Z",
    "2022-W60-1",
    "2022-0928",
    "202209281058",
    "1664355510",
    "28.09.2022 10:58",
    "２０２２-09-28",
    "2022-09-28T10:58:30Z\n",
    "0000-01-01T00:00Z",
    "0001-01-01T00:00+01:00",
    "9999-12-31T23:59-01:00",
    "9999-12-31T24:00Z",
    "10000-01-01",
    "\ud800",
    "2022-09-28T10:58:30\N{MINUS SIGN}02:00",
]


@pytest.mark.parametrize("text", NO_INSTANTS)
def test_what_is_no_instant_is_told_what_would_be_right(text):
    with pytest.raises(ValueError, match=r"^'.*' is no ISO-8601 date-time of the years .*, such as 2022-.*$"):
        parse_instant(text, UTC)


def test_an_error_repeats_no_more_than_the_beginning_of_a_long_text():
    with pytest.raises(ValueError) as error:
        parse_instant("a" * 1_000_000, UTC)
    assert len(str(error.value)) < 200


nearly_iso = st.from_regex(
    r"[0-9]{4}-?(W[0-9]{2}(-?[0-9])?|[0-9]{2}-?[0-9]{2})"
    r"([Tt ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{0,9})?)?)?([Zz]|[-+ ][0-9]{2}:?([0-9]{2})?)?)?",
    fullmatch=True,
)


@given(
    st.text() | nearly_iso | st.text("0123456789-:TZW+., /"),
    st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Tokyo")]),
)
def test_any_text_is_an_instant_in_utc_or_a_value_error_of_one_line(text, zone):
    try:
        assert parse_instant(text, zone).tzinfo is UTC
    except ValueError as error:
        fault = str(error)
        assert len(fault.splitlines()) == 1


offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)


@given(st.datetimes(timezones=offsets))
def test_what_python_writes_is_read_as_what_it_was(instant):
    assume(1 < instant.year < 9999)
    assert parse_instant(instant.isoformat(), BERLIN) == instant


def test_a_period_is_written_as_start_slash_end():
    assert parse_period("2022-09-28T20:00Z/2022-09-29T07:00Z", UTC) == Period(
        utc("2022-09-28T20:00"), utc("2022-09-29T07:00")
    )


def test_the_ends_of_a_period_may_have_different_offsets():
    assert parse_period("2022-09-28T20:00+02:00/2022-09-28T20:00Z", UTC) == Period(
        utc("2022-09-28T18:00"), utc("2022-09-28T20:00")
    )


@pytest.mark.parametrize(
    ("night", "length_h"),
    [("2022-03-26T20:00/2022-03-27T08:00", 11), ("2022-10-29T20:00/2022-10-30T08:00", 13)],
)
def test_a_night_in_local_time_is_as_long_as_the_change_of_the_clocks_makes_it(night, length_h):
    period = parse_period(night, BERLIN)
    assert period.end - period.start == timedelta(hours=length_h)


@pytest.mark.parametrize(
    ("end", "length_min"), [("02:45", 15), ("03:15", 45), ("03:30", 60), ("03:45", 15), ("05:00", 90)]
)
def test_what_begins_in_the_hour_that_is_skipped_ends_after_it(end, length_min):
    period = parse_period(f"2022-03-27T02:30/2022-03-27T{end}", BERLIN)
    assert period == Period(
        *(datetime(2022, 3, 27, 1, 30, tzinfo=UTC) + timedelta(minutes=each) for each in (0, length_min))
    )


@pytest.mark.parametrize("text", ["", "2022-09-28", "/", "2022-09-28/2022-09-29/2022-09-30"])
def test_what_is_no_interval_is_told_what_would_be_right(text):
    with pytest.raises(ValueError, match="such as 2022"):
        parse_period(text, UTC)


@pytest.mark.parametrize("text", ["2022-09-28/P1D", "PT1H/2022-09-28", "2022-09-28T20:00/22:00", "2022-09-28/"])
def test_both_ends_of_a_period_are_whole_instants(text):
    with pytest.raises(ValueError, match="is no ISO-8601 date-time"):
        parse_period(text, UTC)


@pytest.mark.parametrize("end", ["2022-09-28T19:00Z", "2022-09-28T20:00Z", "2022-09-28T22:00+02:00"])
def test_a_period_that_does_not_end_after_its_start_is_refused(end):
    with pytest.raises(ValueError, match="must end after it starts"):
        parse_period(f"2022-09-28T20:00Z/{end}", UTC)


@given(st.text("0123456789-:TZ+/P") | st.builds("{}/{}".format, nearly_iso, nearly_iso))
def test_any_text_is_a_period_or_a_value_error_of_one_line(text):
    try:
        assert parse_period(text, BERLIN)
    except ValueError as error:
        fault = str(error)
        assert len(fault.splitlines()) == 1


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        (utc("2022-09-28T10:58:30.022"), "2022-09-28T10:58:30.022Z"),
        (utc("2022-09-28T10:58:30.022999"), "2022-09-28T10:58:30.022Z"),
        (utc("2022-09-28T10:58:30"), "2022-09-28T10:58:30.000Z"),
        (utc("0099-01-01T00:00"), "0099-01-01T00:00:00.000Z"),
        (datetime(2022, 9, 28, 10, 58, 30, tzinfo=BERLIN), "2022-09-28T08:58:30.000Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_milliseconds(instant, written):
    assert format_instant(instant) == written


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_as_the_same_millisecond(instant):
    dropped = timedelta(microseconds=instant.microsecond % 1000)
    assert parse_instant(format_instant(instant), BERLIN) == instant - dropped
