"""POST /jobs/preview (contract, section 2)."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.builders import numbers
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job

PHONE = "+4917612345678"
BLACKOUT = "2026-03-01T11:00Z/2026-03-01T14:00Z"


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None, country="DE")
    return service


async def preview(service: Service, job: object):
    reply = await service.call("POST", "/rest/v1/jobs/preview", job)
    assert reply.status == 200, reply.body
    return reply.json()


async def recipient(service: Service, dst: str = PHONE, **options):
    return (await preview(service, a_job(dst=dst, **options)))["messages"][0]["recipients"][0]


async def test_it_tells_where_when_and_by_whom_an_sms_would_be_sent(service):
    assert await preview(service, a_job(dst="0176 12345678")) == {
        "refused": False,
        "messages": [
            {
                "encoding": "STANDARD",
                "parts": 1,
                "truncated": False,
                "replaced": [],
                "recipients": [
                    {
                        "dst": "0176 12345678",
                        "e164": PHONE,
                        "valid": True,
                        "country": "DE",
                        "carrier": "sandbox",
                        "dueTs": "2026-03-01T12:00:00.000Z",
                        "reason": "",
                    }
                ],
            }
        ],
    }


async def test_it_tells_how_a_text_would_travel(service):
    job = {
        "options": {"invalidCharacters": "TRANSLITERATE", "maxParts": 2},
        "messages": [
            {"text": "Zoë 日日", "recipients": [{"dst": PHONE}]},
            {"text": "x" * 1000, "recipients": [{"dst": PHONE}]},
        ],
    }
    first, second = (await preview(service, job))["messages"]
    assert (first["encoding"], first["parts"], first["truncated"]) == ("STANDARD", 1, False)
    assert first["replaced"] == [
        {"character": "ë", "replacement": "e", "positions": [2]},
        {"character": "日", "replacement": " ", "positions": [4, 5]},
    ]
    assert (second["parts"], second["truncated"], second["replaced"]) == (2, True, [])
    (utf16,) = (await preview(service, a_job("日本")))["messages"]
    assert (utf16["encoding"], utf16["replaced"]) == ("UTF-16", [])


async def test_what_sending_would_refuse_for_its_characters_is_told_as_refused(service):
    job = {
        "options": {"invalidCharacters": "REFUSE", "blackoutPeriods": [BLACKOUT]},
        "messages": [
            {"text": "日本日", "recipients": [{"dst": PHONE}]},
            {"text": "x" * 161, "recipients": [{"dst": "12"}]},
        ],
    }
    assert (await service.send(job)).status == 422
    shown = await preview(service, job)
    first, second = shown["messages"]
    assert shown["refused"] is True
    assert (first["encoding"], first["parts"]) == ("STANDARD", 0)
    assert first["replaced"] == [
        {"character": "日", "replacement": "", "positions": [0, 2]},
        {"character": "本", "replacement": "", "positions": [1]},
    ]
    assert first["recipients"][0]["dueTs"] == "2026-03-01T14:00:00.000Z"
    assert (second["parts"], second["replaced"]) == (2, [])


@pytest.mark.parametrize(
    ("options", "due", "reason"),
    [
        ({}, "2026-03-01T12:00:00.000Z", ""),
        ({"jobPeriod": "2026-03-01T10:00Z"}, "2026-03-01T12:00:00.000Z", ""),
        ({"jobPeriod": "2026-03-01T15:00Z"}, "2026-03-01T15:00:00.000Z", "the job period begins then"),
        ({"blackoutPeriods": [BLACKOUT]}, "2026-03-01T14:00:00.000Z", "it is a blackout period until then"),
        (
            {"jobPeriod": "2026-03-01T13:00Z", "blackoutPeriods": [BLACKOUT]},
            "2026-03-01T14:00:00.000Z",
            "the job period begins in a blackout period, which ends then",
        ),
    ],
)
async def test_it_tells_why_an_sms_would_go_later(service, options, due, reason):
    shown = await recipient(service, **options)
    assert (shown["dueTs"], shown["reason"]) == (due, reason)


async def test_it_tells_why_an_sms_would_not_be_sent(service):
    await service.call("PUT", f"/rest/v1/blocklist/{PHONE}")
    blocked, wrong = await recipient(service), await recipient(service, dst="12")
    assert (blocked["valid"], blocked["e164"], blocked["carrier"]) == (True, PHONE, "")
    assert blocked["reason"] == "the number is on the account's blocklist"
    assert (wrong["valid"], wrong["e164"], wrong["country"], wrong["carrier"]) == (False, "", "", "")
    assert wrong["reason"] == "not a possible number"
    assert "dueTs" not in blocked
    assert "dueTs" not in wrong


async def test_it_sends_and_remembers_nothing(service):
    job = a_job(duplicateDetection=True)
    for _ in range(2):
        await service.call("POST", "/rest/v1/jobs/preview", job, headers={"Idempotency-Key": "key"})
    assert (await service.get("/jobs?jobIdsOnly=true")).json() == []
    assert service.api._metrics.registry.get_sample_value("heliograph_jobs_accepted_total") == 0
    sent = await service.send(job, headers={"Idempotency-Key": "key"})
    assert sent.status == 201
    await preview(service, job)


async def test_what_sending_would_refuse_as_wrong_is_refused_alike(service):
    for wrong in ({}, {"messages": []}, a_job(dst=""), a_job(validityMin=3), [], b"{"):
        shown = await service.call("POST", "/rest/v1/jobs/preview", wrong)
        sent = await service.send(wrong)
        assert (shown.status, shown.body) == (400, sent.body)


async def test_what_is_ignored_is_told(service):
    reply = await service.call("POST", "/rest/v1/jobs/preview", {**a_job(), "foo": 1})
    assert reply.headers["heliograph-ignored"] == "foo"


async def test_a_preview_is_what_sending_does(service):
    dsts = [*numbers(300), "12", "0171 2345678", "+436641234567"]
    recipients = [
        {"dst": dst, **({"blackoutPeriods": [BLACKOUT]} if place % 3 else {})} for place, dst in enumerate(dsts)
    ]
    await service.call("PUT", f"/rest/v1/blocklist/{numbers(9)[8]}")
    job = {
        "options": {"jobPeriod": "2026-03-01T12:30Z", "maxParts": 3},
        "messages": [
            {"text": "x" * 600, "recipients": recipients},
            {"text": "日" * 71, "recipients": recipients[:5]},
        ],
    }
    shown = await preview(service, job)
    job_id = (await service.send(job)).json()["jobId"]
    kept = service.store._jobs[job_id]
    told = [each for message in shown["messages"] for each in message["recipients"]]
    assert len(told) == len(kept.sms) == len(dsts) + 5
    for each, sms in zip(told, kept.sms, strict=True):
        assert each["carrier"] == (sms.carrier or "")
        assert (each["e164"] or each["dst"]) == sms.planned.dst
        assert each["reason"] == (sms.final.reason if sms.final else each["reason"])
        if sms.final is None:
            due = sms.planned.window.due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            assert each["dueTs"] == due
            parts = shown["messages"][sms.planned.message]["parts"]
            assert parts == len(sms.parts)
    assert {len(sms.parts) for sms in kept.sms if sms.final is None} == {2, 3}


async def test_other_methods_are_405(service):
    reply = await service.get("/jobs/preview")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
