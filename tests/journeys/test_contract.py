"""The contract, promise by promise, against the program as an outsider runs it: its command line, HTTP and signals.

Each group names its section of the contract. One service serves most of the file; what takes seconds to happen is sent
when it starts, and looked at in the last groups.
"""

import json
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from heliograph.clock import SystemClock

PROGRAM = Path(sys.executable).with_name("heliograph")
PASSWORD = "pässword: 子?>~"
CLOCK = SystemClock()
LONGEST_WAIT_S = 60
MOBILE = "+4917612345678"

ACCOUNTS = {
    "acme": "--country DE --timezone Europe/Berlin --rate-limit none",
    "other": "--rate-limit none",
    "lenient": "--lenient --rate-limit none",
    "limited": "--rate-limit 5/1s",
    "hundred": "",
    "leaver": "--rate-limit none",
    "house": "--rate-limit none --src HOUSE --encoding UTF-16 --billcode costs --status-requested --flash "
    "--customer-ref ours --validity-min 60 --max-parts 2 --invalid-characters REFUSE --qos EXPRESS "
    "--duplicate-detection --job-period 2099-01-01T00:00Z --blackout-periods 2098-12-31T20:00Z/2099-01-01T06:00Z",
}


def run(directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], cwd=directory, input=stdin, capture_output=True, text=True, timeout=30, check=False
    )


def add_account(directory: Path, name: str, flags: str = "--rate-limit none") -> None:
    done = run(directory, "account", "add", name, "--password-stdin", *flags.split(), stdin=PASSWORD)
    assert done.returncode == 0, done.stderr


class Program:
    """`heliograph serve`, in a directory of its own."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.out = directory / "out"
        with self.log.open("ab") as log, self.out.open("ab") as out:
            offset = log.tell()
            listen = [] if "--listen" in flags else ["--listen", "127.0.0.1:0"]
            command = [PROGRAM, "serve", *listen, *flags]
            self.process = subprocess.Popen(command, cwd=directory, stderr=log, stdout=out)
        deadline = CLOCK.monotonic() + LONGEST_WAIT_S
        while not (up := re.search(r'"url": "([^"]+)"', self.log.read_text("utf-8")[offset:])):
            assert CLOCK.monotonic() < deadline, "it did not start"
            assert self.process.poll() is None, self.log.read_text("utf-8")
            time.sleep(0.01)
        self.url = up[1]
        self._customers: dict[str, Customer] = {}

    def customer(self, name: str = "acme") -> "Customer":
        if name not in self._customers:
            self._customers[name] = Customer(self.url, name)
        return self._customers[name]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(LONGEST_WAIT_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for customer in self._customers.values():
            customer.http.close()


@contextmanager
def program(directory: Path, *flags: str) -> Generator[Program]:
    started = Program(directory, *flags)
    try:
        yield started
    finally:
        started.close()


class Customer:
    """One account's calls."""

    def __init__(self, url: str, name: str) -> None:
        self.http = httpx2.Client(base_url=f"{url}/rest/v1", auth=(name, PASSWORD), trust_env=False, timeout=30)

    def post(self, request: object, **headers: str) -> httpx2.Response:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/jobs", content=body, headers={"Content-Type": "application/json", **names})

    def sent(self, request: object, **headers: str) -> str:
        reply = self.post(request, **headers)
        assert reply.status_code == 201, reply.text
        return reply.json()["jobId"]

    def refused(self, request: object, status: int = 400, **headers: str) -> list[str]:
        """Which fields the refusal says are at fault."""
        reply = self.post(request, **headers)
        assert reply.status_code == status, reply.text
        assert_error(reply, status)
        return [error["field"] for error in reply.json().get("errors", [])]

    def get(self, path: str, **parameters: object) -> httpx2.Response:
        return self.http.get(path, params=parameters or None)

    def job(self, job_id: str) -> dict[str, Any]:
        reply = self.get(f"/jobs/{job_id}")
        assert reply.status_code == 200, reply.text
        return reply.json()

    def sms(self, job_id: str) -> list[dict[str, Any]]:
        reply = self.get("/sms", jobId=job_id)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def only_sms(self, job_id: str) -> dict[str, Any]:
        (sms,) = self.sms(job_id)
        return sms

    def report(self, **options: object) -> dict[str, Any]:
        """The report of a job with these options; it waits for ever."""
        return self.job(self.sent(later(**options)))

    def ended(self, job_id: str, within_s: float = LONGEST_WAIT_S) -> list[dict[str, Any]]:
        deadline = CLOCK.monotonic() + within_s
        while "finishedTs" not in self.job(job_id):
            assert CLOCK.monotonic() < deadline, self.sms(job_id)
            time.sleep(0.02)
        return self.sms(job_id)


def a_job(text: str = "Hello", *dst: str, **options: object) -> dict[str, Any]:
    recipients = [{"dst": each} for each in dst or (MOBILE,)]
    return {"options": options, "messages": [{"text": text, "recipients": recipients}]}


def later(text: str = "Hello", *dst: str, **options: object) -> dict[str, Any]:
    return a_job(text, *dst, **{"jobPeriod": "2099-01-01T00:00Z", **options})


def to(**recipient: object) -> dict[str, Any]:
    return {"messages": [{"text": "Hello", "recipients": [recipient]}]}


def instant(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)


