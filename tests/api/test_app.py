"""api/: from a request's bytes to its answer, without a socket."""

import asyncio
import base64

import msgspec
import pytest
import structlog

from heliograph.api import app as app_module
from heliograph.api import pages
from heliograph.api.app import Api
from heliograph.api.auth import Authenticator, hash_password
from heliograph.api.pages import COUNTS_FRESH_S
from heliograph.jobs.accounts import RateLimit
from heliograph.jobs.errors import OutcomeUnknown, Overloaded, StoreUnavailable
from heliograph.store.memory import MemoryStore
from heliograph.wire.operations import MAX_BODY_OCTETS
from tests.fakes.builders import an_account
from tests.fakes.clock import ManualClock
from tests.fakes.service import PASSWORD, Service, a_job, basic, in_real_time

JOBS = "/rest/v1/jobs"
UNKNOWN = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"


class Store(MemoryStore):
    """A store that can be made to fail."""

    failure: Exception | None = None
    is_away = False

    async def account(self, name):
        if self.is_away:
            raise StoreUnavailable("no answer")
        return await super().account(name)

    async def take_call(self, account, limit, now):
        if self.is_away:
            raise StoreUnavailable("no answer")
        return await super().take_call(account, limit, now)

    async def add_job(self, plan):
        if self.failure:
            raise self.failure
        return await super().add_job(plan)

    async def ready(self):
        if self.failure:
            raise self.failure

    async def job(self, account, job_id):
        if isinstance(self.failure, StoreUnavailable):
            raise self.failure
        return await super().job(account, job_id)

    async def unblock(self, account, dst):
        if isinstance(self.failure, StoreUnavailable):
            raise self.failure
        return await super().unblock(account, dst)

    async def counts(self, now):
        if isinstance(self.failure, StoreUnavailable):
            raise self.failure
        return await super().counts(now)


@pytest.fixture
async def service() -> Service:
    service = Service(Store(), ManualClock())
    await service.add_account()
    return service


# The five operations


async def test_a_job_is_sent_and_read_back_complete(service):
    sent = await service.send(a_job(src="Acme", statusRequested=True, customerRef="ref", validityMin=60))
    assert sent.status == 201
    job_id = sent.json()["jobId"]
    assert sent.headers["location"] == f"/rest/v1/jobs/{job_id}"
    report = (await service.get(f"/jobs/{job_id}")).json()
    assert report == {
        "jobId": job_id,
        "src": "Acme",
        "encoding": "STANDARD",
        "billcode": "",
        "statusRequested": True,
        "flash": False,
        "validityMin": 60,
        "customerRef": "ref",
        "qos": "NORMAL",
        "receiptTs": "2026-03-01T12:00:00.000Z",
        "recipientIds": [report["recipientIds"][0]],
    }
    sms = (await service.get(f"/sms?jobId={job_id}")).json()
    assert sms == [
        {
            "smsId": report["recipientIds"][0],
            "dst": "+4917612345678",
            "processStatus": "OPEN",
            "status": "",
            "customerRef": "+4917612345678",
            "reason": "",
        }
    ]


async def test_a_job_to_impossible_numbers_alone_is_finished_at_once(service):
    job_id = (await service.send(a_job(dst="no number"))).json()["jobId"]
    assert (await service.get(f"/jobs/{job_id}")).json()["finishedTs"] == "2026-03-01T12:00:00.000Z"
    (sms,) = (await service.get(f"/sms?jobId={job_id}")).json()
    assert (sms["dst"], sms["processStatus"], sms["status"]) == ("no number", "DONE", "INVALID_DST")


async def test_recipients_are_reported_in_the_order_of_the_request(service):
    numbers = [f"+4917612345{number}" for number in range(678, 688)]
    messages = [{"text": f"text {n}", "recipients": [{"dst": dst} for dst in numbers[n::2]]} for n in (0, 1)]
    job_id = (await service.send({"messages": messages})).json()["jobId"]
    sms = (await service.get(f"/sms?jobId={job_id}")).json()
    assert [each["dst"] for each in sms] == numbers[0::2] + numbers[1::2]
    assert [each["smsId"] for each in sms] == (await service.get(f"/jobs/{job_id}")).json()["recipientIds"]


@pytest.mark.parametrize("header", ["", " "])
async def test_an_empty_authorization_header_gives_no_credentials(service, header):
    assert (await service.get("/version", auth=header)).status == 200
    reply = await service.get("/jobs?jobIdsOnly=true", auth=header)
    assert (reply.status, "this needs an account" in reply.message) == (401, True)


