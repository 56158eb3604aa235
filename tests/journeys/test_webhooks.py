"""Webhooks, whole: a job through a real server, its events over sockets, checked by somebody else's library."""

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
import standardwebhooks

from tests.fakes.builders import an_account
from tests.fakes.service import add_accounts, basic, password_hash, running_server

DEADLINE_S = 60
CONFIG = """
    [webhooks]
    allow_private = true
    timeout = 2
    retry = [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
"""


class Receiver:
    """Answers each POST with `status`; keeps those it answered with 204, verified once `secret` is known."""

    def __init__(self) -> None:
        self.status = 204
        self.posts: list[tuple[dict, bytes]] = []
        self.attempt_count = 0
        self.port = 0

    def events(self, secret: str) -> list[dict]:
        verifier = standardwebhooks.Webhook(secret)
        return [verifier.verify(body, headers) for headers, body in self.posts]


@contextmanager
def receiving(port: int = 0):
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.attempt_count += 1
            if receiver.status == 204:
                receiver.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def call(url: str, method: str, path: str, body: object = None, *, auth: bool = True):
    headers = {"Content-Type": "application/json"} | ({"Authorization": basic()} if auth else {})
    octets = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{url}/rest/v1{path}", octets, headers, method=method), timeout=DEADLINE_S) as answer:
        return json.load(answer), answer.headers


def a_job(*dsts: str) -> dict:
    return {"messages": [{"text": "Hello", "recipients": [{"dst": dst} for dst in dsts]}]}


def until(condition):
    """What a condition says once it says anything."""
    for _ in range(20 * DEADLINE_S):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def untold(database) -> int:
    """How many events are yet to be told to somebody."""
    with closing(sqlite3.connect(database)) as file:
        return file.execute("SELECT count(*) FROM event").fetchone()[0]


def test_a_job_is_told_to_its_end(tmp_path):
    with receiving() as receiver, running_server(tmp_path, config=CONFIG) as server:
        url = f"http://127.0.0.1:{receiver.port}/hook?token=x"
        webhook, _ = call(server.url, "POST", "/webhooks", {"url": url, "events": ["sms.finished", "job.finished"]})
        job, _ = call(server.url, "POST", "/jobs", a_job("+4917612345678", "+4917612340003", "12"))
        until(lambda: len(receiver.posts) == 4)
        events = receiver.events(webhook["secret"])
        assert [event["type"] for event in events[-1:]] == ["job.finished"]
        statuses = {event["data"]["dst"]: event["data"]["status"] for event in events[:-1]}
        assert statuses == {"+4917612345678": "SUC_ACC", "+4917612340003": "NOT_ACC_FIN", "12": "INVALID_DST"}
        reports, _ = call(server.url, "GET", f"/sms?jobId={job['jobId']}")
        told = {event["data"].pop("smsId"): event["data"] for event in events[:-1]}
        assert told == {report.pop("smsId"): {**report, "jobId": job["jobId"]} for report in reports}
        assert events[-1]["data"] == call(server.url, "GET", f"/jobs/{job['jobId']}")[0]


def test_a_flow_is_told_until_it_unsubscribes(tmp_path):
    with receiving() as receiver, running_server(tmp_path, config=CONFIG) as server:
        flow = {"url": f"http://127.0.0.1:{receiver.port}/flow"}
        _, headers = call(server.url, "POST", "/triggers/job-finished", flow)
        location = headers["Location"]
        assert location.startswith(f"{server.url}/rest/v1/triggers/")
        call(server.url, "POST", "/jobs", a_job("12"))
        until(lambda: receiver.posts)
        for removed in (True, False):
            answer, _ = call(server.url, "DELETE", location.partition("/rest/v1")[2], auth=False)
            assert answer == {"removed": removed}
        with receiving() as another:
            url = f"http://127.0.0.1:{another.port}/"
            call(server.url, "POST", "/webhooks", {"url": url, "events": ["job.finished"]})
            call(server.url, "POST", "/jobs", a_job("12"))
            until(lambda: another.posts and not untold(server.database))
        assert [json.loads(body)["type"] for _, body in receiver.posts] == ["job.finished"]


def test_private_addresses_are_not_called_unless_allowed(tmp_path, monkeypatch):
    # Nothing is wrong with the name; where it leads is only seen when it is called.
    look_up = socket.getaddrinfo
    leads_here = {"sms.example": "127.0.0.1"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **kw: look_up(leads_here.get(host, host), *a, **kw))
    with (
        socket.create_server(("127.0.0.1", 0)) as receiver,
        running_server(tmp_path, config="[webhooks]\nretry = [0.1]") as server,
    ):
        hook = {"url": f"https://sms.example:{receiver.getsockname()[1]}/", "events": ["job.finished"]}
        webhook, _ = call(server.url, "POST", "/webhooks", hook)
        call(server.url, "POST", "/jobs", a_job("12"))
        (failure,) = until(lambda: call(server.url, "GET", f"/webhooks/{webhook['id']}/failures")[0])
        assert failure["reason"] == "its name leads to a private or reserved address, which isn't called"
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.accept()


def test_an_event_survives_a_kill_between_status_and_delivery(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "heliograph.toml").write_text(f'[server]\nlisten = "127.0.0.1:{port}"\n{CONFIG}', "utf-8")

    def served() -> subprocess.Popen:
        program = [sys.executable, "-m", "heliograph", "serve"]
        process = subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.DEVNULL)
        until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"))
        return process

    account = an_account(password_hash=password_hash(), rate_limit=None)
    asyncio.run(add_accounts(tmp_path / "heliograph.db", account))
    url = f"http://127.0.0.1:{port}"
    with receiving() as receiver:
        receiver.status = 503
        process = served()
        try:
            hook = {"url": f"http://127.0.0.1:{receiver.port}/", "events": ["sms.finished", "job.finished"]}
            webhook, _ = call(url, "POST", "/webhooks", hook)
            job, _ = call(url, "POST", "/jobs", a_job("+4917612340009", "12", "13"))
            until(lambda: "finishedTs" in call(url, "GET", f"/jobs/{job['jobId']}")[0])
            assert receiver.posts == []
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE_S)
            receiver.status = 204
            process = served()
            until(lambda: len({headers["webhook-id"] for headers, _ in receiver.posts}) == 4)
            assert [event["type"] for event in receiver.events(webhook["secret"])][-1] == "job.finished"
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait(DEADLINE_S)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False