def said(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def eventually(condition: Callable[[], bool], within_s: float = LONGEST_WAIT_S) -> None:
    deadline = CLOCK.monotonic() + within_s
    while not condition():
        assert CLOCK.monotonic() < deadline
        time.sleep(0.05)


def assert_error(reply: httpx2.Response, status: int) -> None:
    assert reply.status_code == status, reply.text
    error = reply.json()
    assert reply.headers["content-type"].startswith("application/json")
    assert error["code"] == status
    assert error["message"]
    assert set(error) <= {"code", "message", "errors"}
    for each in error.get("errors", []):
        assert set(each) == {"field", "message"}
        assert each["message"]


class Sent(NamedTuple):
    """What was sent when the service started: it takes seconds to end."""

    at: datetime
    every_ending: str
    no_receipt: str
    soon: str
    due_at: datetime
    in_blackout: str
    blackout_end: datetime


ENDINGS = {
    "+4917612345678": ("DONE", "SUC_FIN"),
    "+4917612340001": ("DONE", "FAILED_FIN"),
    "+4917612340002": ("DONE", "TIMEOUT"),
    "+4917612340003": ("DONE", "NOT_ACC_FIN"),
    "+4917612340004": ("DONE", "CON_ERR"),
    "+4917612340005": ("RUNNING", ""),
    "+4917612340006": ("DONE", "SUC_FIN"),
    "0": ("DONE", "INVALID_DST"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    directory = tmp_path_factory.mktemp("service")
    add_account(directory, "acme", ACCOUNTS["acme"])
    with program(directory) as started:
        # Also while the service runs.
        with ThreadPoolExecutor(2) as hands:
            others = [(name, flags) for name, flags in ACCOUNTS.items() if name != "acme"]
            for _ in hands.map(lambda each: add_account(directory, *each), others):
                pass
        yield started


@pytest.fixture(scope="module")
def acme(service: Program) -> Customer:
    return service.customer()


@pytest.fixture(scope="module")
def lenient(service: Program) -> Customer:
    return service.customer("lenient")


@pytest.fixture(scope="module", autouse=True)
def sent(acme: Customer) -> Sent:
    now = CLOCK.now()
    due_at, blackout_end = now + timedelta(seconds=6), now + timedelta(seconds=7)
    night = f"{said(now - timedelta(hours=2))}/{said(blackout_end)}"
    return Sent(
        at=now,
        every_ending=acme.sent(a_job("Hello", *ENDINGS, statusRequested=True)),
        no_receipt=acme.sent(a_job("Hello", *ENDINGS)),
        soon=acme.sent(a_job(jobPeriod=said(due_at))),
        due_at=due_at,
        in_blackout=acme.sent(a_job(blackoutPeriods=[night])),
        blackout_end=blackout_end,
    )


# Section 1: the five operations


def test_a_job_is_created_at_its_location(acme: Customer):
    reply = acme.post(a_job())
    assert reply.status_code == 201
    assert set(reply.json()) == {"jobId"}
    assert reply.headers["location"] == f"/rest/v1/jobs/{reply.json()['jobId']}"
    assert acme.http.get(reply.headers["location"].removeprefix("/rest/v1")).json()["jobId"] == reply.json()["jobId"]


@pytest.mark.parametrize("path", ["/jobs", "/jobs/J.20221116-102407.583-0lajfsfmoXIZJO93PQ", "/sms", "/jobs?open=x"])
def test_everything_but_the_version_needs_credentials(service: Program, path: str):
    reply = httpx2.get(f"{service.url}/rest/v1{path}", trust_env=False)
    assert_error(reply, 401)
    assert reply.headers["www-authenticate"].startswith("Basic")


def test_the_version_answers_without_credentials_and_refuses_wrong_ones(service: Program):
    url = f"{service.url}/rest/v1/version"
    version = httpx2.get(url, trust_env=False).json()
    assert set(version) == {
        "buildNumber",
        "buildTimestamp",
        "majorVersion",
        "minorVersion",
        "versionInfo",
        "message",
    }
    assert all(type(version[name]) is int for name in ("buildNumber", "majorVersion", "minorVersion"))
    assert re.fullmatch(TIMESTAMP, version["buildTimestamp"])
    assert httpx2.get(url, auth=("acme", PASSWORD), trust_env=False).status_code == 200
    for auth in (("acme", "wrong"), ("nobody", PASSWORD)):
        reply = httpx2.get(url, auth=auth, trust_env=False)
        assert_error(reply, 401)
        assert reply.headers["www-authenticate"].startswith("Basic")


TIMESTAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"


# Section 1: JobRequest


@pytest.mark.parametrize(
    "src",
    ["1", "+1", "12345678901234567890", "+12345678901234567890", "ACME", "A-c me & Co", "+", " ", "~!@#$%^&*()"],
)
def test_a_sender_id_is_20_digits_or_11_ascii_characters(acme: Customer, src: str):
    assert acme.report(src=src)["src"] == src


@pytest.mark.parametrize(
    "src",
    [
        "",
        "123456789012345678901",
        "+123456789012345678901",
        "abcdefghijkl",
        "Größe",
        "日本",
        "a\tb",
        "a\n",
        "++123456789012",
        "1234567890123 ",
        "+ 12345678901",
        "a\x7f",
        "１２",
    ],
)
def test_any_other_sender_id_is_400(acme: Customer, src: str):
    assert acme.refused(later(src=src)) == ["options.src"]


@pytest.mark.parametrize(
    ("option", "longest"), [("billcode", 70), ("customerRef", 255)], ids=["billcode", "customerRef"]
)
def test_texts_are_counted_in_code_points(acme: Customer, option: str, longest: int):
    for character in ("x", "ß", "😀"):
        value = character * longest
        assert acme.report(**{option: value})[option] == value
        assert acme.refused(later(**{option: value + character})) == [f"options.{option}"]


def test_a_recipients_reference_has_255_code_points(acme: Customer):
    job_id = acme.sent(to(dst=MOBILE, customerRef="😀" * 255))
    assert acme.only_sms(job_id)["customerRef"] == "😀" * 255
    assert acme.refused(to(dst=MOBILE, customerRef="😀" * 256)) == ["messages[0].recipients[0].customerRef"]


NUMBERS = [("validityMin", value) for value in (1, 4, 2881, -1, -(2**70), 2**70)]
NUMBERS += [("maxParts", value) for value in (0, 21, -1)]


@pytest.mark.parametrize(("option", "value"), NUMBERS)
def test_a_number_out_of_range_is_400_with_field_value_and_range(acme: Customer, option: str, value: int):
    reply = acme.post(later(**{option: value}))
    assert_error(reply, 400)
    (error,) = reply.json()["errors"]
    assert error["field"] == f"options.{option}"
    low, high = {"validityMin": ("5", "2880"), "maxParts": ("1", "20")}[option]
    for text in (option, low, high, *([str(value)] if abs(value) < 2**53 else [])):
        assert text in reply.json()["message"] + error["message"] + error["field"]
        assert text in error["field"] + error["message"]


@pytest.mark.parametrize("value", [0, 5, 2880])
def test_validity_may_be_0_or_5_to_2880(acme: Customer, value: int):
    assert acme.report(validityMin=value)["validityMin"] == value


@pytest.mark.parametrize("value", [1, 20])
def test_parts_may_be_1_to_20(acme: Customer, value: int):
    acme.sent(later("x" * 5000, maxParts=value))


@pytest.mark.parametrize(
    ("value", "nearest"),
    [(1, 5), (4, 5), (-1, 0), (0, 0), (2881, 2880), (-(2**70), 0), (2**70, 2880), (5, 5)],
)
def test_a_lenient_account_gets_the_nearest_validity(lenient: Customer, value: int, nearest: int):
    assert lenient.report(validityMin=value)["validityMin"] == nearest


def test_a_lenient_account_gets_the_nearest_number_of_parts(lenient: Customer):
    for value in (0, -5, 21, 1000):
        lenient.sent(later("x" * 500, maxParts=value))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("validityMin", "5"),
        ("validityMin", True),
        ("validityMin", 5.5),
        ("validityMin", [5]),
        ("maxParts", "1"),
        ("statusRequested", "true"),
        ("statusRequested", 1),
        ("flash", 0),
        ("billcode", 7),
        ("customerRef", {}),
        ("src", 4911),
        ("encoding", 1),
        ("qos", True),
        ("jobPeriod", 1700000000),
        ("duplicateDetection", "yes"),
        ("blackoutPeriods", "2026-01-01T00:00Z/2026-01-02T00:00Z"),
        ("invalidCharacters", []),
    ],
)
def test_nothing_is_converted_between_json_types(acme: Customer, lenient: Customer, option: str, value: object):
    assert acme.refused(a_job(**{option: value})) == [f"options.{option}"]
    assert lenient.refused(a_job(**{option: value})) == [f"options.{option}"]


@pytest.mark.parametrize("option", ["encoding", "invalidCharacters", "qos"])
def test_an_unknown_enum_value_is_400(acme: Customer, option: str):
    for value in ("", "OTHER", "STANDARD "):
        assert acme.refused(a_job(**{option: value})) == [f"options.{option}"]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        ({}, ["messages"]),
        ({"messages": []}, ["messages"]),
        ({"messages": None}, ["messages"]),
        ({"messages": {}}, ["messages"]),
        ({"messages": [None]}, ["messages[0]"]),
        ({"messages": [{}]}, ["messages[0].text", "messages[0].recipients"]),
        ({"messages": [{"text": "", "recipients": []}]}, ["messages[0].text", "messages[0].recipients"]),
        ({"messages": [{"text": 5, "recipients": [{"dst": 5}, {}, {"dst": ""}, "x"]}]},
         ["messages[0].text", *(f"messages[0].recipients[{at}].dst" for at in range(3)), "messages[0].recipients[3]"]),
        ({"options": [], **to(dst=MOBILE)}, ["options"]),
    ],
)  # fmt: skip
def test_what_is_required_and_missing_is_400(acme: Customer, request_: object, fields: list[str]):
    assert acme.refused(request_) == fields


def test_all_fields_at_fault_are_named(acme: Customer):
    request = a_job(src="", validityMin=1, maxParts=0, qos="FAST", blackoutPeriods=["x"])
    request["messages"] += [{"text": "", "recipients": [{"dst": MOBILE}, {"dst": MOBILE}, {"dst": None}]}]
    assert acme.refused(request) == [
        "options.src",
        "options.validityMin",
        "options.maxParts",
        "options.qos",
        "options.blackoutPeriods[0]",
        "messages[1].text",
        "messages[1].recipients[2].dst",
    ]


@pytest.mark.parametrize(
    "body",
    [
        rb'{"messages":[{"text":"\ud800","recipients":[{"dst":"1"}]}]}',
        rb'{"messages":[{"text":"x","recipients":[{"dst":"1","customerRef":"\udc00"}]}]}',
        rb'{"options":{"src":"\udfff"},"messages":[{"text":"x","recipients":[{"dst":"1"}]}]}',
        b'{"messages":[{"text":"\xed\xa0\x80","recipients":[{"dst":"1"}]}]}',
        b'{"messages":[{"text":"\xff","recipients":[{"dst":"1"}]}]}',
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"messages":[],}',
        b'{"messages":NaN}',
        b'"' + b"[" * 10,
        b"[" * 100_000,
        b'{"options":{"validityMin":1e999},"messages":[{"text":"x","recipients":[{"dst":"1"}]}]}',
        b'{"options":{"maxParts":' + b"9" * 5000 + b'},"messages":[{"text":"x","recipients":[{"dst":"1"}]}]}',
    ],
)  # fmt: skip
def test_what_is_no_valid_unicode_or_no_job_is_400(acme: Customer, body: bytes):
    acme.refused(body)