async def test_the_version_is_told_without_credentials(service):
    reply = await service.get("/version", auth=None)
    assert reply.status == 200
    assert reply.json()["versionInfo"] == "heliograph 0.1.1"
    assert not any(name.startswith("ratelimit") for name in reply.headers)


async def test_answers_are_json(service):
    for path in ("/version", "/jobs?jobIdsOnly=true", "/nothing", "/jobs", "/openapi.json"):
        assert (await service.get(path)).headers["content-type"] == "application/json"


# Credentials


@pytest.mark.parametrize("path", ["/jobs?jobIdsOnly=true", f"/jobs/{UNKNOWN}", f"/sms?jobId={UNKNOWN}"])
@pytest.mark.parametrize(
    "auth",
    [
        None,
        basic(password="wrong"),
        basic("nobody"),
        basic("ACME"),
        "Bearer abc",
        "Basic",
        "Basic !!!",
        "Basic \xe9\xe9\xe9\xe9",
        "Basic YQ",  # a, and no colon
        "Basic " + base64.b64encode(b"acme:\xff").decode(),
        "",
    ],
)
async def test_without_the_right_credentials_it_is_401(service, path, auth):
    reply = await service.get(path, auth=auth)
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Basic ")
    assert reply.json()["code"] == 401


async def test_wrong_credentials_are_401_on_version_too(service):
    assert (await service.get("/version", auth=basic(password="wrong"))).status == 401
    assert (await service.get("/version", auth=basic())).status == 200


@pytest.mark.parametrize("password", ["pässwörd ÿ€", "???>>>~~~", "a:b:c", ""])
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
async def test_basic_tokens_are_read_in_either_alphabet_and_without_padding(service, password, alphabet, padding):
    account = await service.add_account("müller")
    await service.store.put_account(_with(account, password_hash=hash_password(password)))
    token = alphabet(f"müller:{password}".encode()).decode()
    if not padding:
        token = token.rstrip("=")
    for scheme in ("Basic", "basic", "BASIC"):
        assert (await service.get("/version", auth=f"{scheme} {token}")).status == 200


async def test_a_token_that_is_no_utf_8_is_read_as_latin_1(service):  # JavaScript's btoa, in the Node.js SDK
    account = await service.add_account("müller")
    await service.store.put_account(_with(account, password_hash=hash_password("geheim")))
    token = base64.b64encode("müller:geheim".encode("latin-1")).decode()
    assert (await service.get("/version", auth=f"Basic {token}")).status == 200


def _with(account, **changes):
    return msgspec.structs.replace(account, **changes)


async def test_a_disabled_account_is_401_within_a_second(service):
    account = await service.store.account("acme")
    assert (await service.get("/version")).status == 200
    await service.store.put_account(_with(account, disabled=True))
    await service.clock.advance(1.1)
    reply = await service.get("/version")
    assert reply.status == 401
    assert "disabled" in reply.message


async def test_an_old_password_is_refused_within_a_second_of_its_change(service):
    account = await service.store.account("acme")
    assert (await service.get("/version")).status == 200
    await service.store.put_account(_with(account, password_hash=hash_password("new")))
    await service.clock.advance(1.1)
    async with asyncio.timeout(60):
        assert (await service.get("/version")).status == 401
        assert (await service.get("/version", auth=basic(password="new"))).status == 200


async def test_a_new_account_and_a_new_password_hold_at_once_though_the_old_ones_were_just_asked_for(service):
    for name, password in (("new", "first"), ("acme", "second")):
        assert (await service.get("/version", auth=basic(name, password))).status == 401
    known = await service.store.account("acme")
    await service.store.put_account(an_account("new", password_hash=hash_password("first")))
    await service.store.put_account(_with(known, password_hash=hash_password("second")))
    for name, password in (("new", "first"), ("acme", "second")):
        assert (await service.get("/version", auth=basic(name, password))).status == 200


async def test_accounts_never_see_each_others_jobs(service):
    await service.add_account("other")
    job_id = (await service.send(a_job())).json()["jobId"]
    for path in (f"/jobs/{job_id}", f"/sms?jobId={job_id}"):
        assert (await service.get(path, auth=basic("other"))).status == 404
        assert (await service.get(path)).status == 200
    assert (await service.get("/jobs?jobIdsOnly=true", auth=basic("other"))).json() == []


