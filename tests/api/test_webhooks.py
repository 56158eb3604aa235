"""/webhooks and /triggers (contract, section 2)."""

import pytest

from heliograph.flow import webhooks as flow
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.webhooks import MAX_WEBHOOKS
from heliograph.store.interface import EventGivenUp, WebhookGone
from heliograph.store.memory import MemoryStore
from heliograph.wire.operations import REPLAY_WEBHOOK
from tests.fakes.builders import after
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job, basic

URL = "https://example.com/webhooks/sms"
FLOW = "https://prod-12.westeurope.logic.azure.com/workflows/a1b2/triggers/manual/run?sig=hunter2"


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None)
    await service.add_account("other", rate_limit=None)
    return service


async def subscribe(service: Service, *events: str, url: str = URL, **keywords):
    body = {"url": url, "events": events or ["sms.finished"]}
    return await service.call("POST", "/rest/v1/webhooks", body, **keywords)


async def trigger(service: Service, kind: str = "sms-finished", **keywords):
    return await service.call("POST", f"/rest/v1/triggers/{kind}", {"url": FLOW}, **keywords)


async def a_failure(service: Service) -> str:
    """A webhook with one event that was given up; its id."""
    webhook = (await subscribe(service)).json()["id"]
    await service.send(a_job(dst="12"))
    (due,) = await service.store.lease_events(10, 10, {}, after(60), after(0))
    await service.store.settle_events([EventGivenUp(due.number, due.leased_until, 10, "it answered 500", after(9))])
    return webhook


async def test_a_webhook_is_made_listed_and_removed(service):
    made = await subscribe(service, "sms.finished", "job.finished", headers={"host": "sms.example.com"})
    assert made.status == 201
    webhook = made.json()
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert webhook == {
        "id": webhook["id"],
        "url": URL,
        "events": ["sms.finished", "job.finished"],
        "createdTs": "2026-03-01T12:00:00.000Z",
    }
    assert made.headers["location"] == f"http://sms.example.com/rest/v1/webhooks/{webhook['id']}"
    assert (await service.get("/webhooks")).json() == [webhook]
    removed = await service.call("DELETE", f"/rest/v1/webhooks/{webhook['id']}")
    assert (removed.status, removed.json()) == (200, webhook)
    assert (await service.get("/webhooks")).json() == []
    assert (await service.call("DELETE", f"/rest/v1/webhooks/{webhook['id']}")).status == 404


async def test_secrets_differ(service):
    secrets = {(await subscribe(service)).json()["secret"] for _ in range(3)}
    assert len(secrets) == 3


async def test_webhooks_are_the_account_s_own(service):
    webhook = (await subscribe(service)).json()["id"]
    other = {"auth": basic("other")}
    assert (await service.get("/webhooks", **other)).json() == []
    for method, path in (("DELETE", ""), ("GET", "/failures"), ("POST", "/replay")):
        assert (await service.call(method, f"/rest/v1/webhooks/{webhook}{path}", **other)).status == 404
    assert len((await service.get("/webhooks")).json()) == 1


@pytest.mark.parametrize("url", ["http://example.com/", "https://127.0.0.1/", "https://u:hunter2@example.com/"])
async def test_a_url_that_cannot_be_is_refused_and_not_repeated(service, url):
    reply = await subscribe(service, url=url)
    assert (reply.status, reply.fields) == (400, ["url"])
    assert "hunter2" not in reply.message
    assert (await service.get("/webhooks")).json() == []


async def test_an_account_can_have_so_many_and_no_more(service):
    for _ in range(MAX_WEBHOOKS):
        assert (await subscribe(service)).status == 201
    reply = await subscribe(service)
    assert reply.status == 409
    assert f"{MAX_WEBHOOKS} webhooks" in reply.message
    assert (await subscribe(service, auth=basic("other"))).status == 201


async def test_credentials_are_needed_for_all_but_a_trigger_s_end(service):
    webhook = (await subscribe(service)).json()["id"]
    for method, path in (
        ("POST", "webhooks"),
        ("GET", "webhooks"),
        ("DELETE", f"webhooks/{webhook}"),
        ("GET", f"webhooks/{webhook}/failures"),
        ("POST", f"webhooks/{webhook}/replay"),
        ("POST", "triggers/sms-finished"),
    ):
        assert (await service.call(method, f"/rest/v1/{path}", auth=None)).status == 401


async def test_what_means_nothing_is_named(service):
    body = {"url": URL, "events": ["sms.finished"], "Secret": "x"}
    reply = await service.call("POST", "/rest/v1/webhooks", body)
    assert reply.headers["heliograph-ignored"] == "Secret"
    strict = await service.call("POST", "/rest/v1/webhooks", body, headers={"prefer": "handling=strict"})
    assert (strict.status, strict.fields) == (400, ["Secret"])


# Triggers