@pytest.mark.parametrize("text", [" ", "\n", "\0", "x" * 50_000, "😀" * 2000, "e" + "\u0301" * 500, "\ufeff", "a\r\nb"])
def test_any_text_that_is_not_empty_is_taken(acme: Customer, text: str):
    for policy in ("REPLACE", "TO_UTF16", "TRANSLITERATE"):
        acme.sent(later(text, invalidCharacters=policy))
    acme.sent(later(text, encoding="UTF-16", invalidCharacters="REFUSE"))


def test_characters_to_be_refused_are_422_and_leave_nothing_behind(acme: Customer):
    reference = "refused whole"
    request = later("plain", invalidCharacters="REFUSE", customerRef=reference)
    request["messages"] += [{"text": f"secret {each} words", "recipients": [{"dst": MOBILE}]} for each in "日ë"]
    reply = acme.post(request)
    assert_error(reply, 422)
    assert [error["field"] for error in reply.json()["errors"]] == ["messages[1].text", "messages[2].text"]
    assert not any(part in reply.text for part in ("secret", "words", "日", "plain"))
    jobs = acme.get("/jobs", jobIdsOnly=False, limit=1000).json()
    assert reference not in [job["customerRef"] for job in jobs]
    extended = "€[]{}~^\\|\f äöüÄÖÜßñÑàèéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæÉ¡¿£¥§¤"
    assert acme.post(later(extended, invalidCharacters="REFUSE")).status_code == 201
    assert acme.post(later("日本", invalidCharacters="REFUSE", encoding="UTF-16")).status_code == 201


def test_a_job_has_3000_recipients_at_most_over_all_its_messages(acme: Customer):
    def messages(*counts: int) -> dict[str, Any]:
        return {**later(), "messages": [{"text": "x", "recipients": [{"dst": MOBILE}] * count} for count in counts]}

    job_id = acme.sent(messages(1000, 1, 1999))
    assert len(set(acme.job(job_id)["recipientIds"])) == 3000
    assert [sms["smsId"] for sms in acme.sms(job_id)] == acme.job(job_id)["recipientIds"]
    assert acme.post(messages(3000)).status_code == 201
    for counts in ((3001,), (1000, 1, 2000), (*[1] * 3001,)):
        assert acme.refused(messages(*counts)), counts


@pytest.mark.parametrize(
    ("dst", "e164"),
    [
        ("+4917612345678", "+4917612345678"),
        ("+49 176 1234 5678", "+4917612345678"),
        ("+49 (0)176 / 1234-5678", "+4917612345678"),
        ("0049 176 12345678", "+4917612345678"),
        ("0176 12345678", "+4917612345678"),
        ("0176/123.456.78", "+4917612345678"),
        ("4917612345678", "+4917612345678"),
        ("tel:+49-176-12345678", "+4917612345678"),
        ("+1 (212) 555-2368", "+12125552368"),
        ("001 212 555 2368", "+12125552368"),
        ("436641234567", "+436641234567"),
        ("+43 664 1234567", "+436641234567"),
        ("030 901820", "+4930901820"),
        ("176 12345678", "+4917612345678"),
    ],
)
def test_a_number_in_any_usual_spelling_is_kept_as_e164(acme: Customer, dst: str, e164: str):
    sms = acme.only_sms(acme.sent(later("Hello", dst)))
    assert (sms["dst"], sms["customerRef"]) == (e164, dst)


@pytest.mark.parametrize(
    "dst", ["0", "12", "no number", "+", "00", "+49", "0176", " ", "+999123456789", "+4917612345678x1"]
)
def test_what_is_no_possible_number_ends_at_once_whatever_the_schedule(acme: Customer, dst: str):
    job_id = acme.sent(later("Hello", dst, blackoutPeriods=["2000-01-01T00:00Z/2099-01-01T00:00Z"]))
    sms = acme.only_sms(job_id)
    assert (sms["processStatus"], sms["status"], sms["dst"]) == ("DONE", "INVALID_DST", dst)
    assert sms["customerRef"] == dst
    assert "sentTs" not in sms
    assert acme.job(job_id)["finishedTs"] == sms["finishedTs"]


def test_an_account_without_a_country_reads_only_international_numbers(service: Program):
    other = service.customer("other")
    job_id = other.sent(later("Hello", "4917612345678", "0049 176 12345678", "+4917612345678", "017612345678"))
    statuses = [(sms["dst"], sms["status"]) for sms in other.sms(job_id)]
    assert statuses == [(MOBILE, "")] * 3 + [("017612345678", "INVALID_DST")]


def test_times_mean_what_their_offset_says_or_are_the_accounts(acme: Customer, service: Program):
    """Seen by what falls due: a job period an hour ago in Berlin is an hour or two ahead in UTC."""
    now = CLOCK.now()
    past = said(now - timedelta(minutes=1))
    in_berlin = re.sub("Z$", "", said(now + timedelta(hours=1) - timedelta(minutes=1)))  # winter and summer alike: past
    for start in (past, in_berlin):
        assert acme.ended(acme.sent(a_job(jobPeriod=start)))[0]["status"] == "SUC_ACC"
    other = service.customer("other")
    ids = [other.sent(a_job(jobPeriod=start)) for start in (in_berlin, past)]
    assert other.ended(ids[1])
    assert other.only_sms(ids[0])["processStatus"] == "OPEN"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2099-01-01T10",
        "2099-01-01T10:00",
        "2099-01-01T10:00:00",
        "2099-01-01T10:00:00.1234567Z",
        "2099-01-01T10:00:00,5Z",
        "2099-01-01T10:00+0200",
        "2099-01-01T10:00:00+02",
        "2099-01-01T10:00:00+02:00",
        "20990101T100000Z",
        "2099-01-01T10:00:00-0330",
        "2099-12-31T23:59:59.999Z",
        "2099-01-01t10:00z",
    ],
)
def test_times_are_iso_8601_in_any_of_its_forms(acme: Customer, text: str):
    acme.sent(a_job(jobPeriod=text))
    acme.sent(later(blackoutPeriods=[f"{text}/2199-01-01T00:00Z"]))
    assert acme.get("/jobs", jobIdsOnly=True, fromTs=text).status_code == 200


@pytest.mark.parametrize(
    "text", ["", "x", "tomorrow", "2026-02-30T10:00Z", "2026-01-01T25:00Z", "10:00", "1700000000", "01.02.2026 10:00"]
)
def test_what_is_no_time_is_400(acme: Customer, text: str):
    assert acme.refused(a_job(jobPeriod=text)) == ["options.jobPeriod"]
    assert acme.refused(a_job(blackoutPeriods=[f"{text}/2099-01-01T00:00Z"])) == ["options.blackoutPeriods[0]"]
    if text:
        assert_error(acme.get("/jobs", jobIdsOnly=True, fromTs=text), 400)


@pytest.mark.parametrize(
    "interval",
    [
        "2099-01-01T00:00Z/2099-01-01T00:00Z",
        "2099-01-02T00:00Z/2099-01-01T00:00Z",
        "2099-01-01T00:00+02:00/2099-01-01T00:00+03:00",
        "2099-01-01T00:00Z",
        "2099-01-01T00:00Z/",
        "/2099-01-01T00:00Z",
        "a/b",
        "2099-01-01T00:00Z/2099-01-02T00:00Z/2099-01-03T00:00Z",
        "",
        None,
        5,
    ],
)
def test_an_interval_that_is_none_is_400(acme: Customer, interval: object):
    good = "2099-01-01T00:00Z/2099-01-02T00:00Z"
    assert acme.refused(later(blackoutPeriods=[good, interval])) == ["options.blackoutPeriods[1]"]
    at_recipient = to(dst=MOBILE, blackoutPeriods=[good, interval])
    assert acme.refused(at_recipient) == ["messages[0].recipients[0].blackoutPeriods[1]"]