async def test_wrong_passwords_slow_their_source_down_and_nobody_else(service):
    for _ in range(3):
        assert (await service.get("/version", auth=basic(password="wrong"))).status == 401
    async with asyncio.TaskGroup() as tasks:
        slowed = tasks.create_task(service.get("/version", auth=basic(password="wrong")))
        await in_real_time(0.1)
        assert not slowed.done()
        assert (await service.get("/version", source="192.0.2.2")).status == 200
        assert (await service.get("/version")).status == 200, "a password that is known is not slowed"
        await service.clock.advance(0.25)
    assert slowed.result().status == 401


async def test_many_wrong_passwords_at_once_from_one_source_are_turned_away(service):
    for _ in range(3):
        await service.get("/version", auth=basic(password="wrong"))
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(service.get("/version", auth=basic(password=f"wrong {n}"))) for n in range(20)]
        for _ in range(60):
            await in_real_time(0.02)
            await service.clock.advance(10)
            if all(call.done() for call in calls):
                break
    statuses = sorted(call.result().status for call in calls)
    assert statuses == [401] * 8 + [503] * 12
    assert all("retry-after" in call.result().headers for call in calls if call.result().status == 503)


async def test_a_client_that_opens_many_connections_at_once_is_checked_once(service):
    replies = await asyncio.gather(*(service.get("/version") for _ in range(50)))
    assert [reply.status for reply in replies] == [200] * 50


async def test_a_client_with_many_connections_is_not_turned_away_where_others_had_wrong_passwords(service):
    for _ in range(3):
        await service.get("/version", auth=basic(password="wrong"))
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(service.get("/version")) for _ in range(50)]
        for _ in range(60):
            await in_real_time(0.02)
            await service.clock.advance(1)
            if all(call.done() for call in calls):
                break
    assert {call.result().status for call in calls} == {200}


async def test_the_addresses_of_one_ipv6_customer_are_slowed_together(service):
    for n in range(3):
        await service.get("/version", auth=basic(password="wrong"), source=f"2001:db8::{n}")
    call = asyncio.ensure_future(service.get("/version", auth=basic(password="wrong"), source="2001:db8::ffff"))
    await in_real_time(0.1)
    assert not call.done()
    await service.clock.advance(0.25)
    assert (await call).status == 401


# Paths and methods


