"""A whole service and a customer: request in, SMS out through the sandbox, statuses back."""

import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from heliograph.clock import SystemClock
from heliograph.jobs.accounts import RateLimit
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.sqlite.calls import KEEP_AFTER_S
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, Running, a_job, password_hash, running_server

FAST_SANDBOX = """
[[carriers]]
name = "sandbox"
kind = "sandbox"
delay = 0.05
retry = [0.05, 0.05, 0.05]
"""
LONGEST_WAIT_S = 60
CLOCK = SystemClock()


def customer(url: str, name: str = "acme", **keywords: Any) -> httpx2.Client:
    return httpx2.Client(base_url=f"{url}/rest/v1", auth=(name, PASSWORD), trust_env=False, timeout=10, **keywords)


def sent(client: httpx2.Client, request: object) -> str:
    reply = client.post("/jobs", json=request)
    assert reply.status_code == 201, reply.text
    return reply.json()["jobId"]


def statuses(client: httpx2.Client, job_id: str) -> list[tuple[str, str]]:
    reports = client.get("/sms", params={"jobId": job_id}).json()
    return [(report["processStatus"], report["status"]) for report in reports]


def awaited(client: httpx2.Client, job_id: str, expected: list[tuple[str, str]]) -> None:
    """Poll until the SMS stand as expected."""
    deadline = CLOCK.monotonic() + LONGEST_WAIT_S
    while (found := statuses(client, job_id)) != expected:
        assert CLOCK.monotonic() < deadline, f"{found} has not become {expected}"
        time.sleep(0.02)


# The sandbox