def test_a_recipients_blackout_periods_replace_those_of_the_options(acme: Customer):
    now = CLOCK.now()
    night = f"{said(now - timedelta(hours=3))}/{said(now + timedelta(hours=3))}"
    recipients = [
        {"dst": MOBILE},
        {"dst": MOBILE, "blackoutPeriods": None},
        {"dst": MOBILE, "blackoutPeriods": []},
        {"dst": MOBILE, "blackoutPeriods": ["2000-01-01T00:00Z/2000-01-02T00:00Z"]},
    ]
    request = {"options": {"blackoutPeriods": [night]}, "messages": [{"text": "x", "recipients": recipients}]}
    job_id = acme.sent(request)
    eventually(lambda: [sms["processStatus"] for sms in acme.sms(job_id)] == ["OPEN", "OPEN", "DONE", "DONE"])
    only_one = acme.sent(
        {"messages": [{"text": "x", "recipients": [{"dst": MOBILE, "blackoutPeriods": [night]}, {"dst": MOBILE}]}]}
    )
    eventually(lambda: [sms["processStatus"] for sms in acme.sms(only_one)] == ["OPEN", "DONE"])


def test_a_short_period_counts_as_an_hour_from_its_start(acme: Customer):
    now = CLOCK.now()
    short = f"{said(now - timedelta(minutes=30))}/{said(now - timedelta(minutes=29))}"
    over = f"{said(now - timedelta(minutes=61))}/{said(now - timedelta(minutes=60, seconds=30))}"
    waits = acme.sent(a_job(blackoutPeriods=[short]))
    assert acme.ended(acme.sent(a_job(blackoutPeriods=[over])))[0]["status"] == "SUC_ACC"
    assert acme.only_sms(waits)["processStatus"] == "OPEN"


def test_touching_periods_join(acme: Customer):
    """Only at the end of them all is it sent, also where the hour of a short one reaches the next."""

    def blackouts(now: datetime, *periods: tuple[float, float]) -> list[str]:
        return [
            f"{said(now + timedelta(seconds=start))}/{said(now + timedelta(seconds=end))}" for start, end in periods
        ]

    touches_s = 1.0
    while True:
        now = CLOCK.now()
        touching = acme.sent(a_job(blackoutPeriods=blackouts(now, (-7200, touches_s), (touches_s, 3600))))
        short = (touches_s - 3600, touches_s - 3000)
        after_short = acme.sent(a_job(blackoutPeriods=blackouts(now, short, (touches_s, 3600))))
        alone = acme.sent(a_job(blackoutPeriods=blackouts(now, (-7200, touches_s))))
        if CLOCK.now() < now + timedelta(seconds=touches_s):
            break
        touches_s *= 2  # On a busy machine they may have come when the first periods were over.
    acme.ended(alone)
    acme.ended(acme.sent(a_job()))
    assert [acme.only_sms(job_id)["processStatus"] for job_id in (touching, after_short)] == ["OPEN", "OPEN"]


def test_what_an_option_leaves_out_comes_from_the_account(service: Program):
    house = service.customer("house")
    job = house.job(house.sent(to(dst=MOBILE)))
    assert {name: job[name] for name in JOB_OPTIONS} == {
        "src": "HOUSE",
        "encoding": "UTF-16",
        "billcode": "costs",
        "statusRequested": True,
        "flash": True,
        "validityMin": 60,
        "customerRef": "ours",
        "qos": "EXPRESS",
    }
    sms = house.only_sms(job["jobId"])
    assert (sms["processStatus"], sms["status"]) == ("OPEN", "")
    assert house.refused(to(dst=MOBILE), status=409) == []
    assert house.refused(
        {**to(dst=MOBILE), "options": {"encoding": "STANDARD"}, "messages": a_job("日")["messages"]}, 422
    )
    own = {"src": "+49", "encoding": "STANDARD", "billcode": "", "statusRequested": False, "flash": False}
    own |= {"validityMin": 0, "customerRef": "", "qos": "NORMAL"}
    job = house.job(
        house.sent({**to(dst=MOBILE), "options": {**own, "blackoutPeriods": [], "jobPeriod": "2000-01-01"}})
    )
    assert {name: job[name] for name in JOB_OPTIONS} == own
    assert house.ended(job["jobId"])[0]["status"] == "SUC_ACC"


JOB_OPTIONS = ["src", "encoding", "billcode", "statusRequested", "flash", "validityMin", "customerRef", "qos"]


# Section 1, duplicateDetection


def test_an_equal_request_is_a_duplicate_whatever_its_spacing_and_key_order(acme: Customer, service: Program):
    options = b'{"duplicateDetection":true,"billcode":"d\xc3\xa9"}'
    first = b'{"options":' + options + b',"messages":[{"text":"dup","recipients":[{"dst":"0"}]}]}'
    again = rb"""
      {"messages": [ {"recipients": [ {"dst": "0"} ], "text": "du\u0070"} ],
       "options": {"billcode": "d\u00e9", "duplicateDetection": true}} """
    job_id = acme.sent(first)
    for body in (first, again):
        reply = acme.post(body)
        assert_error(reply, 409)
        assert job_id in reply.json()["message"]
    assert acme.post(first.replace(b'"dup"', b'"dup "')).status_code == 201
    assert acme.post(first.replace(b'"0"', b'"00"')).status_code == 201
    assert service.customer("other").post(first).status_code == 201
    assert acme.post(first.replace(b"true", b"false")).status_code == 201


def test_without_duplicate_detection_equal_requests_are_two_jobs(acme: Customer):
    assert acme.sent(a_job("twice")) != acme.sent(a_job("twice"))


def test_of_equal_requests_at_the_same_moment_one_wins(acme: Customer):
    for round_ in range(5):
        request = a_job(f"race {round_}", duplicateDetection=True)
        with ThreadPoolExecutor(6) as customers:
            replies = list(customers.map(lambda _, request=request: acme.post(request), range(6)))
        assert sorted(reply.status_code for reply in replies) == [201] + [409] * 5
        (job_id,) = [reply.json()["jobId"] for reply in replies if reply.status_code == 201]
        assert all(job_id in reply.text for reply in replies)


def test_a_refused_request_is_no_first_one(acme: Customer):
    request = a_job("日 not yet", duplicateDetection=True, invalidCharacters="REFUSE")
    acme.refused(request, 422)
    acme.refused(request, 422)


# Section 1, Reports


def test_a_job_reads_back_complete_as_soon_as_it_is_accepted(acme: Customer):
    for _ in range(20):
        before = CLOCK.now() - timedelta(milliseconds=1)
        job_id = acme.sent(later("Hello", MOBILE, "0049 176 1", customerRef="mine", src="ACME"))
        job, sms = acme.job(job_id), acme.sms(job_id)
        assert set(job) == {"jobId", *JOB_OPTIONS, "receiptTs", "recipientIds"}
        assert (job["jobId"], job["customerRef"], job["src"]) == (job_id, "mine", "ACME")
        assert re.fullmatch(TIMESTAMP, job["receiptTs"])
        assert before <= instant(job["receiptTs"]) <= CLOCK.now()
        assert [each["smsId"] for each in sms] == job["recipientIds"]
        for each in sms:
            assert set(each) - {"sentTs", "finishedTs"} == {
                "smsId",
                "dst",
                "processStatus",
                "status",
                "customerRef",
                "reason",
            }


def test_without_options_the_last_column_holds(service: Program):
    other = service.customer("other")
    job = other.job(other.sent(to(dst=MOBILE)))
    expected = {"src": "", "encoding": "STANDARD", "billcode": "", "statusRequested": False, "flash": False}
    expected |= {"validityMin": 0, "customerRef": "", "qos": "NORMAL"}
    assert {name: job[name] for name in JOB_OPTIONS} == expected


def test_ids_tell_their_time_twice(acme: Customer):
    job = acme.job(acme.sent(later("Hello", MOBILE, MOBILE)))
    ids = [job["jobId"], *job["recipientIds"]]
    assert len({each[-9:] for each in ids}) == len(ids)
    for each, letter in zip(ids, "JSS", strict=True):
        parts = re.fullmatch(r"([JS])\.([0-9]{8}-[0-9]{6}\.[0-9]{3})-0([0-9a-z]{8})([A-Z0-9]{9})", each)
        assert parts
        assert parts[1] == letter
        stamp = datetime.strptime(parts[2] + "000+0000", "%Y%m%d-%H%M%S.%f%z")
        assert int(parts[3], 36) == round(stamp.timestamp() * 1000)
        assert said(stamp) == job["receiptTs"]


