"""The whole gateway as it is started, over SMPP: HTTP in, SMSCs of ours and of others, reports out."""

import json
import re
import signal
import subprocess
import sys
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.interop.programs import eventually, node_smsc, running, simulator

CARRIER = """\
[[carriers]]
name = "{name}"
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "helio"
password = "secret"
reconnect = 0.2
response_timeout = 2
{settings}
[[routes]]
to = ["{prefix}"]
carriers = ["{name}"]
"""
POLL_S = 0.5  # An account has 100 calls a minute.
DELIVERY = "[delivery]\nretry = [0.3, 1]\n"


class Gateway:
    def __init__(self, program):
        lines = iter(program.line, None)
        password = next(found[1] for line in lines if (found := re.match("password: (.*)", line)))
        self._url = next(json.loads(line)["url"] for line in lines if "server.started" in line)
        token = b64encode(f"demo:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._opener = build_opener(ProxyHandler({}))

    def call(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._url}/rest/v1{path}", data, self._headers, method=method)
        with self._opener.open(request, timeout=10) as answer:
            return json.load(answer)

    def sends(self, *messages):
        """A job of (text, numbers); a function that tells what has become of each number."""
        return self.outcome_of(self.sends_job(*messages))

    def sends_job(self, *messages):
        """A job of (text, numbers); its id."""
        job = self.call(
            "/jobs",
            {
                "options": {"src": "HELIOGRAPH", "statusRequested": True},
                "messages": [{"text": text, "recipients": [{"dst": dst} for dst in dsts]} for text, dsts in messages],
            },
        )
        return job["jobId"]

    def outcome_of(self, job_id):
        return lambda: {
            report["dst"]: (report["processStatus"], report["status"], report["reason"])
            for report in self.call(f"/sms?jobId={job_id}")
        }


@contextmanager
def gateway(tmp_path, *settings, **carriers):
    """`heliograph serve` with a carrier, with more settings, and a route for each: name=(port, prefix)."""
    tables = [
        CARRIER.format(name=name, port=port, prefix=prefix, settings="\n".join(settings))
        for name, (port, prefix) in carriers.items()
    ]
    (tmp_path / "heliograph.toml").write_text("".join(tables) + DELIVERY)
    command = [sys.executable, "-m", "heliograph", "serve", "--listen", "127.0.0.1:0"]
    with running(command, cwd=tmp_path, stderr=subprocess.STDOUT) as program:
        try:
            yield Gateway(program)
            assert program.ends_well(signal.SIGTERM)
        finally:
            print(*program.lines[-50:], sep="\n")  # shown if the test fails


def statuses(told):
    return {dst: state[:2] for dst, state in told.items()}


def test_every_ending_of_the_simulator_comes_to_its_status(tmp_path):
    number = "+4917612{}".format
    with simulator() as smsc, gateway(tmp_path, acme=(smsc.port, "+")) as service:
        outcome = service.sends(
            ("Hello", [number(f"34000{ending}") for ending in range(1, 7)]),
            ("Grüße, für 5 €. " * 20, [number("341234")]),
            ("See you at eight 🎉 " * 8, [number("341235")]),
        )
        expected = {
            number("340001"): ("DONE", "FAILED_FIN"),
            number("340002"): ("DONE", "TIMEOUT"),
            number("340003"): ("DONE", "NOT_ACC_FIN"),
            number("340004"): ("OPEN", "NOT_ACC_REC"),  # until its validity ends
            number("340005"): ("RUNNING", ""),
            number("340006"): ("DONE", "SUC_FIN"),
            number("341234"): ("DONE", "SUC_FIN"),
            number("341235"): ("DONE", "SUC_FIN"),
        }
        eventually(lambda: statuses(outcome()) == expected, "every status", every_s=POLL_S)
        assert "command_status:ESME_RX_P_APPN [00000065] (Permanent)" in outcome()[number("340003")][2]
        assert "command_status:ESME_RSYSERR [00000008] (Temporary)" in outcome()[number("340004")][2]


SIMULATORS = {
    "text": ["--receipt-format", "text"],
    "tlv": ["--receipt-format", "tlv"],
    "ucs2": ["--receipt-format", "ucs2"],
    "hex-decimal": ["--receipt-format", "text", "--id-format", "hex", "--receipt-id-format", "decimal"],
    "decimal-hex": ["--receipt-format", "text", "--receipt-id-format", "hex"],
    "uuid": ["--id-format", "uuid"],
    "reversed": ["--receipt-order", "reversed"],
    "duplicates": ["--duplicate-receipts"],
    "early-receipts": ["--latency", "0.3", "--delay", "0.05"],
    "rate": ["--rate", "20"],
    "window": ["--max-window", "10"],
    "closing": ["--close-every", "7"],
    "dropping": ["--drop-answers", "0.1", "--seed", "3"],
}
NODES = {
    "npm-tlv": ["--receipts", "tlv"],
    "npm-data-sm": ["--receipts", "data_sm"],
    "npm-ucs2": ["--receipts", "ucs2"],
    "npm-early": ["--receipts", "early"],
    "npm-double": ["--receipts", "double"],
    "npm-unmarked": ["--receipts", "unmarked"],
    "npm-bare": ["--receipts", "bare"],
    "npm-hex": ["--ids", "hex"],
    "npm-throttling": ["--throttle", "3"],
    "npm-closing": ["--close-on", "5"],
}
SMS_COUNT = 20


def test_whatever_an_smsc_does_every_sms_is_delivered(tmp_path):
    """All of them at once, each a carrier of one gateway, with its own part of the numbers."""
    prefixes = {name: f"+4917612{number}" for number, name in enumerate([*SIMULATORS, *NODES], start=30)}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(simulator(*flags)).port for name, flags in SIMULATORS.items()}
        ports |= {name: stack.enter_context(node_smsc(*flags)).port for name, flags in NODES.items()}
        carriers = {name: (port, prefixes[name]) for name, port in ports.items()}
        service = stack.enter_context(gateway(tmp_path, **carriers))
        dsts = {
            f"{prefix}{number:04}": name
            for name, prefix in prefixes.items()
            for number in range(1000, 1000 + SMS_COUNT)
        }
        outcome = service.sends(("Hello", list(dsts)))

        def undelivered():
            return {dst: (dsts[dst], *told) for dst, told in outcome().items() if told[1] != "SUC_FIN"}

        try:
            eventually(lambda: not undelivered(), "every receipt", timeout_s=40, every_s=POLL_S)
        except AssertionError:
            pytest.fail(f"not delivered: {undelivered()}")