@pytest.mark.parametrize(
    "path", ["/", "/rest", "/rest/v1", "/rest/v1/nothing", "/rest/v2/jobs", "/jobs", "/rest/v1/jobs/a/b"]
)
async def test_what_is_not_there_is_404(service, path):
    for auth in (None, basic()):
        reply = await service.call("GET", path, auth=auth)
        assert reply.status == 404
        assert "/rest/v1/docs" in reply.message


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/rest/v1/jobs", "GET, POST"),
        ("HEAD", "/rest/v1/jobs", "GET, POST"),
        ("OPTIONS", "/rest/v1/jobs", "GET, POST"),
        ("POST", f"/rest/v1/jobs/{UNKNOWN}", "DELETE, GET"),
        ("POST", "/rest/v1/sms", "GET"),
        ("DELETE", "/rest/v1/version", "GET"),
        ("POST", "/rest/v1/docs", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_with_those_that_are_possible(service, method, path, allowed):
    for auth in (None, basic()):
        reply = await service.call(method, path, auth=auth)
        assert (reply.status, reply.headers["allow"]) == (405, allowed)
        assert reply.json()["code"] == 405


@pytest.mark.parametrize(
    "path", ["/rest/v1/jobs/?jobIdsOnly=true", "/rest/v1/jobs?jobIdsOnly=true&", "/rest/v1/version?"]
)
async def test_a_slash_a_question_mark_or_an_ampersand_at_the_end_changes_nothing(service, path):
    reply = await service.call("GET", path)
    assert reply.status == 200
    assert "heliograph-ignored" not in reply.headers


async def test_a_path_may_be_percent_encoded(service):
    job_id = (await service.send(a_job())).json()["jobId"]
    assert (await service.get(f"/jobs/{job_id.replace('.', '%2E')}")).status == 200
    assert (await service.get(f"/j%6Fbs/{job_id}/")).status == 200
    assert (await service.get(f"/jobs/..%2Fjobs%2F{job_id}")).status == 400


@pytest.mark.parametrize("job_id", ["J", "X." + "0" * 20, "J." + "0" * 17, "J." + "0" * 39, "J.%0A" + "0" * 20, "%FF"])
async def test_an_id_of_another_shape_is_400(service, job_id):
    for path in (f"/jobs/{job_id}", f"/sms?jobId={job_id}"):
        reply = await service.get(path)
        assert (reply.status, reply.fields) == (400, ["jobId"])


@pytest.mark.parametrize("job_id", [UNKNOWN, "J." + "0" * 18, "J." + "0" * 38, "J." + "é" * 10 + "%00" * 9])
async def test_an_unknown_id_is_404(service, job_id):
    for path in (f"/jobs/{job_id}", f"/sms?jobId={job_id}"):
        assert (await service.get(path)).status == 404


async def test_sms_without_a_filter_is_400(service):
    reply = await service.get("/sms")
    assert (reply.status, reply.fields) == (400, ["jobId"])


async def test_what_needs_no_credentials_answers_to_get_and_head(service):
    for path in ("/healthz", "/readyz", "/metrics", "/rest/v1/openapi.json", "/rest/v1/docs"):
        for method in ("GET", "HEAD"):
            assert (await service.call(method, path, auth=None)).status == 200


async def test_the_docs_forbid_a_browser_to_load_anything(service):
    reply = await service.get("/docs", auth=None)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_process_that_stops_or_has_no_database_is_not_ready(service):
    service.store.failure = StoreUnavailable("the disk is full")
    away = await service.call("GET", "/readyz")
    service.store.failure = None
    service.pages.stopping = True
    stopping = await service.call("GET", "/readyz")
    for reply, status in ((away, "database unavailable"), (stopping, "stopping")):
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert (reply.json()["code"], reply.json()["status"]) == (503, status)
        assert reply.message
    assert (await service.call("GET", "/healthz")).status == 200


async def test_whether_the_store_is_ready_is_asked_once_a_second_whoever_asks(service):
    asked = []
    failures = [None, StoreUnavailable("the disk is full"), None]

    async def ready():
        asked.append(service.clock.monotonic())
        await in_real_time(0)
        if failure := failures[len(asked) - 1]:
            raise failure

    service.store.ready = ready
    for count, status in ((1, 200), (2, 503), (3, 200)):
        for _ in range(2):
            replies = await asyncio.gather(*(service.call("GET", "/readyz", auth=None) for _ in range(50)))
            assert ([reply.status for reply in replies], len(asked)) == ([status] * 50, count)
        await service.clock.advance(1.1)
    service.pages.stopping = True
    assert (await service.call("GET", "/readyz")).json()["status"] == "stopping", "that is known without asking"


async def test_where_the_database_is_is_for_the_log_alone(service):
    service.store.failure = StoreUnavailable('can\'t reach db.internal:5432 as user "helio"')
    with structlog.testing.capture_logs() as logs:
        reply = await service.call("GET", "/readyz", auth=None)
    assert b"internal" not in reply.body
    assert b"helio" not in reply.body
    assert [(entry["event"], entry["error"]) for entry in logs] == [("api.not_ready", str(service.store.failure))]


# All that is at fault, and all that means nothing


STRICT = {"prefer": "handling=strict"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/sms?jobId=x&limit=-1", ["limit", "jobId"]),
        ("/sms?limit=-1", ["limit", "jobId"]),
        ("/sms?processStatus=lost&limit=-1", ["processStatus", "limit"]),
        ("/sms?jobId=x&fromTs=2026-06-01T00:00Z&toTs=2026-01-01T00:00Z", ["jobId", "fromTs"]),
        ("/jobs?fromTs=2026-01-01T00:00Z&toTs=2026-06-01T00:00Z", ["jobIdsOnly", "fromTs"]),
        ("/inbound?fromTs=2026-01-01T00:00Z&toTs=2026-06-01T00:00Z&offset=-1", ["offset", "fromTs"]),
        ("/jobs/J?zz=1", ["zz", "jobId"]),
        ("/blocklist/x?zz=1", ["zz", "dst"]),
        ("/version?zz=1", ["zz"]),
    ],
)
async def test_a_400_names_all_that_is_at_fault_in_query_and_path(service, path, fields):
    reply = await service.get(path, headers=STRICT)
    assert (reply.status, reply.fields) == (400, fields)


