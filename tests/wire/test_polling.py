"""The state that is brought along from one answer to the next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.arrivals import MARK_OCTETS, MAX_REMEMBERED, Heard
from heliograph.jobs.errors import RequestInvalid
from heliograph.wire.polling import format_heard, parse_heard
from tests.fakes.builders import NOW, after

MARKS = st.frozensets(st.binary(min_size=MARK_OCTETS, max_size=MARK_OCTETS), max_size=20)


@given(st.integers(0, 10**6), MARKS)
def test_it_is_read_as_it_was_written(seconds, marks):
    heard = Heard(after(seconds), marks)
    assert parse_heard(format_heard(heard)) == heard


def test_what_came_in_the_millisecond_before_is_not_told_again():
    heard = Heard(NOW.replace(microsecond=1500), frozenset())
    assert parse_heard(format_heard(heard)).since == NOW.replace(microsecond=2000)


def test_it_fits_into_an_address_and_needs_no_encoding():
    marks = frozenset(number.to_bytes(MARK_OCTETS, "big") for number in range(2 * MAX_REMEMBERED))
    text = format_heard(Heard(NOW, marks))
    assert len(text) == 1611
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert parse_heard(text).marks == marks


@pytest.mark.parametrize("text", ["x", "AAAA", "?", "ü", "A" * 11 + "A", "_" * 11, "A" * 3000])
def test_anything_else_is_refused_by_its_name(text):
    with pytest.raises(RequestInvalid, match="state must be what the Location of the answer before held"):
        parse_heard(text)


@given(st.text())
def test_no_text_does_worse_than_being_refused(text):
    try:
        heard = parse_heard(text)
    except RequestInvalid:
        return
    assert parse_heard(format_heard(heard)) == heard
