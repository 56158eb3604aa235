"""Cancelling, previews and idempotency keys, with a whole service and its sandbox."""

from collections.abc import Generator

import httpx2
import pytest

from tests.fakes.service import a_job, running_server
from tests.journeys.test_service import CLOCK, LONGEST_WAIT_S, awaited, customer, sent, statuses

SLOW_RECEIPTS = """
[[carriers]]
name = "sandbox"
kind = "sandbox"
delay = 1.0
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Generator[httpx2.Client]:
    with (
        running_server(tmp_path_factory.mktemp("server"), config=SLOW_RECEIPTS) as server,
        customer(server.url) as client,
    ):
        yield client


def test_a_scheduled_job_is_cancelled_before_it_goes_out(client):
    job_id = sent(client, a_job(jobPeriod="2100-01-01T00:00Z"))
    report = client.delete(f"/jobs/{job_id}")
    assert report.status_code == 200
    assert report.json()["finishedTs"]
    assert statuses(client, job_id) == [("CANCELED", "")]
    assert client.delete(f"/jobs/{job_id}").json() == report.json()
    assert {"jobId": job_id} not in client.get("/jobs", params={"jobIdsOnly": True, "open": True}).json()


def test_the_receipt_of_a_killed_sms_is_told_in_its_reason(client):
    job_id = sent(client, a_job(statusRequested=True))
    awaited(client, job_id, [("RUNNING", "")])
    client.delete(f"/jobs/{job_id}")
    (before,) = client.get("/sms", params={"jobId": job_id}).json()
    assert (before["processStatus"], before["status"], before["reason"]) == ("KILL", "", "")
    deadline = CLOCK.monotonic() + LONGEST_WAIT_S
    while not (after := client.get("/sms", params={"jobId": job_id}).json()[0])["reason"]:
        assert CLOCK.monotonic() < deadline, "no receipt was told"
    assert after["reason"].startswith("message_state:DELIVERED")
    assert {**after, "reason": ""} == before


def test_a_request_sent_again_with_its_key_makes_no_second_job(client):
    headers = {"Idempotency-Key": "journey"}
    replies = [client.post("/jobs", json=a_job("once"), headers=headers) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [201] * 3
    assert len({reply.json()["jobId"] for reply in replies}) == 1
    assert len({reply.headers["location"] for reply in replies}) == 1
    assert client.post("/jobs", json=a_job("twice"), headers=headers).status_code == 409


def test_sms_are_found_by_what_is_known_of_them(client):
    job_id = sent(client, a_job(dst="+4917612349999", billcode="journey"))
    awaited(client, job_id, [("DONE", "SUC_ACC")])
    for query in ({"dst": "0049 176 12349999"}, {"billcode": "journey"}, {"status": "suc_acc", "billcode": "journey"}):
        reports = client.get("/sms", params=query).json()
        assert reports == client.get("/sms", params={"jobId": job_id}).json()


def test_a_preview_of_thousands_is_answered_and_nothing_is_sent(client):
    recipients = [{"dst": f"+49176{place:07d}"} for place in range(3000)]
    before = client.get("/jobs", params={"jobIdsOnly": True}).json()
    shown = client.post("/jobs/preview", json={"messages": [{"text": "Hello", "recipients": recipients}]}).json()
    assert [each["dst"] for each in shown["messages"][0]["recipients"]] == [each["dst"] for each in recipients]
    assert {each["carrier"] for each in shown["messages"][0]["recipients"]} == {"sandbox"}
    assert client.get("/jobs", params={"jobIdsOnly": True}).json() == before