OUTCOMES = {
    "+4917612345678": ("DONE", "SUC_FIN"),
    "+4917612340001": ("DONE", "FAILED_FIN"),
    "+4917612340002": ("DONE", "TIMEOUT"),
    "+4917612340003": ("DONE", "NOT_ACC_FIN"),
    "+4917612340004": ("DONE", "CON_ERR"),
    "+4917612340005": ("RUNNING", ""),
    "+4917612340006": ("DONE", "SUC_FIN"),
    "no number": ("DONE", "INVALID_DST"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Generator[Running]:
    with running_server(tmp_path_factory.mktemp("server"), config=FAST_SANDBOX) as running:
        yield running


@pytest.fixture
def client(server) -> Generator[httpx2.Client]:
    with customer(server.url) as client:
        yield client


def to_all(**options: object) -> dict[str, Any]:
    return {**a_job(**options), "messages": [{"text": "Hello", "recipients": [{"dst": dst} for dst in OUTCOMES]}]}


def test_every_outcome_of_the_sandbox_is_reported(client):
    job_id = sent(client, to_all(statusRequested=True))
    awaited(client, job_id, list(OUTCOMES.values()))
    reports = client.get("/sms", params={"jobId": job_id}).json()
    assert [report["dst"] for report in reports] == list(OUTCOMES)
    for report in reports:
        assert ("finishedTs" in report) == (report["processStatus"] == "DONE")
        assert ("sentTs" in report) == (report["status"] in ("SUC_FIN", "FAILED_FIN", "TIMEOUT", ""))
    assert reports[0]["reason"] == ("message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)")
    assert reports[3]["reason"].startswith("command_status:")


def test_a_job_is_open_until_its_last_sms_is_final(client):
    job_id = sent(client, to_all(statusRequested=True))
    awaited(client, job_id, list(OUTCOMES.values()))
    assert "finishedTs" not in client.get(f"/jobs/{job_id}").json()
    assert {"jobId": job_id} in client.get("/jobs", params={"jobIdsOnly": True, "open": True}).json()


def test_without_a_receipt_asked_for_what_the_carrier_took_is_done(client):
    job_id = sent(client, to_all())
    took = ("DONE", "SUC_ACC")
    expected = [took, took, took, ("DONE", "NOT_ACC_FIN"), ("DONE", "CON_ERR"), took, took, ("DONE", "INVALID_DST")]
    awaited(client, job_id, expected)
    report = client.get(f"/jobs/{job_id}").json()
    assert report["finishedTs"] >= report["receiptTs"]
    assert {"jobId": job_id} not in client.get("/jobs", params={"jobIdsOnly": True, "open": True}).json()


def test_a_job_for_later_waits(client):
    job_id = sent(client, a_job(jobPeriod="2099-01-01T00:00Z"))
    assert statuses(client, job_id) == [("OPEN", "")]


def test_a_long_text_travels_in_several_parts_and_is_one_sms(client):
    job_id = sent(client, a_job("Grüße aus Österreich, 日本 und Ελλάδα! " * 20, statusRequested=True))
    awaited(client, job_id, [("DONE", "SUC_FIN")])
    assert len(client.get(f"/jobs/{job_id}").json()["recipientIds"]) == 1


def test_a_job_of_3000_recipients_is_taken_and_finished(client):
    numbers = [f"+491761{number:06}9" for number in range(3000)]
    job_id = sent(client, {"messages": [{"text": "Hello", "recipients": [{"dst": dst} for dst in numbers]}]})
    awaited(client, job_id, [("DONE", "SUC_ACC")] * 3000)


def test_of_two_equal_requests_at_the_same_moment_one_wins(server, client):
    request = a_job("once", duplicateDetection=True)
    with ThreadPoolExecutor(8) as customers:
        replies = list(customers.map(lambda _: client.post("/jobs", json=request), range(8)))
    (first,) = [reply for reply in replies if reply.status_code == 201]
    assert sorted(reply.status_code for reply in replies) == [201] + [409] * 7
    assert all(first.json()["jobId"] in reply.json()["message"] for reply in replies if reply.status_code == 409)


def test_pages_and_metrics_are_there(server):
    with httpx2.Client(base_url=server.url, trust_env=False) as anybody:
        assert anybody.get("/healthz").json() == {"status": "ok"}
        assert anybody.get("/readyz").status_code == 200
        assert "heliograph_jobs_accepted_total" in anybody.get("/metrics").text
        assert anybody.get("/rest/v1/docs").text.startswith("<!doctype html>")
        assert anybody.get("/rest/v1/openapi.json").json()["openapi"] == "3.1.0"


def test_a_limited_account_gets_its_100_calls_and_no_more(tmp_path):
    with (
        running_server(tmp_path, an_account(password_hash=password_hash(), rate_limit=RateLimit(100, 60))) as server,
        customer(server.url) as client,
    ):
        replies = [client.get("/jobs", params={"jobIdsOnly": True}) for _ in range(102)]
    assert [reply.status_code for reply in replies] == [200] * 100 + [429] * 2
    assert 1 <= int(replies[-1].headers["Retry-After"]) <= 60


def test_the_service_speaks_tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    settings = {"HELIOGRAPH_SERVER_TLS_CERTIFICATE": str(chain), "HELIOGRAPH_SERVER_TLS_KEY": str(key)}
    with running_server(tmp_path, environ=settings) as server, customer(server.url, verify=trusting) as client:
        assert server.url.startswith("https://")
        assert client.get("/version").status_code == 200
        assert sent(client, a_job())


# Stopping, and starting again


def test_jobs_survive_a_restart(tmp_path):
    with running_server(tmp_path, config=FAST_SANDBOX) as server, customer(server.url) as client:
        job_id = sent(client, a_job(statusRequested=True))
        later = sent(client, a_job(jobPeriod="2099-01-01T00:00Z", customerRef="later"))
    with running_server(tmp_path, config=FAST_SANDBOX) as server, customer(server.url) as client:
        awaited(client, job_id, [("DONE", "SUC_FIN")])
        assert client.get(f"/jobs/{later}").json()["customerRef"] == "later"
        assert statuses(client, later) == [("OPEN", "")]


@pytest.mark.slow
def test_sms_of_a_carrier_that_was_renamed_say_so(tmp_path):
    renamed = FAST_SANDBOX.replace('"sandbox"', '"old"', 1)
    accepting = f'[server]\nroles = ["api"]\n{renamed}'
    with running_server(tmp_path, config=accepting) as server, customer(server.url) as client:
        job_id = sent(client, a_job())
    with running_server(tmp_path, config=FAST_SANDBOX) as server, customer(server.url) as client:
        deadline = CLOCK.monotonic() + 60
        while not (report := client.get("/sms", params={"jobId": job_id}).json()[0])["reason"]:
            assert CLOCK.monotonic() < deadline
            time.sleep(0.1)
        assert (report["processStatus"], report["reason"]) == ("OPEN", "no carrier old is configured")


def test_two_processes_on_one_database_are_refused(tmp_path):
    with running_server(tmp_path) as server:
        with pytest.raises(StoreUnavailable), running_server(tmp_path):
            pass
        with customer(server.url) as client:
            assert sent(client, a_job()), "the first is not disturbed"


@contextmanager
def process(directory: Path, server: str = "") -> Generator[tuple[subprocess.Popen[str], str]]:
    """`heliograph serve` as an operator runs it, and its URL. server: more of its settings."""
    command = [sys.executable, "-m", "heliograph", "serve", "--listen", "127.0.0.1:0", "--config", "heliograph.toml"]
    (directory / "heliograph.toml").write_text(f'[server]\nlog_format = "json"\n{server}\n{FAST_SANDBOX}', "utf-8")
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        try:
            for line in program.stderr:
                if '"server.started"' in line:
                    break
            yield program, line.partition('"url": "')[2].partition('"')[0]
        finally:
            program.kill()


def account(directory: Path, *flags: str, rate_limit: str = "none") -> None:
    command = [sys.executable, "-m", "heliograph", "account", "add", "acme", "--password-stdin"]
    subprocess.run(
        [*command, "--rate-limit", rate_limit, *flags],
        cwd=directory,
        input=PASSWORD,
        text=True,
        check=True,
        capture_output=True,
    )


def test_sigterm_drains_and_stops(tmp_path):
    account(tmp_path)
    with process(tmp_path) as (program, url):
        with customer(url) as client:
            job_id = sent(client, to_all(statusRequested=True))
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
        log = program.stderr.read()
        assert "server.stopped" in log
        assert "server.unanswered" not in log
    with process(tmp_path) as (_, url), customer(url) as client:
        awaited(client, job_id, list(OUTCOMES.values()))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_rate_limit_holds_over_a_restart(tmp_path, how):
    account(tmp_path, rate_limit="5/60s")
    with process(tmp_path) as (program, url), customer(url) as client:
        assert [client.get("/blocklist").status_code for _ in range(6)] == [200] * 5 + [429]
        if how is signal.SIGKILL:
            time.sleep(KEEP_AFTER_S + 3)  # A kill forgets the last second.
        program.send_signal(how)
        program.wait(20)
    with process(tmp_path) as (_, url), customer(url) as client:
        reply = client.get("/blocklist")
        assert (reply.status_code, reply.headers["RateLimit-Remaining"]) == (429, "0")
        assert 0 < int(reply.headers["Retry-After"]) <= 60


def test_a_load_balancer_has_time_to_notice_that_the_service_stops(tmp_path):
    account(tmp_path)
    with process(tmp_path, "shutdown_delay = 60") as (program, url), customer(url) as client:
        program.send_signal(signal.SIGTERM)
        deadline = CLOCK.monotonic() + LONGEST_WAIT_S
        while httpx2.get(f"{url}/readyz", trust_env=False).status_code != 503:
            assert CLOCK.monotonic() < deadline, "it doesn't say that it stops"
        awaited(client, sent(client, a_job("goes on")), [("DONE", "SUC_ACC")])
        assert httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0, "the second time it doesn't wait"


def test_what_was_accepted_survives_a_kill(tmp_path):
    account(tmp_path)
    with process(tmp_path) as (program, url), customer(url) as client:
        accepted = [sent(client, a_job(f"text {number}", statusRequested=True)) for number in range(50)]
        program.kill()
        program.wait(10)
    with process(tmp_path) as (_, url), customer(url) as client:
        for job_id in accepted:
            assert client.get(f"/jobs/{job_id}").status_code == 200
        assert {job["jobId"] for job in client.get("/jobs", params={"jobIdsOnly": True}).json()} == set(accepted)


def test_no_text_and_no_password_is_in_what_the_service_writes(tmp_path):
    account(tmp_path)
    secret = "the code is 4711"
    with process(tmp_path) as (program, url):
        with customer(url) as client:
            awaited(client, sent(client, a_job(secret)), [("DONE", "SUC_ACC")])
            assert client.post("/jobs", json=a_job(secret, validityMin=1)).status_code == 400
            assert httpx2.get(f"{url}/rest/v1/version", auth=("acme", secret), trust_env=False).status_code == 401
        program.send_signal(signal.SIGTERM)
        program.wait(20)
        written = program.stderr.read() + program.stdout.read()
    assert secret not in written
    assert PASSWORD not in written