@pytest.mark.parametrize(
    "job_id",
    [
        "J." + "x" * 17,
        "J." + "x" * 39,
        "x",
        "S.20221116-102407.583-0lajfsfmoXIZJO93PQ",
        "j." + "x" * 20,
        "J." + "\n" * 20,
        "Jx" + "x" * 20,
        " J." + "x" * 20,
    ],
)
def test_a_malformed_job_id_is_400(acme: Customer, job_id: str):
    assert_error(acme.get(f"/jobs/{quote(job_id, safe='')}"), 400)
    assert_error(acme.get("/sms", jobId=job_id), 400)


@pytest.mark.parametrize(
    "job_id",
    [
        "J." + "x" * 18,
        "J." + "x" * 38,
        "J." + "ü" * 20,
        "J." + "/" * 20,
        "J." + "z" * 21,
        "J." + "😀" * 38,
        "J." + "\x00" * 18,
        "J.20221116-102407.583-0lajfsfmoXIZJO93PQ",
        "J." + "9" * 30,
        "J." + "%" * 20,
        "J." + " " * 20,
    ],
)
def test_an_unknown_job_id_is_404(acme: Customer, job_id: str):
    assert_error(acme.get(f"/jobs/{quote(job_id, safe='')}"), 404)
    assert_error(acme.get("/sms", jobId=job_id), 404)


def test_another_accounts_job_is_404(acme: Customer, service: Program):
    job_id = acme.sent(later())
    other = service.customer("other")
    assert_error(other.get(f"/jobs/{job_id}"), 404)
    assert_error(other.get("/sms", jobId=job_id), 404)
    assert {"jobId": job_id} not in other.get("/jobs", jobIdsOnly=True, limit=1000).json()


# Section 1, Listing


@pytest.fixture(scope="module")
def listed(service: Program) -> tuple[Customer, list[dict[str, Any]]]:
    """A customer with six jobs, of which the second and fourth are finished, newest first."""
    add_account(service.directory, "lister")
    customer = service.customer("lister")
    ids = [customer.sent(later("Hello", "0" if number in (1, 3) else MOBILE)) for number in range(6)]
    return customer, [customer.job(job_id) for job_id in reversed(ids)]


def listing(customer: Customer, **parameters: object) -> list[dict[str, Any]]:
    reply = customer.get("/jobs", **{"jobIdsOnly": False, **parameters})
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_jobs_are_listed_newest_first_whole_or_by_id(listed: tuple[Customer, list[dict[str, Any]]]):
    customer, jobs = listed
    assert listing(customer) == jobs
    assert listing(customer, jobIdsOnly="True") == [{"jobId": job["jobId"]} for job in jobs]
    assert listing(customer, jobIdsOnly="FALSE", open="False") == jobs
    assert listing(customer, open="True") == [job for job in jobs if "finishedTs" not in job]
    assert listing(customer, open=True, offset=1, limit=2) == [jobs[1], jobs[3]]


def test_lists_are_paged(listed: tuple[Customer, list[dict[str, Any]]]):
    customer, jobs = listed
    assert listing(customer, limit=0) == []
    assert listing(customer, offset=2, limit=3) == jobs[2:5]
    assert listing(customer, offset=6) == []
    assert listing(customer, offset=10**15, limit=1000) == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", -1),
        ("limit", 1001),
        ("limit", "x"),
        ("limit", 1.5),
        ("offset", -1),
        ("offset", "x"),
        ("open", "maybe"),
        ("jobIdsOnly", "1"),
        ("jobIdsOnly", ""),
    ],
)
def test_a_parameter_that_can_not_be_is_400(acme: Customer, parameter: str, value: object):
    reply = acme.get("/jobs", **{"jobIdsOnly": True, parameter: value})
    assert_error(reply, 400)
    assert [error["field"] for error in reply.json()["errors"]] == [parameter]


def test_a_list_without_job_ids_only_is_400(acme: Customer):
    reply = acme.get("/jobs")
    assert_error(reply, 400)
    assert [error["field"] for error in reply.json()["errors"]] == ["jobIdsOnly"]
    reply = acme.get("/jobs", limit=1001, fromTs="x", open="y")
    assert {error["field"] for error in reply.json()["errors"]} == {"jobIdsOnly", "limit", "fromTs", "open"}


def test_the_default_limit_is_100(service: Program):
    customer = service.customer("other")
    for _ in range(101):
        customer.sent(a_job("Hello", "0"))
    assert len(listing(customer, jobIdsOnly=True)) == 100


def test_from_is_inclusive_and_to_exclusive(listed: tuple[Customer, list[dict[str, Any]]]):
    customer, jobs = listed
    at = jobs[2]["receiptTs"]
    newer = [job for job in jobs if job["receiptTs"] >= at]
    older = [job for job in jobs if job["receiptTs"] < at]
    assert listing(customer, fromTs=at) == newer
    assert listing(customer, toTs=at) == older
    month = timedelta(days=30)
    assert listing(customer, fromTs=said(instant(at) - month), toTs=at) == older
    assert listing(customer, fromTs=at, toTs=said(instant(at) + month)) == newer
    assert listing(customer, fromTs=said(instant(at) - month)) == older, "30 days from it, and no more"
    assert listing(customer, toTs=said(instant(at) + month)) == newer
    assert listing(customer, toTs="2022-01-01T00:00Z") == []
    assert listing(customer, fromTs="0001-01-01T00:00Z") == listing(customer, fromTs="9999-12-31T23:59:59Z") == []
    for since, until in ((-month - timedelta(milliseconds=1), timedelta()), (timedelta(seconds=1), timedelta())):
        reply = customer.get("/jobs", jobIdsOnly=True, fromTs=said(instant(at) + since), toTs=said(instant(at) + until))
        assert_error(reply, 400)


def test_sms_without_a_filter_is_400(acme: Customer):
    assert_error(acme.get("/sms"), 400)
    assert_error(acme.get("/sms", jobId=""), 400)


# Section 1, Errors


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        (method, "/jobs", {"GET", "POST"})
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "BREW", "PROPFIND")
    ]
    + [("POST", "/sms", {"GET"}), ("DELETE", "/version", {"GET"}), ("POST", "/openapi.json", {"GET", "HEAD"})]
    + [("PUT", "/jobs/J.20221116-102407.583-0lajfsfmoXIZJO93PQ", {"GET"})],
)
def test_any_other_method_is_405_with_those_allowed(acme: Customer, method: str, path: str, allowed: set[str]):
    reply = acme.http.request(method, path)
    assert reply.status_code == 405
    assert allowed <= {each.strip() for each in reply.headers["allow"].split(",")}
    if method != "HEAD":
        assert_error(reply, 405)


@pytest.mark.parametrize(
    "path", ["/", "/job", "/jobs/a/b", "/Jobs", "/jobs/J.20221116-102407.583-0lajfsfmoXIZJO93PQ/sms"]
)
def test_what_is_not_there_is_404(acme: Customer, path: str):
    assert_error(acme.get(path), 404)