async def test_a_400_names_all_that_is_at_fault_in_query_headers_and_body(service):
    job = a_job(dst="", foo=1, validityMin=3)
    headers = {**STRICT, "idempotency-key": "a b"}
    reply = await service.call("POST", f"{JOBS}?zz=1", job, headers=headers)
    wrong = ["options.foo", "options.validityMin", "messages[0].recipients[0].dst"]
    assert (reply.status, reply.fields) == (400, ["zz", "Idempotency-Key", *wrong])
    assert "zz" in reply.message
    assert "4 more" in reply.message
    assert (await service.call("POST", f"{JOBS}/preview?zz=1", job, headers=STRICT)).fields == ["zz", *wrong]
    for path, body in (("webhooks", {"url": "x", "events": ["job.finished"]}), ("triggers/sms-finished", {"url": "x"})):
        reply = await service.call("POST", f"/rest/v1/{path}?zz=1", body, headers=STRICT)
        assert (reply.status, reply.fields) == (400, ["zz", "url"])


async def test_a_body_that_cannot_be_read_is_told_with_what_else_is_at_fault(service):
    reply = await service.send(b"[", headers={"idempotency-key": "a b"})
    assert (reply.status, reply.fields) == (400, ["Idempotency-Key"])
    assert "the body is not JSON" in reply.message


async def test_text_that_is_not_unicode_is_told_with_what_else_is_at_fault(service):
    job = msgspec.json.encode(a_job("TEXT", dst="", validityMin=3)).replace(b"TEXT", rb"\ud800")
    reply = await service.send(job)
    assert (reply.status, sorted(reply.fields)) == (
        400,
        ["messages[0].recipients[0].dst", "messages[0].text", "options.validityMin"],
    )


async def test_what_means_nothing_is_named_on_a_400_too(service):
    reply = await service.call("POST", f"{JOBS}?zz=1", {**a_job(validityMin=3), "foo": 1})
    assert (reply.status, reply.fields) == (400, ["options.validityMin"])
    assert reply.headers["heliograph-ignored"] == "zz, foo"
    reply = await service.call("POST", "/rest/v1/webhooks", {"url": "x", "foo": 1})
    assert (reply.status, reply.headers["heliograph-ignored"]) == (400, "foo")
    reply = await service.get("/jobs?foo=1")
    assert (reply.status, reply.headers["heliograph-ignored"]) == (400, "foo")


async def test_an_unknown_field_that_is_null_is_as_good_as_none(service):
    recipient = {"dst": "+4917612345678", "foo": None}
    job = {"foo": None, "options": {"foo": None}, "messages": [{"text": "a", "foo": None, "recipients": [recipient]}]}
    reply = await service.send(job, headers=STRICT)
    assert reply.status == 201
    assert "heliograph-ignored" not in (await service.send(job)).headers


# Bodies


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/json ;x=y",
        "",
    ],
)
async def test_json_may_be_announced_in_any_way(service, content_type):
    assert (await service.send(a_job(), headers={"content-type": content_type})).status == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"])
async def test_anything_else_is_415(service, content_type):
    reply = await service.send(a_job(), headers={"content-type": content_type})
    assert reply.status == 415
    assert "Content-Type: application/json" in reply.message


