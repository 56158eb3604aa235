"""The client commands as they are started, against a whole server."""

import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import httpx2
import pytest

from heliograph import Client
from heliograph.jobs.accounts import RateLimit
from tests.fakes.builders import an_account
from tests.fakes.http_service import serving
from tests.fakes.service import PASSWORD, password_hash, running_server
from tests.fakes.web import Web

PROGRAM = [sys.executable, "-m", "heliograph"]
MOBILE = 4917612001000
"""The first of 9000 numbers that the sandbox delivers to."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = [
        an_account(name, password_hash=password_hash(), rate_limit=limit)
        for name, limit in (("acme", None), ("killed", None), ("limited", RateLimit(4, 3)))
    ]
    with running_server(tmp_path_factory.mktemp("server"), *accounts) as running:
        yield running


@pytest.fixture
def environ(server):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HELIOGRAPH_", "FORCE_COLOR"))}
    return clean | {
        "HELIOGRAPH_URL": server.url,
        "HELIOGRAPH_USERNAME": "acme",
        "HELIOGRAPH_PASSWORD": PASSWORD,
        "TERM": "xterm",
        "COLUMNS": "80",
    }


@pytest.fixture
def heliograph(environ, tmp_path):
    def run(*arguments, **more):
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=tmp_path,
            env=environ | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def a_file(path, count):
    rows = [f"+{MOBILE + number},text {number % 7},ref {number}\n" for number in range(count)]
    path.write_text("dst,text,customerRef\n" + "".join(rows))


def metric(server, name):
    with build_opener(ProxyHandler({})).open(f"{server.url}/metrics", timeout=10) as answer:
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, found))


def test_a_job_is_sent_followed_read_and_cancelled(heliograph):
    sent = heliograph("send", "Hello", "--to", f"+{MOBILE}", "--status-requested", "--wait")
    assert (sent.returncode, sent.stderr) == (0, "")
    job_id = sent.stdout.splitlines()[0]
    assert "SUC_FIN" in sent.stdout
    assert job_id in heliograph("jobs").stdout
    assert re.search(r"^statusRequested +yes$", heliograph("job", job_id).stdout, re.MULTILINE)
    assert f"+{MOBILE}" in heliograph("sms", job_id).stdout
    later = heliograph("send", "Later", "--to", f"+{MOBILE}", "--job-period", "2090-01-01T08:00").stdout.strip()
    assert heliograph("cancel", later).returncode == 0
    assert "CANCELED" in heliograph("sms", later).stdout
    assert later not in heliograph("jobs", "--open").stdout


def test_sms_of_any_job_are_found(heliograph):
    heliograph("send", "Hello", "--to", f"+{MOBILE + 17}", "--to", "12", "--wait")
    found = heliograph("sms", "--dst", f"+{MOBILE + 17}", "--process-status", "done", "--json")
    assert [sms["dst"] for sms in json.loads(found.stdout)] == [f"+{MOBILE + 17}"]
    assert "INVALID_DST" in heliograph("sms", "--status", "INVALID_DST").stdout


def test_output_that_is_not_in_unicode_is_escaped(heliograph):
    cp1252 = {"PYTHONIOENCODING": "cp1252"}
    table = heliograph("send", "x", "--to", "日", "--wait", **cp1252)
    assert (table.returncode, table.stderr) == (5, "")
    assert r"\u65e5" in table.stdout
    told = heliograph("preview", "日🎉", "--to", "日", "--json", **cp1252)
    assert told.returncode == 0
    assert json.loads(told.stdout)["messages"][0]["recipients"][0]["dst"] == "日"


def test_a_job_is_not_called_unsent_because_its_id_can_not_be_printed(environ, tmp_path):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*PROGRAM, "send", "x", "--to", f"+{MOBILE}"],
            cwd=tmp_path,
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 7
    told = (
        r"heliograph: job J\.\S+ is sent, though stdout can't be written: No space left on device; don't send it again"
    )
    assert re.fullmatch(f"{told}\n", ran.stderr)


def test_streams_that_are_closed_are_no_error(environ, tmp_path):
    for streams, printed in ((">&-", ""), (">&- 2>&- <&-", ""), ("<&-", "J.")):
        ran = subprocess.run(
            ["bash", "-c", f'"$@" {streams}', "bash", *PROGRAM, "send", "x", "--to", f"+{MOBILE}"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, ran.stdout[:2], ran.stderr) == (0, printed, "")


def test_a_file_that_the_service_refuses_can_be_mended_and_sent(heliograph, tmp_path):
    (tmp_path / "x.csv").write_text(f"dst,text\n+{MOBILE},日\n", "utf-8")
    refused = heliograph("send", "--csv", "x.csv", "--invalid-characters", "REFUSE")
    assert refused.returncode == 2
    assert "set --invalid-characters to" in refused.stderr
    assert refused.stderr.endswith("Nothing was sent; mend that, and give the command again\n")
    sent = heliograph("send", "--csv", "x.csv")
    assert (sent.returncode, sent.stdout[:2]) == (0, "J.")


def test_a_file_of_which_the_service_refuses_a_later_job_says_what_is_sent(heliograph, tmp_path):
    (tmp_path / "x.csv").write_text(f"dst,text\n+{MOBILE},a\n+{MOBILE},日\n+{MOBILE},b\n", "utf-8")
    refused = heliograph("send", "--csv", "x.csv", "--invalid-characters", "REFUSE", "--rows-per-job", "1")
    assert (refused.returncode, refused.stdout.count("J.")) == (2, 1)
    advice = (
        "1 row sent for sure, none from line 3 on: mend that, and send the lines from there on as a file of their own\n"
    )
    assert refused.stderr.endswith(advice)


def test_a_preview_tells_of_texts_and_numbers_and_sends_nothing(heliograph, tmp_path):
    ids = heliograph("jobs", "--ids-only").stdout
    told = heliograph("preview", "Hello 🎉", "--to", f"+{MOBILE}", "--to", "12")
    assert (told.returncode, told.stderr) == (0, "")
    assert "UTF-16" in told.stdout
    assert "never: not a possible number" in told.stdout
    (tmp_path / "x.csv").write_text(f"dst,text\n+{MOBILE},Hello 🎉\n12,Hello\n+{MOBILE},{'x' * 161}\n", "utf-8")
    told = heliograph("preview", "--csv", "x.csv")
    assert told.stderr == "line 3: not a possible number\n"
    assert re.search(r"^parts of these SMS +3$", told.stdout, re.MULTILINE)
    assert heliograph("jobs", "--ids-only").stdout == ids


def test_a_key_makes_a_job_safe_to_send_again(heliograph):
    command = ("send", "Once", "--to", f"+{MOBILE}", "--idempotency-key", "order-1")
    first, again = heliograph(*command), heliograph(*command)
    assert first.stdout == again.stdout != ""


class Gate:
    """Between a program and its service. It lets everything through, but of some jobs holds the last.

    has_it: set while it does.
    """

    def __init__(self, server):
        self._server = server
        self._left = math.inf
        self._reaches_service = False
        self._is_answered = False
        self._let_go = threading.Event()
        self.has_it = threading.Event()

    def hold(self, number, *, reaches_service=True):
        """From now on, hold the job of that number: back from the service, or its answer."""
        self._left, self._reaches_service = number, reaches_service
        self.has_it.clear()
        self._let_go.clear()

    def let_go(self, *, answered):
        """answered: by the service's answer; otherwise the connection ends."""
        self._is_answered = answered
        self._let_go.set()

    def __call__(self, asked):
        if (asked.method, asked.path) == ("POST", "/rest/v1/jobs"):
            self._left -= 1
            if self._left == 0:
                reply = self._forward(asked) if self._reaches_service else None
                self.has_it.set()
                self._let_go.wait(60)
                return reply if self._is_answered else httpx2.ReadError("there will be no answer")
        return self._forward(asked)

    def _forward(self, asked):
        own = ("host", "connection", "accept-encoding", "content-length")
        headers = {name: value for name, value in asked.headers.items() if name not in own}
        url = self._server.url + asked.path
        with httpx2.Client(trust_env=False, timeout=60) as client:
            reply = client.request(asked.method, url, headers=headers, content=asked.body)
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)