@pytest.mark.parametrize("kind", ["sms-finished", "job-finished", "sms-received"])
async def test_a_flow_subscribes_and_unsubscribes_without_credentials(service, kind):
    made = await trigger(service, kind, headers={"host": "10.0.0.5:8480", "x-forwarded-proto": "https",
                                                 "x-forwarded-host": "sms.example.com"})  # fmt: skip
    assert made.status == 201
    assert made.json()["events"] == [kind.replace("-", ".")]
    origin, path = made.headers["location"].split("/rest/v1", 1)
    assert origin == "https://sms.example.com"
    for removed in (True, False):
        reply = await service.call("DELETE", f"/rest/v1{path}", auth=None)
        assert (reply.status, reply.json()) == (200, {"removed": removed})
    assert (await service.get("/webhooks")).json() == []


@pytest.mark.parametrize("auth", [basic(), basic("other"), basic("acme", "changed since"), "Bearer x"])
async def test_credentials_beside_the_token_are_not_looked_at(service, auth):
    path = (await trigger(service)).headers["location"]
    reply = await service.call("DELETE", path[path.index("/rest") :], auth=auth)
    assert (reply.status, reply.json()) == (200, {"removed": True})


async def test_a_trigger_s_token_is_shown_once_and_its_url_never(service):
    made = await trigger(service)
    token = made.headers["location"].rpartition("/")[2]
    assert len(token) >= 20
    (listed,) = (await service.get("/webhooks")).json()
    assert listed["url"] == "https://prod-12.westeurope.logic.azure.com/…"
    assert token not in str(listed)
    assert listed == made.json()


async def test_a_trigger_is_ended_with_credentials_by_its_id_and_not_by_its_id_alone(service):
    webhook = (await trigger(service)).json()["id"]
    reply = await service.call("DELETE", f"/rest/v1/triggers/{webhook}", auth=None)
    assert reply.json() == {"removed": False}
    assert (await service.call("DELETE", f"/rest/v1/webhooks/{webhook}")).status == 200


async def test_an_origin_that_cannot_be_is_left_out_of_the_location(service):
    for headers in ({"host": "evil.example/x"}, {"host": "a b"}, {}, {"host": "x", "x-forwarded-proto": "gopher"}):
        location = (await trigger(service, headers=headers)).headers["location"]
        assert location.startswith("/rest/v1/triggers/")


# Failures


async def test_failures_are_listed_and_replayed(service):
    webhook = await a_failure(service)
    (failure,) = (await service.get(f"/webhooks/{webhook}/failures")).json()
    (job,) = (await service.get("/jobs?jobIdsOnly=false")).json()
    assert failure.pop("id").startswith("evt_")
    assert failure == {
        "type": "sms.finished",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "subjectId": job["recipientIds"][0],
        "attempts": 10,
        "reason": "it answered 500",
        "failedTs": "2026-03-01T12:00:09.000Z",
    }
    assert (await service.get(f"/webhooks/{webhook}/failures?offset=1")).json() == []
    assert (await service.get(f"/webhooks/{webhook}/failures?limit=1001")).fields == ["limit"]
    for replayed in (1, 0):
        reply = await service.call("POST", f"/rest/v1/webhooks/{webhook}/replay")
        assert (reply.status, reply.json()) == (200, {"id": webhook, "replayed": replayed})
    assert (await service.get(f"/webhooks/{webhook}/failures")).json() == []
    assert len(await service.store.lease_events(10, 10, {}, after(60), after(0))) == 1


async def test_one_call_replays_so_many_failures_and_says_how_many(service, monkeypatch):
    webhook = await a_failure(service)
    left = 2500

    async def replay_events(account, webhook, limit, now):
        nonlocal left
        replayed = min(left, limit)
        left -= replayed
        return replayed

    service.store.replay_events = replay_events
    monkeypatch.setattr(flow, "REPLAY_STEPS", 2)
    for replayed in (2000, 500, 0):
        reply = await service.call("POST", f"/rest/v1/webhooks/{webhook}/replay")
        assert (reply.status, reply.json()["replayed"]) == (200, replayed)


async def test_what_the_description_says_of_how_many_are_replayed_is_so():
    assert f" {flow.REPLAYED_AT_ONCE * flow.REPLAY_STEPS} at most" in REPLAY_WEBHOOK.description


async def test_a_disabled_webhook_says_so(service):
    webhook = (await subscribe(service)).json()["id"]
    (kept,) = await service.store.webhooks(AccountId(1))
    await service.store.settle_events([WebhookGone(kept.id, after(5))])
    assert (await service.get("/webhooks")).json()[0]["disabledTs"] == "2026-03-01T12:00:05.000Z"
    await service.call("POST", f"/rest/v1/webhooks/{webhook}/replay")
    assert "disabledTs" not in (await service.get("/webhooks")).json()[0]


@pytest.mark.parametrize("path", ["failures", "replay"])
async def test_a_webhook_that_is_not_there_is_404(service, path):
    method = "GET" if path == "failures" else "POST"
    assert (await service.call(method, f"/rest/v1/webhooks/W.x/{path}")).status == 404
