"""wire/tools.py: what a model is told of the tools is true, and what it may do wrong is told back."""

import json
from contextlib import suppress
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.naming import JobId
from heliograph.jobs.options import OPTIONS
from heliograph.jobs.records import StoredJob, StoredSms
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.jobs.status import MEANINGS, ProcessStatus, SmsProgress, Status
from heliograph.wire import tool_calls, tools
from heliograph.wire.bodies import fingerprint
from heliograph.wire.shapes import EXAMPLE_JOB_ID
from heliograph.wire.tool_calls import RecipientsArguments, parse_job_id, parse_recipients, parse_send
from heliograph.wire.tools import SEND_SMS, TOOLS
from tests.fakes.builders import NOW, after, an_account
from tests.wire.test_shapes import JSON
from tools import tools_reference

ROOT = Path(__file__).parents[2]
ACCOUNT = an_account(country="DE")
TO_ONE = {"text": "Hello", "recipients": ["+4917612345678"]}


def conforms(answer, tool) -> bool:
    return jsonschema_rs.Draft202012Validator(tool.output_schema).is_valid(answer)


def every_schema(schema):
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from every_schema(inner)
    if "items" in schema:
        yield from every_schema(schema["items"])


def faults(arguments, parse=lambda arguments: parse_send(arguments, ACCOUNT)) -> dict[str, str]:
    with pytest.raises(RequestInvalid) as refused:
        parse(arguments)
    return {fault.field: fault.message for fault in refused.value.faults}


# Schemas


def test_the_committed_list_and_reference_are_those_of_this_version():
    for path, content in tools_reference.files().items():
        assert (ROOT / path).read_text("utf-8") == content, "make golden"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_schema_is_one_that_copilot_studio_reads(tool):
    for schema in (*every_schema(tool.input_schema), *every_schema(tool.output_schema)):
        assert isinstance(schema["type"], str)
        assert not schema.keys() & {"$ref", "$defs", "anyOf", "oneOf", "allOf"}
    for schema in (tool.input_schema, tool.output_schema):
        jsonschema_rs.meta.validate(schema)
        for inner in schema["properties"].values():
            assert inner["description"].endswith(".")


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_description_says_what_comes_back_and_is_short_enough_to_be_read_whole(tool):
    assert 80 < len(tool.description) < 1024
    assert tool.description.endswith(".")


def test_what_sending_costs_is_said_where_a_model_reads_it():
    for text in (SEND_SMS.description, tools.INSTRUCTIONS):
        assert "cost" in text
        assert "E.164" in SEND_SMS.description


def test_what_is_sent_and_what_is_previewed_take_the_same_arguments():
    sending, preview = SEND_SMS.input_schema["properties"], tools.PREVIEW_SMS.input_schema["properties"]
    assert preview == {name: schema for name, schema in sending.items() if name != "idempotencyKey"}


def test_every_option_is_an_argument_with_its_own_range():
    properties = SEND_SMS.input_schema["properties"]
    for option in OPTIONS:
        if option.wire_name == "duplicateDetection":
            assert option.wire_name not in properties
            continue
        schema = properties[option.wire_name]
        assert schema["description"].startswith(option.rule.description)
        if option.kind is int:
            assert schema["maximum"] == option.rule.maximum
            assert schema["minimum"] == (0 if option.rule.zero else option.rule.minimum)
        if option.rule.max_length:
            assert schema["maxLength"] == option.rule.max_length


# Sending


def test_a_text_and_numbers_are_a_job_that_is_sent_once():
    request = parse_send({**TO_ONE, "src": "Acme", "validityMin": 60}, ACCOUNT)
    assert request.options == msgspec.structs.replace(
        ACCOUNT.defaults, src="Acme", validity_min=60, duplicate_detection=True
    )
    (message,) = request.messages
    assert message.text == "Hello"
    assert [recipient.dst for recipient in message.recipients] == ["+4917612345678"]


def test_equal_calls_are_equal_requests():
    again = {"validityMin": 60, **dict(reversed(TO_ONE.items()))}
    first, second = parse_send({**TO_ONE, "validityMin": 60}, ACCOUNT), parse_send(again, ACCOUNT)
    assert first.fingerprint == second.fingerprint != fingerprint({})
    assert parse_send(TO_ONE, ACCOUNT).fingerprint != first.fingerprint


def test_an_idempotency_key_says_instead_what_is_a_repetition():
    request = parse_send({**TO_ONE, "idempotencyKey": "a-b"}, ACCOUNT)
    assert (request.idempotency_key, request.options.duplicate_detection) == ("a-b", False)
    assert request.fingerprint == parse_send({**TO_ONE, "idempotencyKey": "c"}, ACCOUNT).fingerprint
    for none in ({}, {"idempotencyKey": None}, {"idempotencyKey": ""}):
        without = parse_send({**TO_ONE, **none}, ACCOUNT)
        assert (without.idempotency_key, without.options.duplicate_detection) == (None, True)


@pytest.mark.parametrize("key", ["ä", "a b", "x" * 256, 7, ["a"], True])
def test_what_is_no_idempotency_key_is_told_by_argument(key):
    assert list(faults({**TO_ONE, "idempotencyKey": key})) == ["idempotencyKey"]


def test_null_is_the_same_as_left_out():
    assert parse_send({**TO_ONE, "src": None, "idempotencyKey": None}, ACCOUNT).options.src == ""


def test_all_that_is_wrong_is_told_by_argument():
    told = faults({"text": "", "recipients": "+4917612345678", "idempotencyKey": 7, "maxParts": 21, "validtyMin": 5})
    assert told == {
        "idempotencyKey": "must be a text; it is 7",
        "maxParts": "must be a whole number from 1 to 20; it is 21",
        "validtyMin": "is not known; did you mean validityMin?",
        "text": "must be a text that is not empty; it is empty",
        "recipients": "must be an array with at least one element; it is a string",
    }