def test_a_body_over_8_mib_is_413(acme: Customer):
    head, tail = json.dumps(later("#")).encode().split(b"#")
    filling = 8 * 2**20 - len(head) - len(tail)
    assert acme.post(head + b"x" * filling + tail).status_code == 201
    acme.refused(head + b"x" * (filling + 1) + tail, 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"])
def test_another_media_type_is_415(acme: Customer, content_type: str):
    acme.refused(a_job(), 415, Content_Type=content_type)


def test_no_text_is_in_an_error(acme: Customer):
    secret = "4711 is the code"
    number = "0176 4711 4711"
    for request in (
        later(secret, number, validityMin=1),
        later(secret + "日", number, invalidCharacters="REFUSE"),
        {"messages": [{"text": [secret], "recipients": [{"dst": [number]}]}]},
        {"messages": [{"text": {"a": secret}, "recipients": secret}]},
        {"messages": [secret]},
        {"messages": secret},
        secret,
        [secret],
        json.dumps(later(secret)).encode()[:-1],
        json.dumps(later(secret)).encode().replace(b"}", b",}"),
        json.dumps(later(secret)).encode() + b"x",
        json.dumps(later(secret)).encode().replace(b"4711", b"\\ud800 4711"),
        json.dumps(later(secret)).encode().replace(b"4711", b"\xff 4711"),
    ):
        reply = acme.post(request)
        assert reply.status_code in (400, 422), reply.text
        assert "4711" not in reply.text
        assert "4711" not in str(reply.headers)


# Section 1, What clients in the wild send


def test_null_is_the_same_as_absent(acme: Customer):
    options = dict.fromkeys([*JOB_OPTIONS, "maxParts", "invalidCharacters", "jobPeriod", "duplicateDetection"])
    recipient = {"dst": MOBILE, "customerRef": None, "blackoutPeriods": None}
    request = {"options": {**options, "blackoutPeriods": None}, "messages": [{"text": "x", "recipients": [recipient]}]}
    job_id = acme.sent(request)
    plain = acme.job(acme.sent(to(dst=MOBILE)))
    assert {name: acme.job(job_id)[name] for name in JOB_OPTIONS} == {name: plain[name] for name in JOB_OPTIONS}
    assert acme.only_sms(job_id)["customerRef"] == MOBILE
    acme.sent({**to(dst=MOBILE), "options": None})
    assert acme.refused({"messages": [{"text": None, "recipients": None}]}) == [
        "messages[0].text",
        "messages[0].recipients",
    ]


def test_enum_values_may_be_in_any_case(acme: Customer):
    job = acme.report(encoding="utf-16", qos="Express", invalidCharacters="to_utf16")
    assert (job["encoding"], job["qos"]) == ("UTF-16", "EXPRESS")


@pytest.mark.parametrize(
    "path",
    ["/jobs?jobIdsOnly=true&", "/jobs/?jobIdsOnly=TRUE", "/jobs?&jobIdsOnly=true&&limit=&", "/version?", "/version/"],
)
def test_a_question_mark_an_ampersand_or_a_slash_with_nothing_after_it(service: Program, path: str):
    parts = urlsplit(service.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"/rest/v1{path}", headers={"Authorization": basic("acme")})
    reply = connection.getresponse()
    assert reply.status == 200
    assert not reply.getheader("Heliograph-Ignored")
    connection.close()


def basic(name: str, alphabet: Callable[[bytes], bytes] = b64encode) -> str:
    return "Basic " + alphabet(f"{name}:{PASSWORD}".encode()).decode()


def test_a_basic_token_may_be_in_either_base64_alphabet(service: Program):
    assert basic("acme") != basic("acme", urlsafe_b64encode), "the password must tell the two apart"
    for header in (basic("acme"), basic("acme", urlsafe_b64encode), basic("acme").replace("Basic", "basic")):
        reply = httpx2.get(
            f"{service.url}/rest/v1/jobs?jobIdsOnly=true", headers={"Authorization": header}, trust_env=False
        )
        assert reply.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON", "application/json ;"],
)
def test_the_content_type_may_have_a_charset(acme: Customer, content_type: str):
    acme.sent(a_job(), Content_Type=content_type)


def test_posting_with_a_slash_at_the_end(acme: Customer):
    assert acme.http.post("/jobs/", json=a_job()).status_code == 201
    job_id = acme.sent(a_job())
    assert acme.get(f"/jobs/{job_id}/").json()["jobId"] == job_id


def test_options_in_snake_case_are_aliases_that_lose(acme: Customer):
    snake = {
        "status_requested": True,
        "customer_ref": "r",
        "validity_min": 5,
        "max_parts": 1,
        "invalid_characters": "REFUSE",
    }
    snake |= {"job_period": "2099-01-01T00:00Z", "duplicate_detection": True, "blackout_periods": []}
    request = {**to(dst=MOBILE), "options": snake}
    reply = acme.post(request)
    assert "heliograph-ignored" not in reply.headers
    job = acme.job(reply.json()["jobId"])
    assert (job["statusRequested"], job["customerRef"], job["validityMin"]) == (True, "r", 5)
    assert acme.only_sms(job["jobId"])["processStatus"] == "OPEN"
    assert acme.post(request).status_code == 409
    for options in ({"validity_min": 7, "validityMin": 9}, {"validityMin": 9, "validity_min": 7}):
        assert acme.report(**options)["validityMin"] == 9
    assert acme.report(validity_min=7, validityMin=None)["validityMin"] == 7


def test_a_recipients_reference_may_be_called_custom_ref(acme: Customer):
    for recipient, expected in (
        ({"customRef": "a"}, "a"),
        ({"customRef": "a", "customerRef": "b"}, "b"),
        ({"customerRef": "b", "customRef": "a"}, "b"),
        ({"customerRef": None, "customRef": "a"}, "a"),
    ):
        assert acme.only_sms(acme.sent(to(dst=MOBILE, **recipient)))["customerRef"] == expected


def test_unknown_fields_are_ignored_and_named_by_path(acme: Customer):
    request = a_job(colour="red")
    request["extra"] = {"deep": 1}
    request["messages"][0]["recipients"][0]["name"] = "x"
    request["messages"] += [{"text": "x", "recipients": [{"dst": MOBILE}], "subject": "x", "topic": None}]
    reply = acme.post(request)
    assert reply.status_code == 201
    named = [each.strip() for each in reply.headers["heliograph-ignored"].split(",")]
    assert set(named) == {"options.colour", "extra", "messages[0].recipients[0].name", "messages[1].subject"}
    assert "heliograph-ignored" not in acme.post(a_job()).headers
    assert acme.get("/jobs", jobIdsOnly=True, colour="red").headers["heliograph-ignored"] == "colour"
    refused = acme.refused(request, Prefer="handling=strict")
    assert set(refused) == set(named)
    assert acme.refused(request, Prefer='respond-async, Handling="strict"; x=y')
    assert acme.post(request, Prefer="handling=lenient").status_code == 201
    acme.sent(a_job(), Prefer="handling=strict")


# Section 1, Rate limit


@pytest.mark.alone
def test_a_rate_limit_is_a_sliding_window(service: Program):
    limited = service.customer("limited")
    limited.get("/version")  # The first call takes longer: the password is checked.
    time.sleep(1.05)
    replies: list[httpx2.Response] = []
    accepted: list[tuple[float, float]] = []
    began = CLOCK.monotonic()
    while (sent_at := CLOCK.monotonic() - began) < 2.3:
        replies.append(limited.get("/jobs", jobIdsOnly=True))
        if replies[-1].status_code == 200:
            accepted.append((sent_at, CLOCK.monotonic() - began))
        time.sleep(0.05)
    for (first_sent_at, _), (_, sixth_answered_at) in zip(accepted, accepted[5:], strict=False):
        assert sixth_answered_at - first_sent_at >= 0.999
    assert len(accepted) >= 11
    assert [int(reply.headers["ratelimit-remaining"]) for reply in replies[:5]] == [4, 3, 2, 1, 0]
    for reply in replies:
        assert reply.headers["ratelimit-limit"] == "5"
        assert 0 <= int(reply.headers["ratelimit-remaining"]) < 5
        assert 0 <= int(reply.headers["ratelimit-reset"]) <= 1
        if reply.status_code != 200:
            assert_error(reply, 429)
            assert reply.headers["retry-after"] == "1"


def test_every_answer_to_a_limited_account_tells_its_limit(service: Program):
    hundred = service.customer("hundred")
    replies = [
        hundred.get("/version"),
        hundred.get("/jobs"),
        hundred.get("/nothing"),
        hundred.http.put("/jobs"),
        hundred.post(b"x", Content_Type="text/plain"),
        hundred.post(a_job()),
        hundred.get("/jobs/J.20221116-102407.583-0lajfsfmoXIZJO93PQ"),
    ]
    assert [reply.status_code for reply in replies] == [200, 400, 404, 405, 415, 201, 404]
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == [str(99 - used) for used in range(7)]
    assert {reply.headers["ratelimit-limit"] for reply in replies} == {"100"}


def test_an_account_without_a_limit_is_told_of_none(acme: Customer):
    assert not [name for name in acme.get("/version").headers if name.startswith("ratelimit")]


# Section 2: what needs no credentials


def test_the_api_describes_itself(service: Program):
    with httpx2.Client(base_url=service.url, trust_env=False) as anybody:
        described = anybody.get("/rest/v1/openapi.json").json()
        assert described["openapi"].startswith("3.")
        assert {"/jobs", "/jobs/{jobId}", "/sms", "/version"} <= {
            path.removeprefix("/rest/v1") for path in described["paths"]
        }
        text = json.dumps(described)
        assert "status_requested" not in text
        assert "customRef" not in text
        docs = anybody.get("/rest/v1/docs")
        assert docs.status_code == 200
        assert docs.headers["content-type"].startswith("text/html")