LONG = "See you at eight, and bring the papers with you. " * 5
"""Of two parts."""


def named(pdu):
    return pdu["source"], pdu["message_id"]


def test_an_smsc_is_told_to_drop_what_it_has_of_a_job_that_is_cancelled(tmp_path):  # SMPP 3.4, 4.9
    with (
        node_smsc("--delay", "60000") as smsc,
        gateway(tmp_path, "cancel_sm = true", acme=(smsc.port, "+")) as service,
    ):
        kept = service.sends_job(("Hello", ["+4917612340001"]))
        dropped = service.sends_job((LONG, ["+4917612340002"]), ("Hello", ["+4917612340003"]))
        eventually(lambda: len(smsc.happened("taken")) == 4, "all parts are taken")
        eventually(lambda: "OPEN" not in str(service.outcome_of(dropped)()), "and that is stored", every_s=POLL_S)
        service.call(f"/jobs/{dropped}", method="DELETE")
        eventually(lambda: len(smsc.happened("cancel_sm")) == 3, "it is told of each part")
        of_dropped = [each for each in smsc.happened("taken") if each["destination"] != "4917612340001"]
        assert sorted(map(named, smsc.happened("cancel_sm"))) == sorted(map(named, of_dropped))
        outcome = service.outcome_of(dropped)
        eventually(
            lambda: all("message_state:DELETED" in each[2] for each in outcome().values()), "its word", every_s=POLL_S
        )
        assert statuses(outcome()) == {"+4917612340002": ("KILL", ""), "+4917612340003": ("KILL", "")}
        assert statuses(service.outcome_of(kept)()) == {"+4917612340001": ("RUNNING", "")}