def test_a_run_that_is_killed_again_and_again_sends_each_row_once(heliograph, environ, server, tmp_path):
    count, rows_per_job, kills = 1200, 40, 6
    a_file(tmp_path / "x.csv", count)
    command = ["send", "--csv", "x.csv", "--rows-per-job", str(rows_per_job), "--username", "killed"]
    parts_before = metric(server, "heliograph_submit_outcomes_total")
    gate = Gate(server)
    with serving(Web(by=gate)) as url:
        for number in range(kills):
            gate.hold(4, reaches_service=number % 2 == 0)
            program = subprocess.Popen(
                [*PROGRAM, *command, "--url", url, *(["--resume"] if number else [])],
                cwd=tmp_path,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                assert gate.has_it.wait(60)
                assert program.poll() is None
            finally:
                program.kill()
                program.wait()
                gate.let_go(answered=False)
            assert ",sending," in (tmp_path / "x.csv.results.csv").read_text().splitlines()[-1]
        ran = heliograph(*command, "--url", url, "--resume", "--wait")
    assert ran.returncode == 0, ran.stderr
    ids = [line for line in ran.stdout.splitlines() if line.startswith("J.")]
    assert len(ids) == count // rows_per_job
    with Client(server.url, "killed", PASSWORD) as client:
        assert sorted(client.job_ids()) == sorted(ids)
        references = Counter(sms.customer_ref for job_id in ids for sms in client.sms(job_id))
    assert references == Counter(f"ref {number}" for number in range(count))
    assert metric(server, "heliograph_submit_outcomes_total") - parts_before == count


def test_ctrl_c_finishes_the_job_under_way_and_says_how_to_go_on(environ, server, tmp_path):
    a_file(tmp_path / "x.csv", 1000)
    gate = Gate(server)
    gate.hold(3)
    with (
        serving(Web(by=gate)) as url,
        subprocess.Popen(
            [*PROGRAM, "send", "--csv", "x.csv", "--rows-per-job", "100", "--url", url],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program,
    ):
        try:
            assert gate.has_it.wait(60)
            program.send_signal(signal.SIGINT)
            gate.let_go(answered=True)
            out, err = program.communicate(timeout=60)
        finally:
            program.kill()
    assert program.returncode == 130
    assert "Traceback" not in err
    assert out.count("\n") == 3
    assert "300 of 1,000 rows sent for sure; the same command with --resume" in err
    assert "sending" not in (tmp_path / "x.csv.results.csv").read_text().splitlines()[-1]


def test_the_rate_limit_is_waited_for_and_that_is_said(heliograph, tmp_path):
    a_file(tmp_path / "x.csv", 6)
    ran = heliograph("send", "--csv", "x.csv", "--rows-per-job", "1", "--username", "limited")
    assert (ran.returncode, ran.stdout.count("\n")) == (0, 6), ran.stderr
    assert "the account's calls are used up: trying again in" in ran.stderr


# On a terminal


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments, cwd, env, stdout=None):
        self.seen = ""
        self._ours, theirs = pty.openpty()
        self.program = subprocess.Popen(
            [*PROGRAM, *arguments], cwd=cwd, env=env, stdin=theirs, stdout=stdout or theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def until(self, pattern, seconds=30):
        """Read until the pattern was seen, or, where it is None, to the end."""
        deadline = time.monotonic() + seconds  # noqa: TID251
        while pattern is None or not re.search(pattern, self.seen):
            left_s = deadline - time.monotonic()  # noqa: TID251
            assert left_s > 0, f"no {pattern} in {self.seen!r}"
            if select.select([self._ours], [], [], left_s)[0]:
                try:
                    octets = os.read(self._ours, 65_536)
                except OSError:  # How Linux says that nobody writes any more.
                    octets = b""
                if not octets:
                    assert pattern is None, self.seen
                    break
                self.seen += octets.decode()
        return self.seen

    def types(self, text):
        os.write(self._ours, text.encode())

    def ends(self):
        self.until(None)
        os.close(self._ours)
        return self.program.wait(30)


def test_a_password_is_asked_for_and_not_shown(environ, tmp_path):
    del environ["HELIOGRAPH_PASSWORD"]
    terminal = Terminal("version", cwd=tmp_path, env=environ)
    terminal.until("Password of acme: ")
    terminal.types(f"{PASSWORD}\n")
    assert terminal.ends() == 0
    assert "service    heliograph" in terminal.seen
    assert PASSWORD not in terminal.seen


def test_there_is_a_bar_on_a_terminal_and_ids_go_where_stdout_goes(environ, tmp_path):
    a_file(tmp_path / "x.csv", 9000)
    with (tmp_path / "ids").open("wb") as ids:
        terminal = Terminal("send", "--csv", "x.csv", cwd=tmp_path, env=environ, stdout=ids)
        assert terminal.ends() == 0
    assert re.search(r"Sending .*━.*/9000.*/s", terminal.seen)
    assert "9,000 rows sent in" in terminal.seen
    assert re.fullmatch(r"(J\.\S+\n){3}", (tmp_path / "ids").read_text())


def test_colours_are_for_terminals(environ, heliograph, tmp_path):
    job_id = heliograph("send", "Hello", "--to", f"+{MOBILE}", "--wait").stdout.splitlines()[0]
    terminal = Terminal("sms", job_id, cwd=tmp_path, env=environ)
    assert terminal.ends() == 0
    assert "\x1b[32m" in terminal.seen
    assert "\x1b" not in heliograph("sms", job_id).stdout
    plain = Terminal("sms", job_id, cwd=tmp_path, env=environ | {"NO_COLOR": "1"})
    assert plain.ends() == 0
    assert "\x1b[32m" not in plain.seen