async def test_a_compressed_body_is_415(service):
    reply = await service.send(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (reply.status, reply.headers["accept-encoding"]) == (415, "identity")


async def test_a_body_may_have_8_mib(service):
    body = b'{"messages":[{"text":"a","recipients":[{"dst":"+4917612345678"}]}]}'
    assert (await service.send(body + b" " * (MAX_BODY_OCTETS - len(body)))).status == 201


@pytest.mark.parametrize(
    "call",
    [
        {"body": b" " * (MAX_BODY_OCTETS + 1)},
        {"body": None, "chunks": [b" " * 2**20] * 8 + [b" "]},
        {"body": b" ", "headers": {"content-length": str(MAX_BODY_OCTETS + 1), "expect": "100-continue"}},
        {"body": b" ", "headers": {"content-length": "9" * 30}},
    ],
    ids=["announced", "chunked", "announced by a client that waits", "announced, and far too large"],
)
async def test_a_larger_body_is_413(service, call):
    reply = await service.call("POST", JOBS, call.pop("body"), **call)
    assert reply.status == 413
    assert "8 MiB" in reply.message
    assert reply.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_408(service, monkeypatch):
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", 0.01)
    service.api, api = _slow_body(service.api), service.api
    reply = await service.send(a_job())
    assert (reply.status, reply.headers["connection"]) == (408, "close")
    assert api is not service.api


def _slow_body(api):
    async def slow(scope, receive, send):
        await api(scope, asyncio.Event().wait, send)

    return slow


async def test_an_invalid_request_names_every_field_at_fault(service):
    reply = await service.send(a_job(dst="", src="", validityMin=4))
    assert reply.status == 400
    assert reply.fields == ["options.src", "options.validityMin", "messages[0].recipients[0].dst"]
    assert reply.message.startswith("options.src ")
    assert all(set(error) == {"field", "message"} for error in reply.json()["errors"])


async def test_an_error_without_fields_has_no_errors(service):
    assert set((await service.send(b"{")).json()) == {"code", "message"}


async def test_a_lone_surrogate_is_400(service):
    reply = await service.send(rb'{"messages":[{"text":"\ud800","recipients":[{"dst":"+49"}]}], "\ud800": "\udfff"}')
    assert (reply.status, reply.fields[0]) == (400, "messages[0].text")


async def test_a_large_body_is_read_beside_the_others(service):
    recipients = [{"dst": "+4917612345678", "customerRef": "r" * 100, "blackoutPeriods": []}] * 3000
    reply = await service.send({"messages": [{"text": "a", "recipients": recipients}]})
    assert reply.status == 201


async def test_characters_that_are_to_be_refused_are_422_and_leave_nothing_behind(service):
    reply = await service.send(a_job("日本", invalidCharacters="REFUSE"))
    assert (reply.status, reply.fields) == (422, ["messages[0].text"])
    assert "日" not in reply.message
    assert (await service.get("/jobs?jobIdsOnly=true")).json() == []


# What is ignored


async def test_what_is_ignored_is_named_in_a_header(service):
    reply = await service.send({**a_job(vailidityMin=5), "foo": 1})
    assert reply.status == 201
    assert reply.headers["heliograph-ignored"] == "foo, options.vailidityMin"
    assert (await service.get("/jobs?jobIdsOnly=true&limits=5")).headers["heliograph-ignored"] == "limits"
    assert "heliograph-ignored" not in (await service.send(a_job())).headers


async def test_names_that_a_header_can_not_hold_are_percent_encoded(service):
    reply = await service.send({**a_job(), "a,b": 1, "é\r\nSet-Cookie: x": 2})
    assert reply.headers["heliograph-ignored"] == "a%2Cb, %C3%A9%0D%0ASet-Cookie: x"


async def test_a_long_list_of_ignored_names_is_cut(service):
    reply = await service.send({**a_job(), **{f"field{n}": 1 for n in range(1000)}})
    assert len(reply.headers["heliograph-ignored"]) < 2100
    assert reply.headers["heliograph-ignored"].endswith(", ...")


async def test_an_error_names_what_was_ignored_too(service):
    reply = await service.send({**a_job("日", invalidCharacters="REFUSE"), "foo": 1})
    assert (reply.status, reply.headers["heliograph-ignored"]) == (422, "foo")


@pytest.mark.parametrize(
    "prefer",
    [
        "handling=strict",
        "respond-async, handling=strict",
        "handling = strict;x=1",
        'Handling="strict"',
        "handling=strict, handling=lenient",
    ],
)
async def test_strict_handling_refuses_what_would_be_ignored(service, prefer):
    reply = await service.send({**a_job(vailidityMin=5)}, headers={"prefer": prefer})
    assert (reply.status, reply.fields) == (400, ["options.vailidityMin"])
    assert "did you mean validityMin?" in reply.message
    assert (await service.get("/version?x=1", headers={"prefer": prefer})).status == 400


async def test_what_is_ignored_twice_is_named_once(service):
    assert (await service.get("/version?x=1&y=2&x=3")).headers["heliograph-ignored"] == "x, y"


async def test_strict_handling_is_confirmed(service):
    reply = await service.send(a_job(), headers={"prefer": "handling=strict"})
    assert (reply.status, reply.headers["preference-applied"]) == (201, "handling=strict")


@pytest.mark.parametrize(
    "prefer", ["handling=lenient", "return=minimal", "strict", "handling=stricter", "handling=lenient, handling=strict"]
)
async def test_other_preferences_change_nothing(service, prefer):
    reply = await service.send({**a_job(), "foo": 1}, headers={"prefer": prefer})
    assert reply.status == 201
    assert "preference-applied" not in reply.headers


# Duplicates


async def test_an_equal_request_within_10_minutes_is_409_with_the_first_jobs_id(service):
    first = await service.send(a_job(duplicateDetection=True))
    await service.clock.advance(599)
    second = await service.send(
        b' { "messages": [ {"recipients":[{"dst":"+4917612345678"}],"text":"Hello"}],\n'
        b'"options":{"duplicateDetection":true}}'
    )
    assert second.status == 409
    assert first.json()["jobId"] in second.message
    await service.clock.advance(2)
    assert (await service.send(a_job(duplicateDetection=True))).status == 201


async def test_another_accounts_request_is_no_duplicate(service):
    await service.add_account("other")
    assert (await service.send(a_job(duplicateDetection=True))).status == 201
    assert (await service.send(a_job(duplicateDetection=True), auth=basic("other"))).status == 201


# Rate limit


@pytest.fixture
async def limited(service) -> Service:
    await service.add_account("limited", rate_limit=RateLimit(3, 60))
    return service


def rate(reply) -> tuple[str, ...]:
    return tuple(reply.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset"))


async def test_the_call_over_the_limit_is_429_until_the_first_is_a_minute_old(limited):
    auth = basic("limited")
    assert [rate(await limited.get("/version", auth=auth))[:2] for _ in range(3)] == [
        ("3", "2"),
        ("3", "1"),
        ("3", "0"),
    ]
    await limited.clock.advance(20)
    refused = await limited.get("/version", auth=auth)
    assert (refused.status, refused.headers["retry-after"]) == (429, "40")
    assert rate(refused) == ("3", "0", "40")
    assert "3 calls in 60 s" in refused.message
    await limited.clock.advance(39.9)
    assert (await limited.get("/version", auth=auth)).status == 429
    await limited.clock.advance(0.2)
    assert (await limited.get("/version", auth=auth)).status == 200


async def test_every_answer_to_a_limited_account_tells_what_is_left(limited):
    limited.store.failure = RuntimeError("boom")
    replies = [
        await limited.send(a_job(), auth=basic("limited")),
        await limited.send(b"{", auth=basic("limited")),
        await limited.send(a_job(), auth=basic("limited"), headers={"content-type": "text/plain"}),
    ]
    assert [(reply.status, rate(reply)[1]) for reply in replies] == [(500, "2"), (400, "1"), (415, "0")]
    await limited.clock.advance(61)
    for method, path, status in (
        ("GET", f"/rest/v1/jobs/{UNKNOWN}", 404),
        ("GET", "/rest/v1/nothing", 404),
        ("PUT", "/rest/v1/jobs", 405),
    ):
        reply = await limited.call(method, path, auth=basic("limited"))
        assert (reply.status, rate(reply)[0]) == (status, "3")


async def test_while_the_database_is_away_a_limited_account_is_told_what_was_left(limited):
    auth = basic("limited")
    assert rate(await limited.get("/version", auth=auth)) == ("3", "2", "60")
    limited.store.is_away = True
    at_once = await limited.get("/version", auth=auth)
    await limited.clock.advance(20)
    later = await limited.get("/version", auth=auth)
    await limited.clock.advance(41)
    last = await limited.get("/version", auth=auth)
    assert [(reply.status, rate(reply)) for reply in (at_once, later, last)] == [
        (503, ("3", "2", "60")),
        (503, ("3", "2", "40")),
        (503, ("3", "3", "0")),
    ]
    wrong = await limited.get("/version", auth=basic("limited", "wrong"))
    assert (wrong.status, "ratelimit-limit" in wrong.headers) == (503, False)


async def test_wrong_passwords_do_not_use_up_the_accounts_calls(limited):
    for _ in range(3):
        await limited.get("/version", auth=basic("limited", "wrong"), source="198.51.100.7")
    assert rate(await limited.get("/version", auth=basic("limited")))[1] == "2"


async def test_calls_of_one_account_do_not_use_up_anothers(limited):
    for _ in range(4):
        await limited.get("/version", auth=basic("limited"))
    assert (await limited.get("/version")).status == 200


async def test_an_account_without_a_limit_is_told_of_none(service):
    await service.add_account("free", rate_limit=None)
    reply = await service.get("/version", auth=basic("free"))
    assert not any(name.startswith("ratelimit") for name in reply.headers)


# When we fail


async def test_a_database_that_is_away_is_503(service):
    service.store.failure = StoreUnavailable("the disk is full")
    reply = await service.send(a_job())
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "nothing was accepted" in reply.message


async def test_what_only_asks_or_removes_is_told_of_it_in_its_own_words(service):
    service.store.failure = StoreUnavailable("the disk is full")
    reply = await service.get(f"/jobs/{UNKNOWN}")
    assert (reply.status, "accepted" in reply.message) == (503, False)
    reply = await service.call("DELETE", "/rest/v1/blocklist/+4917612345678")
    assert (reply.status, "nothing was changed" in reply.message) == (503, True)


async def test_a_process_that_only_dispatches_says_so(service):
    service.api = Api(
        service.handlers,
        Authenticator(service.store, service.clock),
        service.store,
        service.clock,
        service.metrics,
        {},
        serves_operations=False,
    )
    reply = await service.get("/jobs")
    assert (reply.status, "hasn't the role `api`" in reply.message, "docs" in reply.message) == (404, True, False)


async def test_metrics_go_on_without_the_store(service):
    service.store.failure = StoreUnavailable("the disk is full")
    reply = await service.call("GET", "/metrics", auth=None)
    assert (reply.status, b"heliograph_jobs_accepted" in reply.body) == (200, True)
    assert b"heliograph_sms_not_final" not in reply.body
    assert b"heliograph_webhook_events_waiting" not in reply.body
    service.store.failure = None
    await service.clock.advance(COUNTS_FRESH_S + 1)
    assert b"heliograph_sms_not_final" in (await service.call("GET", "/metrics", auth=None)).body


async def test_metrics_do_not_wait_for_a_store_that_hangs(service, monkeypatch):
    monkeypatch.setattr(pages, "COUNT_TIMEOUT_S", 0.01)
    answered = asyncio.Event()
    asked_count = 0
    counts = service.store.counts

    async def hanging(now):
        nonlocal asked_count
        asked_count += 1
        await answered.wait()
        return await counts(now)

    monkeypatch.setattr(service.store, "counts", hanging, raising=False)
    for _ in range(3):
        reply = await service.call("GET", "/metrics", auth=None)
        assert (reply.status, b"heliograph_sms_not_final" in reply.body) == (200, False)
        await service.clock.advance(COUNTS_FRESH_S + 1)
    answered.set()
    reply = await service.call("GET", "/metrics", auth=None)
    assert (b"heliograph_sms_not_final" in reply.body, asked_count) == (True, 1)


async def test_a_database_that_went_away_while_it_stored_something_is_503_and_no_lie(service):
    service.store.failure = OutcomeUnknown("the connection broke")
    reply = await service.send(a_job())
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "nothing was accepted" not in reply.message
    for remedy in ("not known", "GET /rest/v1/jobs", "same Idempotency-Key"):
        assert remedy in reply.message


async def test_an_overload_is_503(service):
    service.store.failure = Overloaded("too much waits to be written", 7)
    reply = await service.send(a_job())
    assert (reply.status, reply.headers["retry-after"]) == (503, "7")


async def test_a_defect_is_500_and_logged_by_its_place(service):
    service.store.failure = RuntimeError("boom with a text: the code is 4711")
    with structlog.testing.capture_logs() as logs:
        reply = await service.send(a_job("the code is 4711"))
    assert reply.status == 500
    assert "boom" not in reply.message
    (line,) = logs
    assert (line["event"], line["error"]) == ("api.failed", "RuntimeError")
    assert "in add_job" in line["where"]


async def test_neither_a_text_nor_a_password_is_in_a_log_or_an_error(service):
    secret = "the code is 4711"
    with structlog.testing.capture_logs() as logs:
        replies = [
            await service.send(a_job(secret)),
            await service.send(a_job(secret, invalidCharacters="REFUSE", validityMin=4)),
            await service.send(a_job(secret + "日", invalidCharacters="REFUSE")),
            await service.send({"messages": [{"text": [secret], "recipients": secret}]}),
            await service.send({"messages": secret}),
            await service.send(f'{{"messages": "{secret}'.encode()),
            await service.send(f'{{"text": "{secret}\\ud800"}}'.encode()),
            await service.send(secret.encode("utf-16")),
            await service.get("/version", auth=basic(password=secret)),
            await service.get("/version", auth=f"Basic {secret}"),
        ]
        service.store.failure = RuntimeError(f"can't bind parameter {secret!r}")
        replies.append(await service.send(a_job(secret)))
    told = [reply.body.decode() + repr(reply.headers) for reply in replies] + [repr(logs)]
    assert not any(secret in each or "4711" in each or PASSWORD in each for each in told)


async def test_requests_are_counted_by_operation_and_status(service):
    await service.send(a_job())
    await service.send(b"{")
    await service.get("/nothing")
    text = service.api._metrics.exposition().decode()
    assert 'heliograph_http_requests_total{code="201",operation="SendSmsJob"} 1.0' in text
    assert 'heliograph_http_requests_total{code="400",operation="SendSmsJob"} 1.0' in text
    assert 'heliograph_http_requests_total{code="404",operation="none"} 1.0' in text
