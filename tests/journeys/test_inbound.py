"""SMS from phones, whole: from a simulated SMSC over SMPP, through the service, to `GET /inbound` and the blocklist."""

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.fakes.builders import an_account
from tests.fakes.service import basic, password_hash, running_server

LONG = "Grüße aus Zürich, " + "und noch ein Satz dazu. " * 10 + "日本 🙂"
DEADLINE_S = 20


@contextmanager
def simulator(*inbound: str):
    """A simulated SMSC as a process of its own; its port."""
    flags = [word for sms in inbound for word in ("--inbound", sms)]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, "-m", "heliograph", "simulator", "--listen", f"127.0.0.1:{port}", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        program.terminate()
        program.wait(DEADLINE_S)


def call(server, method: str, path: str, body: object = None, name: str = "acme"):
    headers = {"Authorization": basic(name), "Content-Type": "application/json"}
    octets = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{server.url}/rest/v1{path}", octets, headers, method=method), timeout=DEADLINE_S) as answer:
        return json.load(answer)


def until(condition):
    """What a condition says once it says anything."""
    for _ in range(20 * DEADLINE_S):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_what_phones_send_is_read_and_stop_is_heard(tmp_path):
    hello, stop = f"+4917612345678:+4915735982222:{LONG}", "+4917600000001:+4915735982222:Stop!"
    with simulator(hello, stop, "+4917612345678:80100:For the other one") as port:
        config = f"""
            [[carriers]]
            name = "sim"
            kind = "smpp"
            host = "127.0.0.1"
            port = {port}
            system_id = "helio"
            password = "secret"
            [[inbound]]
            to = "+4915735982222"
            account = "acme"
            [[inbound]]
            to = "80100"
            account = "other"
        """
        accounts = [an_account(name, password_hash=password_hash(), rate_limit=None) for name in ("acme", "other")]
        with running_server(tmp_path, *accounts, config=config) as server:
            received = until(lambda: (found := call(server, "GET", "/inbound")) and len(found) == 2 and found)
            by_phone = {sms["src"]: sms for sms in received}
            assert by_phone["+4917612345678"]["text"] == LONG
            assert by_phone["+4917612345678"]["dst"] == "+4915735982222"
            assert by_phone["+4917600000001"]["text"] == "Stop!"
            assert all(re.fullmatch(r"I\.\d{8}-\d{6}\.\d{3}-0[0-9a-z]{8}[0-9A-Z]{9}", sms["smsId"]) for sms in received)
            (other,) = until(lambda: call(server, "GET", "/inbound", name="other"))
            assert (other["dst"], other["text"]) == ("80100", "For the other one")
            assert [entry["dst"] for entry in call(server, "GET", "/blocklist")] == ["+4917600000001"]

            recipients = [{"dst": "+4917600000001"}, {"dst": "+4917600000009"}]
            job_id = call(server, "POST", "/jobs", {"messages": [{"text": "Hi", "recipients": recipients}]})["jobId"]
            finished = until(
                lambda: (
                    (sms := call(server, "GET", f"/sms?jobId={quote(job_id)}"))[1]["processStatus"] == "DONE" and sms
                )
            )
            assert [sms["status"] for sms in finished] == ["BLOCKED", "SUC_ACC"]
