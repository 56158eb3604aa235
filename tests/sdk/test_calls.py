"""What each operation asks."""

import json
from datetime import UTC, datetime
from enum import Enum
from types import NoneType
from typing import Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import InvalidRequest, Message, Options, Period, Recipient, split_messages
from heliograph.jobs.options import OPTIONS
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.sdk import calls
from heliograph.wire.operations import MAX_BODY_OCTETS
from heliograph.wire.shapes import parse_job_request
from tests.fakes.builders import an_account

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Period(datetime(2026, 3, 1, 20, tzinfo=BERLIN), datetime(2026, 3, 2, 7, tzinfo=BERLIN))


def body(*messages, **options):
    return json.loads(calls.send_job(messages, options, None).body)


def test_a_job_has_its_texts_and_who_gets_them():
    assert body(Message("Hello", to="+4917612345678"), Message("Hi", to=["1", Recipient("2", customer_ref="two")])) == {
        "messages": [
            {"text": "Hello", "recipients": [{"dst": "+4917612345678"}]},
            {"text": "Hi", "recipients": [{"dst": "1"}, {"dst": "2", "customerRef": "two"}]},
        ]
    }


def test_the_service_understands_every_option_as_it_was_meant():
    options = Options(
        src="Acme",
        encoding="UTF-16",
        billcode="B-17",
        status_requested=True,
        flash=True,
        customer_ref="mine",
        validity_min=60,
        max_parts=2,
        invalid_characters="REFUSE",
        qos="EXPRESS",
        job_period=datetime(2026, 3, 1, 9, tzinfo=BERLIN),
        duplicate_detection=True,
        blackout_periods=[NIGHT],
    )
    assert set(options) == {option.name for option in OPTIONS}
    request, ignored = parse_job_request(body(Message("Hello", "+4917612345678"), **options), an_account(), strict=True)
    assert ignored == []
    understood = {option.name: getattr(request.options, option.name) for option in OPTIONS}
    assert understood == options | {
        "job_period": datetime(2026, 3, 1, 8, tzinfo=UTC),
        "blackout_periods": (Period(datetime(2026, 3, 1, 19, tzinfo=UTC), datetime(2026, 3, 2, 6, tzinfo=UTC)),),
    }


def test_none_is_the_accounts_default():
    assert "options" not in body(Message("Hello", "1"), src=None, flash=None)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_keyword_of_an_option_has_its_type(option):
    kinds = [kind for kind in get_args(get_type_hints(Options)[option.name]) if kind is not NoneType]
    if isinstance(option.kind, type) and issubclass(option.kind, Enum):
        assert kinds[0] is option.kind
        assert get_origin(kinds[1]) is Literal
        assert list(get_args(kinds[1])) == [member.value for member in option.kind]
    elif option.name == "blackout_periods":
        assert get_args(kinds[0]) == (Period,)
    else:
        assert kinds == [option.kind]


def test_there_is_a_keyword_for_every_option_and_no_other():
    assert list(get_type_hints(Options)) == [option.name for option in OPTIONS]


def test_an_option_that_is_misspelled_is_told_with_the_right_one():
    with pytest.raises(TypeError, match="there is no option 'validty_min'; did you mean 'validity_min'"):
        body(Message("Hello", "1"), validty_min=5)


def test_an_instant_without_a_time_zone_is_refused_and_all_of_them_are_named():
    naive = Period(datetime(2026, 3, 1, 20), datetime(2026, 3, 2, 7))  # noqa: DTZ001 # the point
    with pytest.raises(
        InvalidRequest, match=r"options\.jobPeriod has no time zone.*\(and 2 more, see fields\)"
    ) as told:
        body(
            Message("Hello", Recipient("1", blackout_periods=[naive])),
            job_period=datetime(2026, 3, 1, 9),  # noqa: DTZ001
        )
    assert [fault.field for fault in told.value.fields] == [
        "options.jobPeriod",
        *["messages[0].recipients[0].blackoutPeriods[0]"] * 2,
    ]
    with pytest.raises(ValueError, match="fromTs has no time zone"):
        calls.list_jobs(datetime(2026, 3, 1), None, open_only=False)  # noqa: DTZ001


def test_half_of_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidRequest, match="not valid Unicode"):
        body(Message("Hello \ud83d", "1"))


@pytest.mark.parametrize("job_id", ["", ".", ".."])
def test_what_would_make_another_path_is_refused(job_id):
    with pytest.raises(InvalidRequest):
        calls.get_job(job_id)


def test_an_id_stays_one_segment_of_the_path():
    assert calls.get_job("J/../?x=1#").path == "/jobs/J%2F..%2F%3Fx%3D1%23"
    assert calls.block_number("+49 176/1234").path == "/blocklist/+49%20176%2F1234"


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "a\nb", "k" * 256])
def test_a_key_that_can_stand_in_no_header_is_refused(key):
    with pytest.raises(InvalidRequest, match="idempotency_key"):
        calls.checked_key(key)


def numbers_in(messages):
    return [(message.text, recipient) for message in messages for recipient in message.to]


@given(st.lists(st.integers(1, 2 * MAX_RECIPIENTS), max_size=6))
def test_jobs_hold_all_recipients_in_their_order_and_none_too_many(counts):
    messages = [Message(f"text {at}", [str(n) for n in range(count)]) for at, count in enumerate(counts)]
    jobs = list(split_messages(messages))
    assert [pair for job in jobs for pair in numbers_in(job)] == numbers_in(messages)
    assert all(0 < len(numbers_in(job)) <= MAX_RECIPIENTS for job in jobs)
    assert len(jobs) == -(-sum(counts) // MAX_RECIPIENTS)


def test_jobs_are_no_larger_than_the_service_takes():
    messages = [Message("€" * 100_000, [str(at)]) for at in range(100)]
    jobs = list(split_messages(messages))
    assert len(jobs) > 1
    assert [pair for job in jobs for pair in numbers_in(job)] == numbers_in(messages)
    assert all(len(calls.send_job(job, {}, None).body) < MAX_BODY_OCTETS for job in jobs)


def test_a_message_without_recipients_is_left_to_the_service():
    assert [len(job) for job in split_messages([Message("Hello", []), Message("Hi", "1")])] == [2]
    assert list(split_messages([])) == []


def test_each_of_several_jobs_has_a_key_of_its_own():
    jobs = calls.send_jobs([Message("Hello", ["1"] * 6001)], {}, "order-7")
    assert [job.key for job in jobs] == ["order-7", "order-7-2", "order-7-3"]