def test_nothing_given_is_told_as_missing():
    assert set(faults({})) == {"text", "recipients"}


@pytest.mark.parametrize(
    "number", ["017612345678", "4917612345678", "0049 176 12345678", "+49", "Mum", "+4917612345678x"]
)
def test_only_numbers_with_a_plus_are_taken_whatever_the_account_s_country(number):
    told = faults({**TO_ONE, "recipients": ["+4917612345679", number]})
    assert list(told) == ["recipients[1]"]
    assert "must be a phone number in E.164, such as +4917612345678" in told["recipients[1]"]


def test_a_number_in_another_spelling_with_a_plus_is_read():
    assert parse_send({**TO_ONE, "recipients": ["+49 176 1234-5678"]}, ACCOUNT)


def test_a_number_named_twice_is_refused():
    told = faults({**TO_ONE, "recipients": ["+4917612345678", "+4917612345679", "+49 176 12345678"]})
    assert told == {"recipients[2]": "is the same number as recipients[0]; name each one once"}


def test_numbers_that_are_no_texts_are_told_by_their_place():
    assert list(faults({**TO_ONE, "recipients": ["+4917612345678", 4917612345678, None]})) == [
        "recipients[1]",
        "recipients[2]",
    ]


def test_too_many_recipients_are_refused():
    many = [f"+49176{number:08}" for number in range(MAX_RECIPIENTS + 1)]
    assert "at most 3000" in faults({**TO_ONE, "recipients": many})["recipients"]


def test_half_of_a_surrogate_pair_is_told_by_argument():
    assert "not valid Unicode" in faults({**TO_ONE, "text": "\ud83d"})["text"]


def test_no_error_shows_the_text():
    told = faults({"text": "secret", "recipients": ["secret"], "src": 3, "idempotencyKey": ["secret"]})
    assert "secret" not in json.dumps(told)


def test_who_is_lenient_gets_the_nearest_value():
    lenient = an_account(lenient=True)
    assert parse_send({**TO_ONE, "validityMin": 3}, lenient).options.validity_min == 5


@given(
    st.dictionaries(st.sampled_from([*SEND_SMS.input_schema["properties"], "other"]), JSON),
    st.dictionaries(st.sampled_from(["jobId", "offset", "limit", "other"]), JSON),
)
def test_whatever_the_arguments_are_they_are_read_or_refused(send, read):
    for parse, arguments in (
        (lambda arguments: parse_send(arguments, ACCOUNT), send),
        (parse_job_id, read),
        (parse_recipients, read),
    ):
        with suppress(RequestInvalid):
            parse(arguments)


# Reading


def test_the_arguments_of_get_recipients():
    assert parse_recipients({"jobId": EXAMPLE_JOB_ID}) == (EXAMPLE_JOB_ID, 0, tools.DEFAULT_SHOWN)
    assert parse_recipients({"jobId": EXAMPLE_JOB_ID, "offset": 7, "limit": 0}) == (EXAMPLE_JOB_ID, 7, 0)


def test_what_is_wrong_with_them_is_told_at_once():
    told = faults({"jobId": "J.1", "offset": -1, "limit": 501, "page": 3}, parse_recipients)
    assert told == {
        "jobId": f'must be the id of a job, such as {EXAMPLE_JOB_ID}, as send_sms answered it; it is "J.1"',
        "offset": "must be a whole number of at least 0; it is -1",
        "limit": "must be a whole number from 0 to 500; it is 501",
        "page": "is not known; leave it out",
    }
    assert list(faults({}, parse_job_id)) == ["jobId"]


def test_a_job_is_told_without_the_ids_of_its_sms():
    job = StoredJob(JobId(EXAMPLE_JOB_ID), NOW, None, 3000, ACCOUNT.defaults)
    answer = tool_calls.job_answer(job)
    assert (answer["smsCount"], answer["finished"]) == (3000, False)
    assert "recipientIds" not in answer
    assert conforms(answer, tools.GET_JOB)
    finished = tool_calls.job_answer(msgspec.structs.replace(job, finished_at=after(1)))
    assert finished["finished"]
    assert conforms(finished, tools.GET_JOB)


def test_recipients_come_in_pages_under_a_summary_of_all():
    pairs = [*MEANINGS] * 2
    sms = [
        StoredSms(place, f"+4917600000{place:03}", "ref", SmsProgress(*pair, "reason"))
        for place, pair in enumerate(pairs)
    ]
    answer = tool_calls.recipients_answer(RecipientsArguments(JobId(EXAMPLE_JOB_ID), 5, 4), sms)
    assert conforms(answer, tools.GET_RECIPIENTS)
    assert answer["smsCount"] == len(sms)
    assert [each["dst"] for each in answer["recipients"]] == [each.dst for each in sms[5:9]]
    assert sum(each["count"] for each in answer["summary"]) == len(sms)
    assert {
        (ProcessStatus(each["processStatus"]), Status(each["status"])): each["meaning"] for each in answer["summary"]
    } == MEANINGS


def test_what_cancelling_answers_is_the_summary():
    sms = [StoredSms(0, "+4917612345678", "", SmsProgress(ProcessStatus.CANCELED))]
    answer = tool_calls.summary_answer(JobId(EXAMPLE_JOB_ID), sms)
    assert conforms(answer, tools.CANCEL_JOB)
    assert answer["summary"] == [
        {"processStatus": "CANCELED", "status": "", "meaning": "cancelled before the first try", "count": 1}
    ]


def test_what_sending_answers_is_as_described():
    assert conforms(tool_calls.sent(EXAMPLE_JOB_ID, already_accepted=True), SEND_SMS)
