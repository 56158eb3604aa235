"""A whole service over SMPP: a job in over HTTP, its parts to an SMSC, receipts back; also after a kill."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from heliograph.clock import SystemClock
from heliograph.smpp.statuses import CommandStatus
from tests.fakes.service import a_job
from tests.fakes.smsc import FakeSmsc, Play, delivered, receipt, refused
from tests.journeys.test_service import account, awaited, customer, sent, statuses

WINDOW = 8
LONGEST_WAIT_S = 60


class SmscThread:
    """A fake SMSC in a thread of its own, so that it outlives the gateway."""

    def __init__(self, script: Callable[[Any], Play]) -> None:
        self._script = script
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self.smsc: FakeSmsc

    def __enter__(self) -> FakeSmsc:
        self._thread = threading.Thread(target=self._run, name="smsc")
        self._thread.start()
        assert self._up.wait(10)
        return self.smsc

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.smsc.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.smsc = FakeSmsc(SystemClock(), self._script)
        self._loop.run_until_complete(self.smsc.start())
        self._up.set()
        self._loop.run_forever()

    def call(self, act: Callable[[], object]) -> None:
        """In its thread."""
        self._loop.call_soon_threadsafe(act)


@contextmanager
def gateway(
    directory: Path, port: int, more: str = "", *, arguments: Sequence[str] = ("-m", "heliograph"), **settings: str
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """`heliograph serve` with that SMSC for a carrier, and its URL. arguments: Python's, for another such program."""
    values = {"window": str(WINDOW), "reconnect": "0.2", "password_file": '"password"', **settings}
    keys = "\n".join(f"{key} = {value}" for key, value in values.items())
    (directory / "password").write_text("secret\n", "utf-8")
    (directory / "heliograph.toml").write_text(
        f'[server]\nlog_format = "json"\n[delivery]\nretry = [0.2, 0.5]\n'
        f'[[carriers]]\nname = "acme"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "helio"\n'
        f"{keys}\n{more}",
        "utf-8",
    )
    command = [sys.executable, *arguments, "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        try:
            for line in program.stderr:
                if '"server.started"' in line:
                    break
            yield program, line.partition('"url": "')[2].partition('"')[0]
        finally:
            program.kill()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S  # noqa: TID251 # other processes keep real time
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"  # noqa: TID251
        time.sleep(0.01)


def by_ending(submitted: Any) -> Play:
    match submitted.destination_addr[-4:]:
        case b"0001":
            return delivered(0.05, stat="UNDELIV", err="027")
        case b"0002":
            return delivered(0.05, stat="EXPIRED")
        case b"0003":
            return refused(CommandStatus.ESME_RINVSRCADR)
        case b"0005":
            return Play()
        case b"0009":
            return refused(CommandStatus.ESME_RINVDSTADR)
        case b"0010":
            number = 0xABC0 + submitted.short_message[5]
            return Play(message_id=b"%08X" % number, receipts=[(0.05, lambda _, s: receipt(b"%d" % number, s))])
        case _:
            return delivered(0.05)


OUTCOMES = {
    "+4917612345678": ("DONE", "SUC_FIN"),
    "+4917612340001": ("DONE", "FAILED_FIN"),
    "+4917612340002": ("DONE", "TIMEOUT"),
    "+4917612340003": ("DONE", "NOT_ACC_FIN"),
    "+4917612340005": ("RUNNING", ""),
    "+4917612340009": ("DONE", "INVALID_DST"),
    "+4917612340010": ("DONE", "SUC_FIN"),
}


@pytest.mark.parametrize("bind", ["transceiver", "transmitter+receiver"])
def test_every_outcome_is_reported(tmp_path, bind):
    account(tmp_path)
    with SmscThread(by_ending) as smsc, gateway(tmp_path, smsc.port, bind=f'"{bind}"') as (program, url):
        with customer(url) as client:
            job = a_job("Grüße " * 60, src="Heliograph", statusRequested=True)
            job["messages"][0]["recipients"] = [{"dst": dst} for dst in OUTCOMES]
            job_id = sent(client, job)
            awaited(client, job_id, [*OUTCOMES.values()])
            reports = client.get("/sms", params={"jobId": job_id}).json()
        assert reports[1]["reason"].endswith("err:027")
        assert reports[3]["reason"].startswith("command_status:ESME_RINVSRCADR [0000000a] (Permanent)")
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
        log = program.stderr.read()
    assert "Traceback" not in log
    assert smsc.farewells == len(smsc.binds) == (1 if bind == "transceiver" else 2)
    first = smsc.submitted[0]
    assert (first.source_addr, first.source_addr_ton, first.esm_class) == (b"Heliograph", 5, 0x40)


def test_what_is_answered_while_the_service_says_farewell_is_not_sent_again(tmp_path, monkeypatch):
    account(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_SERVER_SHUTDOWN_TIMEOUT", "0.2")
    with SmscThread(lambda _: Play(answer_after_s=None)) as smsc:
        smsc.answers_last = True
        with gateway(tmp_path, smsc.port) as (program, url), customer(url) as client:
            job_id = sent(client, a_job("Hello"))
            until(lambda: smsc.submitted)
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == 0
        with gateway(tmp_path, smsc.port) as (_, url), customer(url) as client:
            awaited(client, job_id, [("DONE", "SUC_ACC")])
        assert (len(smsc.submitted), smsc.farewells) == (1, 1)


BACKUP = """
[[carriers]]
name = "backup"
kind = "sandbox"
[[routes]]
to = ["+"]
carriers = ["acme", "backup"]
"""


def test_what_one_carrier_refuses_or_cannot_take_the_next_one_of_the_route_carries(tmp_path):
    account(tmp_path)
    with SmscThread(lambda _: refused(CommandStatus.ESME_RINVSRCADR)) as smsc:
        with gateway(tmp_path, smsc.port, BACKUP) as (_, url), customer(url) as client:
            job = a_job("Grüße " * 60, src="Heliograph", statusRequested=True)
            awaited(client, sent(client, job), [("DONE", "SUC_FIN")])
        assert len(smsc.submitted) == 3
        port = smsc.port
    with gateway(tmp_path, port, BACKUP) as (program, url), customer(url) as client:
        job = a_job("Hello", statusRequested=True)
        job["messages"][0]["recipients"] = [{"dst": "+4917612345678"}, {"dst": "+4917612340003"}]
        job_id = sent(client, job)
        awaited(client, job_id, [("DONE", "SUC_FIN"), ("DONE", "NOT_ACC_FIN")])
        reason = client.get("/sms", params={"jobId": job_id}).json()[1]["reason"]
        assert reason.startswith("acme: ")
        assert "; then backup: command_status:" in reason
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
        assert '"dispatch.moved"' in program.stderr.read()


def test_a_kill_with_a_full_window_loses_nothing_and_doubles_no_more_than_a_window(tmp_path):
    account(tmp_path)
    silent = threading.Event()

    def script(submitted: Any) -> Play:
        return Play(answer_after_s=None) if silent.is_set() else delivered(0.05)

    numbers = [f"+49176{number:07}9" for number in range(200)]
    with SmscThread(script) as smsc:
        with gateway(tmp_path, smsc.port) as (program, url), customer(url) as client:
            job = a_job("Hello", statusRequested=True)
            job["messages"][0]["recipients"] = [{"dst": dst} for dst in numbers]
            job_id = sent(client, job)
            until(lambda: len(smsc.submitted) >= 60)
            silent.set()
            before = len(smsc.submitted)
            until(lambda: any(link.unanswered >= WINDOW for link in smsc.links) or len(smsc.submitted) >= len(numbers))
            assert len(smsc.submitted) >= before
            program.kill()
            program.wait(10)
        silent.clear()
        with gateway(tmp_path, smsc.port) as (program, url), customer(url) as client:
            awaited(client, job_id, [("DONE", "SUC_FIN")] * len(numbers))
            assert statuses(client, job_id) == [("DONE", "SUC_FIN")] * len(numbers)
    reached = {each.destination_addr.decode() for each in smsc.submitted}
    assert reached == {number.removeprefix("+") for number in numbers}
    assert len(smsc.submitted) - len(numbers) <= WINDOW
    assert smsc.most_unanswered <= WINDOW


def test_a_killed_smsc_is_bound_to_again_and_nothing_is_lost(tmp_path):
    account(tmp_path)
    numbers = [f"+49176{number:07}9" for number in range(100)]
    thread = SmscThread(lambda _: delivered(0.05))
    with thread as smsc, gateway(tmp_path, smsc.port) as (_, url), customer(url) as client:
        job = a_job("Hello", statusRequested=True)
        job["messages"][0]["recipients"] = [{"dst": dst} for dst in numbers]
        job_id = sent(client, job)
        until(lambda: len(smsc.submitted) >= 20)
        thread.call(lambda: [link.transport.abort() for link in [*smsc.links]])
        awaited(client, job_id, [("DONE", "SUC_FIN")] * len(numbers))
    assert len(smsc.submitted) - len(numbers) <= WINDOW


def check(directory: Path, port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    (directory / "heliograph.toml").write_text(
        f'[[carriers]]\nname = "acme"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "helio"\n'
        + "\n".join(f"{key} = {value}" for key, value in {"password": '"secret"', **settings}.items()),
        "utf-8",
    )
    command = [sys.executable, "-m", "heliograph", "carrier", "check", "acme"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=20, check=False)


def test_the_check_says_what_works_and_what_to_change(tmp_path):
    with SmscThread(by_ending) as smsc:
        good = check(tmp_path, smsc.port)
        assert (good.returncode, good.stderr) == (0, "")
        assert all(line.startswith("ok ") for line in good.stdout.splitlines())
        bad = check(tmp_path, smsc.port, password='"other"')
        assert bad.returncode == 1
        assert "ESME_RINVPASWD" in bad.stdout
        assert "check the password" in bad.stdout
    nobody = check(tmp_path, smsc.port)
    assert nobody.returncode == 4
    assert "nobody listens" in nobody.stdout