def test_health_readiness_and_metrics_are_at_the_root(service: Program):
    with httpx2.Client(base_url=service.url, trust_env=False) as anybody:
        assert anybody.get("/healthz").status_code == anybody.get("/readyz").status_code == 200
        metrics = anybody.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "# TYPE heliograph_" in metrics.text
        assert MOBILE not in metrics.text


# Section 3: accounts, while the service runs


def test_passwords_are_kept_as_argon2id(service: Program):
    kept = (service.directory / "heliograph.db").read_bytes() + (service.directory / "heliograph.db-wal").read_bytes()
    assert b"$argon2id$" in kept
    assert PASSWORD.encode() not in kept


def test_a_password_is_made_up_and_printed_once(service: Program):
    done = run(service.directory, "account", "add", "made-up")
    password = done.stdout.strip()
    assert done.returncode == 0
    assert len(password) >= 12
    url = f"{service.url}/rest/v1/jobs?jobIdsOnly=true"
    assert httpx2.get(url, auth=("made-up", password), trust_env=False).status_code == 200
    listed = run(service.directory, "account", "list")
    assert "made-up" in listed.stdout
    assert password not in listed.stdout + listed.stderr


@pytest.mark.alone
def test_a_disabled_account_and_an_old_password_are_refused_soon(service: Program):
    leaver = service.customer("leaver")
    assert leaver.get("/version").status_code == 200
    assert run(service.directory, "account", "passwd", "leaver", "--password-stdin", stdin="new one\n").returncode == 0
    eventually(lambda: leaver.get("/version").status_code == 401, within_s=3)
    leaver.http.auth = httpx2.BasicAuth("leaver", "new one")
    assert leaver.get("/version").status_code == 200
    assert run(service.directory, "account", "disable", "leaver").returncode == 0
    eventually(lambda: leaver.get("/version").status_code == 401, within_s=3)


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "acme"],
        ["add", "a:b"],
        ["add"],
        ["add", "x", "--rate-limit", "lots"],
        ["add", "x", "--rate-limit", "0/60s"],
        ["add", "x", "--country", "XX"],
        ["add", "x", "--timezone", "Mars/Olympus"],
        ["add", "x", "--validity-min", "3"],
        ["add", "x", "--src", "much too long a name"],
        ["add", "x", "--encoding", "EBCDIC"],
        ["add", "x", "--on-unknown", "panic"],
        ["add", "x", "--blackout-periods", "x"],
        ["add", "x", "--no-such-flag"],
        ["disable", "nobody"],
        ["passwd", "nobody"],
        ["frobnicate"],
        ["list", "--database", "postgres"],
        ["list", "--config", "missing.toml"],
    ],
)
def test_an_error_is_one_line_and_an_exit_code(service: Program, arguments: list[str]):
    done = run(service.directory, "account", *arguments)
    assert done.returncode not in (0, None)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


# Section 3: serve


def test_a_second_service_on_the_same_file_is_refused(service: Program, acme: Customer):
    done = run(service.directory, "serve", "--listen", "127.0.0.1:0")
    assert done.returncode not in (0, None)
    assert len(done.stderr.splitlines()) == 1
    assert acme.post(a_job()).status_code == 201


def test_nobody_waits_for_anothers_large_request(service: Program, acme: Customer):
    large = json.dumps(later("日" * 1_000_000, invalidCharacters="TRANSLITERATE"), ensure_ascii=False).encode()
    days = [f"{year}-{month:02}-{day:02}" for year in range(2020, 2099) for month in (1, 7) for day in (1, 9)]
    nights = [f"{day}T20:00Z/{day}T23:00Z" for day in days]
    to_many = later("x", *[MOBILE] * 3000, blackoutPeriods=nights)
    slowest_s = 0.0
    asked_at = CLOCK.monotonic()
    with ThreadPoolExecutor(1) as hands, httpx2.Client(base_url=service.url, trust_env=False) as anybody:
        for request in (large, to_many):
            taken = hands.submit(acme.post, request)
            while not taken.done():
                began = CLOCK.monotonic()
                assert anybody.get("/healthz").status_code == 200
                slowest_s = max(slowest_s, CLOCK.monotonic() - began)
                time.sleep(0.02)
            assert taken.result().status_code == 201
    # Reading the large one takes nearly all of the time: whoever waited for it waited as long.
    assert slowest_s < (CLOCK.monotonic() - asked_at) / 2


def test_what_an_operator_may_have_overlooked_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plain HTTP beyond this machine; variables that mean nothing, such as Kubernetes sets for any service's name."""
    monkeypatch.setenv("HELIOGRAPH_SERVICE_HOST", "10.0.0.1")
    with program(tmp_path, "--listen", "0.0.0.0:0") as started:
        warned = started.log.read_text("utf-8").partition("server.started")[0]
    assert "server.no_tls" in warned
    assert "HELIOGRAPH_SERVICE_HOST" in warned


def test_a_port_that_is_taken_is_told_in_one_line(service: Program, tmp_path: Path):
    done = run(tmp_path, "serve", "--listen", service.url.removeprefix("http://"))
    assert done.returncode not in (0, None)
    assert len(done.stderr.splitlines()) == 1


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "heliograph.toml").write_text('[database]\nurl = "sqlite:///file.db"\n[retention]\ndays = 7\n', "utf-8")
    assert run(tmp_path, "account", "add", "one").returncode == 0
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", "sqlite:///variable.db")
    assert run(tmp_path, "account", "add", "one").returncode == 0
    assert run(tmp_path, "account", "add", "one", "--database", "sqlite:///flag.db").returncode == 0
    assert {"file.db", "variable.db", "flag.db"} <= {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "heliograph.db").exists()


