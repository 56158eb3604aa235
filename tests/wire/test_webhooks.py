"""wire/webhooks.py: what is asked for, shown and posted."""

import json

import jsonschema_rs
import pytest

from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.inbound import InboundSms
from heliograph.jobs.naming import InboundId, sms_id
from heliograph.jobs.records import StoredJob, StoredSms
from heliograph.jobs.status import ProcessStatus, SmsProgress, Status
from heliograph.jobs.webhooks import EventType, JobFinished, SmsFinished, SmsReceived, event_id
from heliograph.wire.openapi import openapi_document, posted_example
from heliograph.wire.webhooks import REQUEST_EXAMPLES, event_body, parse_trigger_request, parse_webhook_request
from tests.fakes.builders import NOW, a_plan, a_webhook, after

DOCUMENT = openapi_document("0.1.0")
PLAN = a_plan()
SMS = StoredSms(
    0, "+4917612345678", "ref", SmsProgress(ProcessStatus.DONE, Status.SUC_FIN, "delivered", after(1), after(2))
)
JOB = StoredJob(PLAN.job_id, NOW, after(2), 1, PLAN.options)
INBOUND = InboundSms(
    sms_id=InboundId("I.1"), account=PLAN.account, src="+491", dst="80100", text="Ja ✓", received_at=after(3)
)
EVENTS = {
    EventType.SMS_FINISHED: SmsFinished(PLAN.job_id, SMS),
    EventType.JOB_FINISHED: JobFinished(JOB),
    EventType.SMS_RECEIVED: SmsReceived(INBOUND),
}


def parsed(raw, *, allow_private=False, strict=False):
    return parse_webhook_request(raw, allow_private=allow_private, strict=strict)


def fields(raw, **keywords) -> list[str]:
    with pytest.raises(RequestInvalid) as refusal:
        parsed(raw, **keywords)
    return [fault.field for fault in refusal.value.faults]


# Requests


def test_events_are_read_in_any_case_and_once():
    asked = parsed({"url": "https://example.com/", "events": ["SMS.finished", "sms.received", "sms.finished"]})
    assert asked == ("https://example.com/", (EventType.SMS_FINISHED, EventType.SMS_RECEIVED), [])


@pytest.mark.parametrize(
    ("raw", "at_fault"),
    [
        ({}, ["url", "events"]),
        ({"url": None, "events": None}, ["url", "events"]),
        ({"url": "", "events": []}, ["url", "events"]),
        ({"url": 5, "events": "sms.finished"}, ["url", "events"]),
        ({"url": "http://example.com", "events": ["sms.sent", None, "job.finished", 7]},
         ["url", "events[0]", "events[1]", "events[3]"]),
    ],
)  # fmt: skip
def test_every_field_at_fault_is_told(raw, at_fault):
    assert fields(raw) == at_fault


@pytest.mark.parametrize("raw", [[], "x", None, 5])
def test_a_body_that_is_no_object_is_refused(raw):
    with pytest.raises(RequestInvalid, match="must be a JSON object with url and events"):
        parsed(raw)


def test_what_is_not_known_is_ignored_and_named_or_refused():
    raw = {"url": "https://example.com/", "events": ["sms.finished"], "secret": "x"}
    assert parsed(raw).ignored == ["secret"]
    assert fields(raw, strict=True) == ["secret"]
    assert parse_trigger_request(raw, allow_private=False) == ("https://example.com/", ["events", "secret"])


def test_a_url_at_fault_is_not_repeated():
    with pytest.raises(RequestInvalid) as refusal:
        parsed({"url": "https://user:hunter2@example.com/?sig=hunter2", "events": ["sms.finished"]})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("shape", REQUEST_EXAMPLES)
def test_every_example_of_a_request_is_accepted(shape):
    for example in REQUEST_EXAMPLES[shape].values():
        schema = {"$ref": f"#/components/schemas/{shape}", "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(example["value"])
        parse = parse_webhook_request if shape == "WebhookRequest" else parse_trigger_request
        parse(example["value"], allow_private=False, strict=True)


# What is posted


def test_an_sms_is_told_with_its_job_and_its_report():
    posted = json.loads(event_body(EVENTS[EventType.SMS_FINISHED]))
    assert posted == {
        "type": "sms.finished",
        "timestamp": "2026-03-01T12:00:02.000Z",
        "data": {
            "jobId": PLAN.job_id,
            "smsId": sms_id(PLAN.job_id, 0),
            "dst": "+4917612345678",
            "processStatus": "DONE",
            "status": "SUC_FIN",
            "customerRef": "ref",
            "reason": "delivered",
            "sentTs": "2026-03-01T12:00:01.000Z",
            "finishedTs": "2026-03-01T12:00:02.000Z",
        },
    }


def test_a_job_is_told_with_its_report():
    posted = json.loads(event_body(EVENTS[EventType.JOB_FINISHED]))
    assert (posted["type"], posted["timestamp"]) == ("job.finished", "2026-03-01T12:00:02.000Z")
    assert posted["data"]["jobId"] == PLAN.job_id
    assert posted["data"]["recipientIds"] == [sms_id(PLAN.job_id, 0)]


def test_an_sms_from_a_phone_is_told_with_its_text():
    posted = json.loads(event_body(EVENTS[EventType.SMS_RECEIVED]))
    assert posted["data"] == {
        "smsId": "I.1",
        "src": "+491",
        "dst": "80100",
        "text": "Ja ✓",
        "receivedTs": "2026-03-01T12:00:03.000Z",
    }


@pytest.mark.parametrize("kind", EventType)
def test_what_is_posted_obeys_the_description_and_has_an_example(kind):
    body = DOCUMENT["webhooks"][kind.value]["post"]["requestBody"]["content"]["application/json"]
    validator = jsonschema_rs.Draft202012Validator({**body["schema"], "components": DOCUMENT["components"]})
    for posted in (json.loads(event_body(EVENTS[kind])), posted_example(kind)):
        validator.validate(posted)
        assert posted["type"] == kind.value


def test_an_event_has_an_id_of_its_own_for_each_webhook():
    first, second = a_webhook(), a_webhook()
    ids = [event_id(webhook.id, event) for webhook in (first, second) for event in EVENTS.values()]
    assert len(set(ids)) == 6
    assert event_id(first.id, EVENTS[EventType.SMS_FINISHED]) == ids[0]
