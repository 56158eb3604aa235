"""GET /inbound and /blocklist (contract, section 2)."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.builders import a_plan, a_planned_sms, after, an_arrival
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job, basic
from tests.store.conformance import send

DAY = 86_400
PHONE = "+4917612345678"


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None, country="DE")
    await service.add_account("other", rate_limit=None)
    return service


async def receive(service: Service, text: str, *, at: float = 0, owner: int = 1, **part) -> str:
    (sms,), _ = await service.store.record_inbound("sandbox", [an_arrival(text, owner=owner, at=after(at), **part)])
    return sms.sms_id


async def texts(service: Service, query: str = "") -> list[str]:
    reply = await service.get(f"/inbound?{query}")
    assert reply.status == 200, reply.body
    return [sms["text"] for sms in reply.json()]


async def put(service: Service, dst: str = PHONE, **keywords):
    return await service.call("PUT", f"/rest/v1/blocklist/{dst}", **keywords)


async def statuses(service: Service, job_id: str) -> list[tuple[str, str]]:
    return [(sms["processStatus"], sms["status"]) for sms in (await service.get(f"/sms?jobId={job_id}")).json()]


# Inbound


async def test_an_sms_from_a_phone_is_listed(service):
    sms_id = await receive(service, "Ja ✓", at=1.5)
    await service.clock.advance(10)
    assert (await service.get("/inbound")).json() == [
        {
            "smsId": sms_id,
            "src": PHONE,
            "dst": "+4915735982222",
            "text": "Ja ✓",
            "receivedTs": "2026-03-01T12:00:01.500Z",
        }
    ]


async def test_sms_from_phones_are_the_account_s_own(service):
    await receive(service, "mine")
    await receive(service, "theirs", owner=2)
    assert await texts(service) == ["mine"]
    assert [sms["text"] for sms in (await service.get("/inbound", auth=basic("other"))).json()] == ["theirs"]


async def test_they_are_listed_newest_first_by_page_and_time(service):
    for day in range(4):
        await receive(service, f"{day}", at=day * DAY)
    await service.clock.advance(5 * DAY)
    assert await texts(service) == ["3", "2", "1", "0"]
    assert await texts(service, "offset=1&limit=2") == ["2", "1"]
    assert await texts(service, "fromTs=2026-03-02T12:00:00Z&toTs=2026-03-04T12:00:00Z") == ["2", "1"]
    assert await texts(service, "toTs=2026-03-02T12:00:00Z") == ["0"]
    await service.clock.advance(26 * DAY)
    assert await texts(service) == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("offset=-1", "offset"),
        ("limit=1001", "limit"),
        ("fromTs=yesterday", "fromTs"),
        ("fromTs=2026-03-02T12:00:00Z&toTs=2026-03-01T12:00:00Z", "fromTs"),
        ("fromTs=2026-01-01T12:00:00Z&toTs=2026-03-01T12:00:00Z", "fromTs"),
    ],
)
async def test_a_list_that_cannot_be_is_refused(service, query, field):
    reply = await service.get(f"/inbound?{query}")
    assert (reply.status, reply.fields) == (400, [field])


# The blocklist


async def test_a_number_is_blocked_read_and_unblocked(service):
    entry = {"dst": PHONE, "createdTs": "2026-03-01T12:00:00.000Z"}
    blocked = await put(service)
    assert (blocked.status, blocked.json()) == (200, entry)
    await service.clock.advance(60)
    assert (await put(service)).json() == entry
    assert (await service.get(f"/blocklist/{PHONE}")).json() == entry
    assert (await service.get("/blocklist")).json() == [entry]
    removed = await service.call("DELETE", f"/rest/v1/blocklist/{PHONE}")
    assert (removed.status, removed.json()) == (200, entry)
    assert (await service.get("/blocklist")).json() == []
    for method in ("GET", "DELETE"):
        reply = await service.call(method, f"/rest/v1/blocklist/{PHONE}")
        assert reply.status == 404
        assert PHONE not in reply.message


@pytest.mark.parametrize(
    "spelling",
    [
        *("0176%2012345678", "0176%2F12345678", "004917612345678", "4917612345678", "%2B49-176-12345678"),
        *("+49%20(0)176%2012345678", "tel:+4917612345678", "+4917612345678/"),
    ],
)
async def test_a_number_is_the_same_in_any_spelling(service, spelling):
    assert (await put(service, spelling)).json()["dst"] == PHONE
    assert (await service.get(f"/blocklist/{spelling}")).status == 200
    assert len((await service.get("/blocklist")).json()) == 1


@pytest.mark.parametrize("dst", ["hello", "12", "+49", "%2B", "%20", "%FF", "+4917612345678%20ext%205"])
async def test_what_is_no_number_is_refused(service, dst):
    for method in ("GET", "PUT", "DELETE"):
        reply = await service.call(method, f"/rest/v1/blocklist/{dst}")
        assert (reply.status, reply.fields) == (400, ["dst"])


async def test_a_national_number_needs_an_account_with_a_country(service):
    reply = await put(service, "017612345678", auth=basic("other"))
    assert (reply.status, reply.fields) == (400, ["dst"])
    assert "with its country code" in reply.message


async def test_a_blocklist_is_the_account_s_own(service):
    await put(service)
    assert (await service.get("/blocklist", auth=basic("other"))).json() == []
    assert (await service.get(f"/blocklist/{PHONE}", auth=basic("other"))).status == 404


async def test_the_blocklist_is_listed_by_page(service):
    for last in (3, 1, 2):
        await put(service, f"+4917612345{last}")
    listed = (await service.get("/blocklist?offset=1&limit=1")).json()
    assert [entry["dst"] for entry in listed] == ["+49176123452"]
    assert (await service.get("/blocklist?limit=1001")).fields == ["limit"]


@pytest.mark.parametrize("path", ["blocklist", "inbound"])
async def test_other_methods_are_told_what_there_is(service, path):
    reply = await service.call("POST", f"/rest/v1/{path}", {})
    assert (reply.status, reply.headers["allow"]) == (405, "GET")
    reply = await service.call("POST", f"/rest/v1/blocklist/{PHONE}", {})
    assert (reply.status, reply.headers["allow"]) == (405, "DELETE, GET, PUT")


async def test_sms_to_a_blocked_number_end_as_blocked_sent_before_or_after(service):
    tomorrow = "2026-03-02T12:00:00Z"
    before = (await service.send(a_job(jobPeriod=tomorrow))).json()["jobId"]
    other = (await service.send(a_job(dst="+4917612345679", jobPeriod=tomorrow))).json()["jobId"]
    await put(service)
    after_it = (await service.send(a_job(dst="0176 12345678", jobPeriod=tomorrow))).json()["jobId"]
    assert await statuses(service, before) == await statuses(service, after_it) == [("DONE", "BLOCKED")]
    assert await statuses(service, other) == [("OPEN", "")]
    (report,) = (await service.get(f"/sms?jobId={before}")).json()
    assert report["reason"] == "the number is on the account's blocklist"
    assert "finishedTs" in (await service.get(f"/jobs/{before}")).json()


async def test_stop_and_start_are_heard(service):
    await send(service.store, a_plan(a_planned_sms(PHONE)))
    (sms,), _ = await service.store.record_inbound("sandbox", [an_arrival("STOP", at=after(1))])
    assert sms.account == 1
    assert (await service.get(f"/blocklist/{PHONE}")).json()["createdTs"] == "2026-03-01T12:00:01.000Z"
    await receive(service, "Start", at=2)
    assert (await service.get("/blocklist")).json() == []
    await service.clock.advance(3)
    assert await texts(service) == ["Start", "STOP"]