@pytest.mark.parametrize(
    "config",
    [
        "[server]\nlisten = 8480\n",
        "[sevrer]\n",
        "[server]\nlisten_on = 'x'\n",
        "[delivery]\nretry = [0]\n",
        "[[carriers]]\nname = 'x'\nkind = 'pigeon'\n",
        "[[routes]]\nto = ['+49']\ncarriers = ['nobody']\n",
        "not toml",
        "[server]\ntls_certificate = 'missing.pem'\ntls_key = 'missing.pem'\n",
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(tmp_path: Path, config: str):
    (tmp_path / "my.toml").write_text(config, "utf-8")
    done = run(tmp_path, "serve", "--config", "my.toml")
    assert done.returncode not in (0, None)
    assert len(done.stderr.splitlines()) == 1
    assert "my.toml" in done.stderr or "tls_certificate" in done.stderr


def test_the_demo_account_is_made_on_an_empty_database_and_its_password_printed_once(tmp_path: Path):
    with program(tmp_path) as first:
        printed = first.out.read_text("utf-8")
        (password,) = re.findall(r"^username: demo\npassword: (\S+)$", printed, re.MULTILINE)
        assert password not in first.log.read_text("utf-8")
        with httpx2.Client(base_url=first.url, auth=("demo", password), trust_env=False) as demo:
            assert demo.get("/rest/v1/jobs?jobIdsOnly=true").status_code == 200
        assert first.stop() == 0
    with program(tmp_path) as second:
        assert second.out.read_text("utf-8") == printed, "the first one's, and nothing more"
        with httpx2.Client(base_url=second.url, auth=("demo", password), trust_env=False) as demo:
            assert demo.get("/rest/v1/jobs?jobIdsOnly=true").status_code == 200


SLOW = """
[server]
log_requests = true
[[carriers]]
name = "slow"
kind = "sandbox"
rate = 40
window = 4
"""


@pytest.mark.alone
def test_express_overtakes_and_accounts_take_turns(tmp_path: Path):
    (tmp_path / "heliograph.toml").write_text(SLOW, "utf-8")
    for name in ("acme", "other"):
        add_account(tmp_path, name)
    with program(tmp_path) as started:
        acme, other = started.customer(), started.customer("other")
        long = acme.sent(a_job("Hello", *[MOBILE] * 3000))
        second = acme.sent(a_job())
        turn, express = other.sent(a_job()), acme.sent(a_job(qos="EXPRESS"))
        for customer, job_id in ((other, turn), (acme, express)):
            assert customer.ended(job_id, within_s=2)[0]["status"] == "SUC_ACC"
        assert "finishedTs" not in acme.job(long)
        assert acme.only_sms(second)["processStatus"] == "OPEN"


@pytest.mark.alone
def test_nothing_acknowledged_is_lost_by_a_kill_under_load(tmp_path: Path):
    for name in ("acme", "other"):
        add_account(tmp_path, name)
    acknowledged: dict[str, list[str]] = {"acme": [], "other": []}
    secret = "the code is 4711"
    due_at = CLOCK.now() + timedelta(seconds=12)  # when what was accepted before has left

    def keep_sending(customer: Customer, ids: list[str]) -> None:
        while True:
            try:
                reply = customer.post(a_job(secret, *[MOBILE] * 20, statusRequested=True))
            except httpx2.HTTPError:
                return
            if reply.status_code == 201:
                ids.append(reply.json()["jobId"])

    with program(tmp_path) as started, ThreadPoolExecutor(4) as hands:
        scheduled = started.customer().sent(a_job(jobPeriod=said(due_at)))
        for name in (*acknowledged, *acknowledged):
            hands.submit(keep_sending, started.customer(name), acknowledged[name])
        time.sleep(1)
        started.stop(signal.SIGKILL)
    with program(tmp_path) as started:
        for name, ids in acknowledged.items():
            customer = started.customer(name)
            assert len(ids) > 10
            known = {job["jobId"] for job in listing(customer, jobIdsOnly=True, limit=1000)}
            assert len(set(ids)) > 900 or set(ids) <= known
            for job_id in ids:
                assert [sms["status"] for sms in customer.ended(job_id)] == ["SUC_FIN"] * 20
        report = started.customer().ended(scheduled)[0]
        assert timedelta() <= instant(report["sentTs"]) - due_at < timedelta(seconds=1)
        assert started.stop() == 0
    written = (tmp_path / "log").read_text("utf-8") + (tmp_path / "out").read_text("utf-8")
    assert secret not in written
    assert PASSWORD not in written
    assert MOBILE not in written


def test_after_sigterm_nothing_is_sent_twice_and_what_waits_is_sent_later(tmp_path: Path):
    (tmp_path / "heliograph.toml").write_text(SLOW.replace("40", "100"), "utf-8")
    add_account(tmp_path, "acme")
    with program(tmp_path) as started:
        job_id = started.customer().sent(a_job("Hello", *[MOBILE] * 1000, statusRequested=True))
        eventually(lambda: any("sentTs" in sms for sms in started.customer().sms(job_id)))
        assert started.stop() == 0
    with program(tmp_path, "--roles", "api") as started:
        before = {sms["smsId"]: sms.get("sentTs") for sms in started.customer().sms(job_id)}
    waiting = [*before.values()].count(None)
    assert 0 < waiting < len(before)
    (tmp_path / "heliograph.toml").write_text(SLOW.replace("rate = 40", ""), "utf-8")
    with program(tmp_path) as started:
        reports = started.customer().ended(job_id)
        assert {sms["status"] for sms in reports} == {"SUC_FIN"}
        assert all(before[sms["smsId"]] in (None, sms["sentTs"]) for sms in reports)
        metrics = httpx2.get(f"{started.url}/metrics", trust_env=False).text
    sent_count = re.findall(r"^heliograph_submit_outcomes_total{.*} (\S+)$", metrics, re.MULTILINE)
    assert sum(map(float, sent_count)) == waiting


def test_the_roles_of_a_process_can_be_chosen(tmp_path: Path):
    add_account(tmp_path, "acme")
    with program(tmp_path, "--roles", "api") as api:
        job_id = api.customer().sent(a_job())
        for _ in range(30):  # Time is told in commits: a dispatcher would have needed two to send it.
            api.customer().sent(later())
        assert api.customer().only_sms(job_id)["processStatus"] == "OPEN"
        api.stop()
    with program(tmp_path, "--roles", "dispatch") as dispatch:
        assert httpx2.get(f"{dispatch.url}/readyz", trust_env=False).status_code == 200
        metrics = f"{dispatch.url}/metrics"
        eventually(lambda: '"SUC_ACC"} 1' in httpx2.get(metrics, trust_env=False).text)
        assert dispatch.customer().get("/jobs", jobIdsOnly=True).status_code == 404


# Section 1, Rate limit: wrong passwords. At the end, for they slow down this machine's requests.


@pytest.mark.alone
def test_wrong_passwords_use_up_no_calls_and_slow_their_source(service: Program):
    hundred = service.customer("hundred")
    before = int(hundred.get("/version").headers["ratelimit-remaining"])
    url = f"{service.url}/rest/v1/version"
    waits: list[float] = []
    for attempt in range(4):
        began = CLOCK.monotonic()
        elsewhere = {"X-Forwarded-For": f"192.0.2.{attempt}"}  # Which no proxy that is trusted has said.
        auth = "hundred", f"wrong {attempt}"
        reply = httpx2.get(url, auth=auth, headers=elsewhere, trust_env=False, timeout=30)
        waits.append(CLOCK.monotonic() - began)
        assert_error(reply, 401)
        assert "ratelimit-limit" not in reply.headers
    assert waits[-1] > 0.2
    began = CLOCK.monotonic()
    assert int(hundred.get("/version").headers["ratelimit-remaining"]) >= before - 1
    assert CLOCK.monotonic() - began < 0.5, "who is known already is not slowed"


# Section 4, and section 1, Status of one SMS: what has been under way since the service started


def endings(reports: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(sms["processStatus"], sms["status"]) for sms in reports]


@pytest.mark.alone
def test_the_sandbox_decides_by_the_last_four_digits(acme: Customer, sent: Sent):
    eventually(lambda: endings(acme.sms(sent.every_ending)) == [*ENDINGS.values()])
    by_dst = {sms["dst"]: sms for sms in acme.sms(sent.every_ending)}
    assert [*by_dst] == [*ENDINGS]
    for dst, (process_status, status) in ENDINGS.items():
        sms = by_dst[dst]
        assert ("sentTs" in sms) == (status in ("SUC_FIN", "FAILED_FIN", "TIMEOUT", "")), dst
        assert ("finishedTs" in sms) == (process_status == "DONE"), dst
        for name in {"sentTs", "finishedTs"} & set(sms):
            assert re.fullmatch(TIMESTAMP, sms[name])
    delivered, throttled = by_dst[MOBILE], by_dst["+4917612340006"]
    for each in (delivered, throttled):
        assert each["reason"] == "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)"
    waited = instant(delivered["finishedTs"]) - instant(delivered["sentTs"])
    assert timedelta(seconds=0.19) < waited < timedelta(seconds=1)
    assert by_dst["+4917612340003"]["reason"].startswith("command_status:ESME_")
    given_up = instant(by_dst["+4917612340004"]["finishedTs"]) - sent.at
    assert timedelta(seconds=8) <= given_up < timedelta(seconds=12), "after 1, 2 and 5 s, and no more"
    assert "finishedTs" not in acme.job(sent.every_ending)
    assert {"jobId": sent.every_ending} in listing(acme, jobIdsOnly=True, open=True, limit=1000)


def test_without_a_receipt_asked_for_what_the_carrier_took_is_done(acme: Customer, sent: Sent):
    reports = acme.ended(sent.no_receipt)
    took = ("DONE", "SUC_ACC")
    expected = [took, took, took, ("DONE", "NOT_ACC_FIN"), ("DONE", "CON_ERR"), took, took, ("DONE", "INVALID_DST")]
    assert endings(reports) == expected
    assert acme.job(sent.no_receipt)["finishedTs"] == max(sms["finishedTs"] for sms in reports)


@pytest.mark.alone
def test_a_scheduled_sms_leaves_within_a_second_of_its_time(acme: Customer, sent: Sent):
    report = acme.ended(sent.soon)[0]
    assert timedelta() <= instant(report["sentTs"]) - sent.due_at + timedelta(milliseconds=1) < timedelta(seconds=1)


@pytest.mark.alone
def test_an_sms_due_in_a_blackout_period_is_sent_at_its_end(acme: Customer, sent: Sent):
    report = acme.ended(sent.in_blackout)[0]
    assert (
        timedelta() <= instant(report["sentTs"]) - sent.blackout_end + timedelta(milliseconds=1) < timedelta(seconds=1)
    )
