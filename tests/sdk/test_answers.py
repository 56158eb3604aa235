"""What answers mean to the caller."""

import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import heliograph
from heliograph import (
    ClientError,
    Duplicate,
    Encoding,
    InvalidRequest,
    NotFinished,
    NotFound,
    ProcessStatus,
    Qos,
    RateLimited,
    RefusedCharacters,
    Status,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unsupported,
)
from heliograph.jobs.errors import FieldFault
from heliograph.sdk import calls
from heliograph.sdk.answers import Answer, NoAnswer, error_of, retry_after_s, value_of
from heliograph.wire.shapes import EXAMPLE_JOB_ID, EXAMPLE_SMS_ID

GET_JOB = calls.get_job(EXAMPLE_JOB_ID)
SEND = calls.send_job([], {}, None)


def an_answer(status=200, value=None, **headers):
    return Answer(status, headers, b"" if value is None else json.dumps(value).encode())


def job(**fields):
    return value_of(
        GET_JOB, an_answer(value={"jobId": EXAMPLE_JOB_ID, "receiptTs": "2022-09-28T10:58:30.022Z"} | fields)
    )


def test_a_report_has_enums_and_aware_instants():
    report = job(
        encoding="UTF-16", qos="EXPRESS", finishedTs="2022-09-28T12:58:31+02:00", recipientIds=[EXAMPLE_SMS_ID]
    )
    assert report.encoding is Encoding.UTF_16
    assert report.qos is Qos.EXPRESS
    assert report.receipt_ts == datetime(2022, 9, 28, 10, 58, 30, 22000, UTC)
    assert report.finished_ts == datetime(2022, 9, 28, 10, 58, 31, tzinfo=UTC)
    assert report.recipient_ids == (EXAMPLE_SMS_ID,)
    assert report.finished


@pytest.mark.parametrize("absent", [{}, {"finishedTs": None}])
def test_a_job_without_finished_ts_is_not_finished(absent):
    assert not job(**absent).finished


def test_what_a_newer_service_says_besides_is_no_error():
    report = job(encoding="MORSE", colour="red")
    assert report.encoding == "MORSE"


def test_the_vendors_spellings_are_read():
    assert job(encoding="standard", receiptTs="2022-09-28T10:58:30.022+0200").encoding is Encoding.STANDARD


def test_an_sms_says_whether_it_is_final_and_went_well():
    def sms(process_status, status):
        told = {"smsId": EXAMPLE_SMS_ID, "dst": "1", "processStatus": process_status, "status": status}
        (report,) = value_of(calls.get_sms(EXAMPLE_JOB_ID), an_answer(value=[told]))
        return report

    assert sms("DONE", "SUC_FIN").succeeded
    assert sms("DONE", "SUC_ACC").succeeded
    failed = sms("DONE", "FAILED_FIN")
    assert (failed.process_status, failed.status) == (ProcessStatus.DONE, Status.FAILED_FIN)
    assert failed.final
    assert not failed.succeeded
    waiting = sms("RUNNING", "")
    assert waiting.status is Status.NONE
    assert not waiting.final


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, NotFound),
        (405, Unsupported),
        (408, Unavailable),
        (409, Duplicate),
        (413, InvalidRequest),
        (415, InvalidRequest),
        (422, RefusedCharacters),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (418, UnexpectedAnswer),
        (302, UnexpectedAnswer),
    ],
)
def test_an_error_says_who_has_to_act_and_what_the_service_said(status, kind):
    with pytest.raises(ClientError, match="what is wrong") as told:
        value_of(SEND, an_answer(status, {"code": status, "message": "what is wrong"}))
    assert type(told.value) is kind
    assert told.value.code == status


def test_every_field_at_fault_is_told():
    fault = {"field": "options.validityMin", "message": "must be something else"}
    error = error_of(an_answer(400, {"code": 400, "message": "…", "errors": [fault]}))
    assert error.fields == (FieldFault("options.validityMin", "must be something else"),)


def test_a_duplicate_names_the_first_job():
    error = error_of(
        an_answer(409, {"message": f"an equal request was accepted as job {EXAMPLE_JOB_ID}; to send it …"})
    )
    assert error.job_id == EXAMPLE_JOB_ID
    assert error_of(an_answer(409, {"message": "the same key"})).job_id is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'{"message": 7}', b'{"message": "", "errors": 3}'])
def test_an_error_that_is_not_as_the_api_tells_them_is_one_all_the_same(body):
    error = error_of(Answer(502, {}, body))
    assert str(error) == "the service answered 502 (Bad Gateway)"


def test_a_service_that_has_moved_is_told_with_its_place():
    error = error_of(an_answer(301, location="https://new.example/"))
    assert "https://new.example/" in str(error)


def test_the_answer_of_another_program_is_told_with_what_is_wrong_in_it():
    for value in ({"jobId": 7}, {}, [], "text", {"jobId": EXAMPLE_JOB_ID, "receiptTs": "soon"}):
        with pytest.raises(UnexpectedAnswer, match="look at the client's URL"):
            value_of(GET_JOB, an_answer(value=value))
    with pytest.raises(UnexpectedAnswer):
        value_of(GET_JOB, Answer(200, {}, b"<!doctype html>"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["jobId", "receiptTs", "recipientIds"]), inner),
    )
)
def test_any_json_is_a_report_or_an_unexpected_answer(value):
    for call in (GET_JOB, calls.get_sms("J"), calls.list_job_ids(None, None, open_only=False).first, SEND):
        with suppress(UnexpectedAnswer):
            value_of(call, an_answer(value=value))


@given(st.binary(), st.integers(300, 599))
def test_any_octets_are_an_error_that_says_something(body, status):
    assert str(error_of(Answer(status, {}, body)))


def test_what_may_have_been_done_is_said_unless_it_was_only_read():
    lost = NoAnswer("no answer came within 3 s", sent=True)
    with pytest.raises(Unavailable, match="it is unknown whether it was done") as told:
        value_of(SEND, lost, in_doubt=True)
    assert told.value.uncertain
    with pytest.raises(Unavailable) as told:
        value_of(GET_JOB, lost, in_doubt=True)
    assert not told.value.uncertain


@pytest.mark.parametrize(
    ("asked", "date", "seconds"),
    [
        ("7", "", 7),
        ("Wed, 21 Oct 2026 07:28:09 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 9),
        ("Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2026 07:28:09 GMT", "", None),
        ("soon", "", None),
        ("", "", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_by_the_services_clock(asked, date, seconds):
    assert retry_after_s(an_answer(503, **{"retry-after": asked, "date": date})) == seconds


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("slow down", 7, code=429),
        Duplicate("again", "J.1"),
        NotFinished("wait", "J.1"),
        InvalidRequest("no"),
    ],
)
def test_errors_travel_between_processes(error):
    travelled = pickle.loads(pickle.dumps(error))
    assert (type(travelled), str(travelled), travelled.__dict__) == (type(error), str(error), error.__dict__)


def test_errors_are_also_what_python_calls_them():
    assert issubclass(InvalidRequest, ValueError)
    assert issubclass(NotFinished, TimeoutError)


def test_every_public_name_is_there():
    assert set(heliograph.sdk.__all__) <= set(dir(heliograph))
    for name in heliograph.sdk.__all__:
        assert getattr(heliograph, name) is getattr(heliograph.sdk, name)
    with pytest.raises(AttributeError, match="'heliograph' has no attribute 'Clint'"):
        heliograph.Clint  # noqa: B018
