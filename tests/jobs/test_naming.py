"""Contract: section 1, "Reports", ids."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.naming import RANDOM_SPACE, is_job_id, job_id, received_ms, sms_id, sms_ids

RECEIVED = datetime(2022, 11, 16, 9, 24, 7, 583_000, tzinfo=UTC)
PATTERN = re.compile(r"[JS]\.[0-9]{8}-[0-9]{6}\.[0-9]{3}-0[0-9a-z]{8}[0-9A-Z]{9}")

LAST_MS = 36**8 - 1
"""What 8 base-36 digits tell, up to May 2059."""

instants = st.integers(0, LAST_MS).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
tails = st.integers(0, RANDOM_SPACE - 1)


def test_an_id_tells_its_instant_twice():
    assert job_id(RECEIVED, 0) == "J.20221116-092407.583-0lajfsfmn000000000"


def test_the_instant_is_told_in_utc():
    in_berlin = RECEIVED.astimezone(timezone(timedelta(hours=1)))
    assert job_id(in_berlin, 5) == job_id(RECEIVED, 5)


@given(instant=instants, number=tails)
def test_ids_have_the_one_shape(instant, number):
    job = job_id(instant, number)
    assert PATTERN.fullmatch(job)
    assert PATTERN.fullmatch(sms_id(job, 0))
    assert is_job_id(job)


@given(instant=instants, number=tails, other=tails)
def test_different_numbers_make_different_ids(instant, number, other):
    assert (job_id(instant, number) == job_id(instant, other)) == (number == other)


@given(instant=instants, number=tails)
def test_the_instant_can_be_read_from_an_id(instant, number):
    assert received_ms(job_id(instant, number)) == round(instant.timestamp() * 1000)


@given(number=tails)
def test_the_sms_of_a_job_have_ids_of_their_own(number):
    job = job_id(RECEIVED, number)
    ids = sms_ids(job, 3000)
    assert len({*ids, "S" + job[1:]}) == 3001
    assert ids[7] == sms_id(job, 7)


@pytest.mark.parametrize("text", ["J.20221116-102407.583-0lajfsfmoXIZJO93PQ", "J." + "x" * 18, "J." + "x" * 38])
def test_a_job_id_of_the_original_service_is_one(text):
    assert is_job_id(text)


@pytest.mark.parametrize(
    "text", ["", "J.short", "J." + "x" * 39, "S.20221116-102407.583-0lajfsfmoXIZJO93PQ", "J." + "x" * 18 + "\n"]
)
def test_other_texts_are_no_job_ids(text):
    assert not is_job_id(text)


@pytest.mark.parametrize("text", ["J." + "x" * 4, "J." + "-" * 30, "J." + "é" * 30])
def test_an_id_that_was_never_ours_has_no_instant(text):
    assert received_ms(text) is None
