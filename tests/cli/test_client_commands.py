"""The client commands, against a service of prepared answers."""

import io
import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from heliograph.cli import client_flags
from heliograph.cli.connecting import failure
from heliograph.cli.exits import Exit
from heliograph.cli.main import run
from heliograph.jobs.options import OPTIONS
from heliograph.sdk import Unavailable, services
from heliograph.sdk.transport import no_answer
from tests.cli.test_commands import FLAGS_OF_OPTIONS, Ran
from tests.fakes.http_service import serving
from tests.fakes.web import Web, answered, told

JOB = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
OTHER = "J.20221115-102407.583-0lajfsfmoP4Q8ZL2DK"
TO = ("--to", "+4917604069099")


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HELIOGRAPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HELIOGRAPH_USERNAME", "acme")
    monkeypatch.setenv("HELIOGRAPH_PASSWORD", "secret!")


@pytest.fixture
def heliograph(capsys, monkeypatch):
    def run_one(*arguments, web=None, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with serving(web or Web()) as url:
            monkeypatch.setenv("HELIOGRAPH_URL", url)
            code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run_one


def sent(job_id=JOB):
    return answered(201, {"jobId": job_id})


def a_job(job_id=JOB, **fields):
    return {
        "jobId": job_id,
        "receiptTs": "2022-11-16T10:24:07.583Z",
        "finishedTs": "2022-11-16T10:24:08Z",
        "recipientIds": ["S.1", "S.2"],
        "src": "ACME",
        **fields,
    }


def an_sms(status="SUC_FIN", process_status="DONE", **fields):
    return {"smsId": "S.1", "dst": "+4917604069099", "processStatus": process_status, "status": status, **fields}


# Which service, and as whom


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("URL", "no service is named: set HELIOGRAPH_URL, or give --url"),
        ("USERNAME", "no account is named: set HELIOGRAPH_USERNAME, or give --username"),
        ("PASSWORD", "there is no password: set HELIOGRAPH_PASSWORD, or give --password-stdin"),
    ],
)
def test_what_is_missing_is_named(heliograph, capsys, monkeypatch, missing, message):
    monkeypatch.setenv("HELIOGRAPH_URL", "https://sms.example")
    monkeypatch.delenv(f"HELIOGRAPH_{missing}")
    assert run(["jobs"]) == Exit.CONFIGURATION
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert message in told.err


def test_the_variables_are_those_of_the_sdk():
    for name in ("URL_VARIABLE", "USERNAME_VARIABLE", "PASSWORD_VARIABLE"):
        assert getattr(client_flags, name) == getattr(services, name)


def test_flags_win_over_the_environment_and_the_password_may_come_from_stdin(heliograph):
    web = Web(answered(200, a_job()))
    ran = heliograph("job", JOB, "--username", "müller", "--password-stdin", web=web, stdin="wäre\n".encode())
    assert ran.code == Exit.OK
    assert web.asked[0].headers["authorization"] == "Basic bcO8bGxlcjp3w6RyZQ=="


def test_there_is_no_flag_for_a_password(heliograph):
    ran = heliograph("jobs", "--password", "secret!")
    assert ran.code == Exit.USAGE
    assert "Unknown option" in ran.err


@pytest.mark.parametrize("command", [["jobs"], ["send", "Hi", *TO], ["version"], ["send", "--csv", "x.csv"]])
def test_no_password_is_ever_printed(heliograph, command):
    Path("x.csv").write_text("dst,text\n1,Hi\n")
    ran = heliograph(*command, web=Web(by=lambda asked: told(401, "wrong username or password")))
    assert ran.code == Exit.CONFIGURATION
    assert "look at HELIOGRAPH_USERNAME and HELIOGRAPH_PASSWORD" in ran.err
    assert "secret!" not in ran.out + ran.err


def test_a_password_that_others_can_read_on_the_way_is_warned_about_once(capsys, monkeypatch):
    monkeypatch.setenv("HELIOGRAPH_URL", "http://sms.invalid")
    assert run(["jobs"]) == Exit.UNAVAILABLE
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("heliograph: warning: http://sms.invalid is not encrypted")
    assert len(told) == 2


def test_authorities_come_from_a_file(heliograph, capsys, monkeypatch):
    monkeypatch.setenv("HELIOGRAPH_URL", "https://127.0.0.1:1")
    assert run(["jobs", "--ca-file", "no.pem"]) == Exit.CONFIGURATION
    assert "--ca-file no.pem can't be used" in capsys.readouterr().err


# Errors


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (told(400, "limit is wrong"), Exit.USAGE, "limit is wrong"),
        (told(401, "wrong password"), Exit.CONFIGURATION, "wrong password"),
        (told(404, "there is no such job"), Exit.FAILED, "there is no such job"),
        (told(405, "GET is not possible"), Exit.FAILED, "this service can't do that"),
        (answered(200, ["x"]), Exit.CONFIGURATION, "is none of this API"),
        (told(500, "a bug"), Exit.UNAVAILABLE, "a bug"),
        (told(429, "too many", retry_after="100"), Exit.UNAVAILABLE, "too many"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code_says_who_has_to_act(heliograph, answer, code, message):
    ran = heliograph("job", JOB, web=Web(by=lambda asked: answer))
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert message in ran.err


@pytest.mark.parametrize("command", [["jobs"], ["sms", "--dst", "+491"], ["send", "Hi", *TO], ["preview", "Hi", *TO]])
def test_a_404_that_is_about_no_job_is_about_the_url(heliograph, command):
    ran = heliograph(*command, web=Web(by=lambda asked: told(404, "there is nothing here")))
    assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.CONFIGURATION, "", 1)
    assert "look at HELIOGRAPH_URL, or --url" in ran.err


@pytest.mark.parametrize("command", ["job", "sms", "cancel"])
def test_a_404_of_a_job_is_about_the_job(heliograph, command):
    ran = heliograph(command, JOB, web=Web(by=lambda asked: told(404, "there is no such job")))
    assert (ran.code, ran.err) == (Exit.FAILED, "heliograph: there is no such job\n")


def test_a_certificate_that_is_not_trusted_is_told_with_the_flag():
    error = httpx2.ConnectError("")
    error.__cause__ = ssl.SSLCertVerificationError()
    error.__cause__.verify_message = "self-signed certificate"
    told = str(failure(Unavailable(no_answer(error, 10).reason)))
    assert "self-signed certificate; give a file with its authority's with --ca-file" in told


def test_a_service_that_is_not_there_is_unavailable(capsys, monkeypatch):
    monkeypatch.setenv("HELIOGRAPH_URL", "http://127.0.0.1:1")
    assert run(["job", JOB]) == Exit.UNAVAILABLE
    assert "did not answer" in capsys.readouterr().err


def test_what_may_have_been_sent_has_an_exit_code_of_its_own(heliograph):
    lost = httpx2.ReadError("")
    ran = heliograph("send", "Hi", *TO, web=Web(lost, *[answered(200, {"versionInfo": "other 1"})] * 9))
    assert (ran.code, ran.out) == (Exit.UNCERTAIN, "")
    assert "unknown whether it was done" in ran.err


def test_a_fault_is_told_by_its_flag(heliograph):
    faults = {
        "options.validityMin": "must be more",
        "options.blackoutPeriods[0]": "can't be read",
        "messages[0].recipients[1].dst": "must be a number",
        "messages[0].text": "must not be empty",
        "options.somethingNew": "is wrong",
        "six": "is wrong",
        "seven": "is wrong",
    }
    answer = answered(
        400, {"code": 400, "message": "x", "errors": [{"field": name, "message": m} for name, m in faults.items()]}
    )
    ran = heliograph("send", "Hi", *TO, "--to", "x", web=Web(answer))
    assert ran.code == Exit.USAGE
    assert ran.err == (
        "heliograph: --validity-min must be more; --blackout-periods can't be read; --to x must be a number; "
        "TEXT must not be empty; options.somethingNew is wrong; and 2 more\n"
    )


# Sending


def test_a_job_is_sent_and_its_id_printed(heliograph):
    web = Web(sent())
    ran = heliograph("send", "Hello", *TO, "--to", "0176 1", web=web)
    assert (ran.code, ran.out, ran.err) == (Exit.OK, f"{JOB}\n", "")
    assert web.asked[0].json() == {
        "messages": [{"text": "Hello", "recipients": [{"dst": "+4917604069099"}, {"dst": "0176 1"}]}]
    }
    assert web.asked[0].key
    assert heliograph("send", "Hello", *TO, "--json", web=Web(sent())).out == f'{{"jobId": "{JOB}"}}\n'


def test_a_key_of_ones_own_is_sent_along(heliograph):
    web = Web(sent())
    heliograph("send", "Hello", *TO, "--idempotency-key", "order-7", web=web)
    assert web.asked[0].key == "order-7"


def test_every_option_has_its_flag_and_goes_as_it_is_typed(heliograph):
    web = Web(sent())
    flags = [part for parts in FLAGS_OF_OPTIONS.values() for part in parts]
    assert heliograph("send", "Hello", *TO, *flags, web=web).code == Exit.OK
    options = web.asked[0].json()["options"]
    assert options.keys() == {option.wire_name for option in OPTIONS}
    # Without an offset it means the account's time zone, which the service knows.
    assert (options["jobPeriod"], options["validityMin"], options["qos"]) == ("2030-01-01T08:00", 60, "express")
    assert options["blackoutPeriods"][0] == "2030-01-01T20:00/2030-01-02T07:00"


def test_a_text_may_begin_with_a_hyphen(heliograph):
    web = Web(sent())
    assert heliograph("send", *TO, "--", "-5 °C", web=web).code == Exit.OK
    assert web.asked[0].json()["messages"][0]["text"] == "-5 °C"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send"], "there is no text: heliograph send"),
        (["send", "Hi"], "there is nobody to send it to: give --to"),
        (["send", "Hi", *TO, "--csv", "x.csv"], "--csv and --to don't go together"),
        (["send", "--csv", "x.csv", "--idempotency-key", "k"], "--csv and --idempotency-key don't go together"),
        (["send", "Hi", *TO, "--resume"], "--results, --resume, --skip-invalid and --unknown are for --csv"),
        (["send", "--csv", "x.csv", "--unknown", "skip"], "--unknown is for --resume"),
        (["send", "--csv", "-", "--password-stdin"], "--csv - and --password-stdin both read stdin"),
        (["send", "--csv", "-", "--resume"], "--resume needs --results where the rows come from stdin"),
        (["send", "--csv", "no.csv"], "--csv no.csv can't be read: No such file or directory"),
        (["send", "--csv", "x.csv", "--rows-per-job", "3001"], "Must be <= 3000"),
        (["send", "Hi", *TO, "--validity-mn", "5"], "Did you mean --validity-min?"),
        (["sms"], "name a job, such as heliograph sms J."),
        (["jobs", "--limit", "1001"], "Must be <= 1000"),
        (["completion", "tcsh"], 'Choose from: "bash", "zsh", "fish"'),
    ],
)
def test_wrong_usage_is_told_before_anybody_is_asked(heliograph, arguments, message):
    web = Web()
    ran = heliograph(*arguments, web=web)
    assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.USAGE, "", 1), ran.err
    assert message in ran.err
    assert web.asked == []


# Waiting


@pytest.mark.parametrize(
    ("status", "process_status", "code"),
    [
        ("SUC_FIN", "DONE", Exit.OK),
        ("SUC_ACC", "DONE", Exit.OK),
        ("FAILED_FIN", "DONE", Exit.UNDELIVERED),
        ("", "CANCELED", Exit.UNDELIVERED),
    ],
)
def test_waiting_ends_with_whether_all_was_well(heliograph, status, process_status, code):
    web = Web(sent(), answered(200, a_job()), answered(200, [an_sms(), an_sms(status, process_status)]))
    ran = heliograph("send", "Hi", *TO, "--wait", web=web)
    assert ran.code == code
    assert ran.out.startswith(f"{JOB}\ndst ")


def test_waiting_ends_in_time(heliograph):
    def answer(asked):
        return sent() if asked.method == "POST" else answered(200, {**a_job(), "finishedTs": None})

    ran = heliograph("send", "Hi", *TO, "--wait", "--wait-timeout", "0.1", web=Web(by=answer))
    assert (ran.code, ran.out) == (Exit.UNFINISHED, f"{JOB}\n")
    assert f"job {JOB} is not finished after 0.1 s; it goes on" in ran.err


def test_json_with_waiting_is_the_id_and_then_the_sms(heliograph):
    reports = [an_sms(somethingNew=1)]
    web = Web(sent(), answered(200, a_job()), *[answered(200, reports)] * 2)
    ran = heliograph("send", "Hi", *TO, "--wait", "--json", web=web)
    first, rest = ran.out.split("\n", 1)
    assert (json.loads(first), json.loads(rest)) == ({"jobId": JOB}, reports)


# Reading


def test_json_is_what_the_api_answered(heliograph):
    job, reports = a_job(somethingNew=[1]), [an_sms(somethingNew=1, reason="é")]
    assert json.loads(heliograph("job", JOB, "--json", web=Web(answered(200, job))).out) == job
    assert json.loads(heliograph("cancel", JOB, "--json", web=Web(answered(200, job))).out) == job
    assert json.loads(heliograph("jobs", "--json", web=Web(answered(200, [job]))).out) == [job]
    told = heliograph("sms", JOB, "--json", web=Web(answered(200, reports))).out
    assert json.loads(told) == reports
    assert "é" in told


def test_jobs_are_listed_by_what_the_flags_say(heliograph):
    web = Web(answered(200, []))
    flags = "--from 2022-11-01 --to 2022-11-16T10:00 --open --limit 7 --offset 3"
    ran = heliograph("jobs", *flags.split(), web=web)
    assert (ran.code, ran.out, ran.err) == (Exit.OK, "", "There are no jobs to show beyond the first 3.\n")
    assert web.paths == [
        "GET /jobs?jobIdsOnly=false&fromTs=2022-11-01&toTs=2022-11-16T10%3A00&open=true&offset=3&limit=7"
    ]


@pytest.mark.parametrize("command", [["jobs"], ["sms", "--dst", "+491"], ["jobs", "--ids-only"]])
def test_none_may_be_asked_for(heliograph, command):
    ran = heliograph(*command, "--limit", "0", web=Web(by=lambda asked: answered(200, [])))
    assert (ran.code, ran.out, ran.err) == (Exit.OK, "", "")


def test_ids_are_listed_one_a_line(heliograph):
    def answer(asked):
        return answered(200, [{"jobId": JOB}, {"jobId": OTHER}])

    assert heliograph("jobs", "--ids-only", "--limit", "2", web=Web(by=answer)).out == f"{JOB}\n{OTHER}\n"
    assert heliograph("jobs", "--ids-only", "--limit", "1", "--offset", "1", web=Web(by=answer)).out == f"{OTHER}\n"
    told = heliograph("jobs", "--ids-only", "--limit", "2", "--json", web=Web(by=answer)).out
    assert json.loads(told) == [{"jobId": JOB}, {"jobId": OTHER}]


def test_a_service_that_lists_but_ids_says_how_to_get_them(heliograph):
    ran = heliograph("jobs", web=Web(answered(200, [{"jobId": JOB}])))
    assert (ran.code, ran.err.count("\n")) == (Exit.FAILED, 1)
    assert "give --ids-only" in ran.err


def test_sms_are_found_by_filters(heliograph):
    web = Web(answered(200, [an_sms()]))
    flags = "--dst 0176 --customer-ref 7 --billcode b --process-status DONE --status SUC_FIN"
    span = "--from 2022-11-01 --to 2022-11-02"
    assert heliograph("sms", *flags.split(), *span.split(), "--limit", "1", web=web).code == Exit.OK
    assert web.paths == [
        "GET /sms?dst=0176&customerRef=7&billcode=b&processStatus=DONE&status=SUC_FIN&fromTs=2022-11-01"
        "&toTs=2022-11-02&offset=0&limit=1"
    ]
    web = Web(answered(200, [an_sms()]))
    heliograph("sms", JOB, "--status", "FAILED_FIN", web=web)
    assert web.paths == [f"GET /sms?jobId={JOB}&status=FAILED_FIN&offset=0&limit=20"]


def test_a_job_is_cancelled(heliograph):
    web = Web(answered(200, a_job()))
    ran = heliograph("cancel", JOB, web=web)
    assert ran.code == Exit.OK
    assert web.paths == [f"DELETE /jobs/{JOB}"]
    assert JOB in ran.err


PREVIEW = {
    "refused": False,
    "messages": [
        {
            "encoding": "UTF-16",
            "parts": 2,
            "truncated": True,
            "replaced": [{"character": "ë", "replacement": "e", "positions": [1]}],
            "recipients": [
                {"dst": "0176", "e164": "+49176", "valid": True, "country": "DE", "carrier": "acme", "reason": "",
                 "dueTs": "2022-11-16T10:24:08Z"},
                {"dst": "12", "valid": False, "reason": "not a possible number"},
            ],
        }
    ],
}  # fmt: skip


def test_a_preview_shows_texts_and_numbers_and_sends_nothing(heliograph):
    web = Web(answered(200, PREVIEW))
    ran = heliograph("preview", "Zoë", *TO, "--max-parts", "2", web=web)
    assert ran.code == Exit.OK
    assert web.paths == ["POST /jobs/preview"]
    assert web.asked[0].json()["options"] == {"maxParts": 2}
    assert "'ë' → 'e'" in ran.out
    assert "not a possible number" in ran.out
    told = heliograph("preview", "Zoë", *TO, "--json", web=Web(answered(200, PREVIEW))).out
    assert json.loads(told) == PREVIEW
    refused = heliograph("preview", "Zoë", *TO, web=Web(answered(200, {**PREVIEW, "refused": True}))).out
    assert "would be refused" in refused


def test_a_preview_of_a_file_sums_up(heliograph):
    Path("x.csv").write_text("dst,text\n0176,Zoë\n12,Zoë\n,x\n")
    ran = heliograph("preview", "--csv", "x.csv", web=Web(answered(200, PREVIEW)))
    told = dict(re.findall(r"^(\S.*?) {2,}(\d+)$", ran.out, re.MULTILINE))
    assert told["rows that can't be sent"] == told["SMS to impossible numbers"] == "1"
    assert told["parts of these SMS"] == "2"
    assert ran.err == "line 4: dst is empty\nline 3: not a possible number\n"


# Tables


TABLES = [
    (["jobs"], [a_job(customerRef="x" * 255), a_job(OTHER, finishedTs=None, recipientIds=["S"] * 3000)]),
    (["job", JOB], a_job(customerRef="x" * 60, src="+12345678901234567890")),
    (["sms", JOB], [an_sms(reason="r" * 200, customerRef="c" * 255), an_sms("NOT_ACC_FIN", dst="x" * 300)]),
    (["preview", "Hi", *TO], PREVIEW),
]


@pytest.mark.parametrize(("command", "answer"), TABLES, ids=[command[0] for command, _ in TABLES])
@pytest.mark.parametrize("width", [80, 160])
def test_a_table_has_the_width_of_its_terminal(heliograph, monkeypatch, command, answer, width):
    monkeypatch.setenv("COLUMNS", str(width))
    ran = heliograph(*command, web=Web(answered(200, answer)))
    assert ran.code == Exit.OK
    assert max(map(len, ran.out.splitlines())) <= width
    assert "\x1b" not in ran.out
    for whole in ("NOT_ACC_FIN", JOB):
        assert whole in ran.out or whole not in json.dumps(answer)


def test_what_a_service_says_moves_no_cursor(heliograph):
    web = Web(answered(200, [an_sms(reason="\x1b[2J[red]x\r\n", dst="\x07")]))
    told = heliograph("sms", JOB, web=web).out
    assert "�[2J[red]x��" in told
    assert "\x1b" not in told


# The version


def test_the_version_of_the_service_is_told_beside(heliograph):
    info = {"versionInfo": "heliograph 9.9", "message": "REST", "majorVersion": 9}
    ran = heliograph("version", web=Web(answered(200, info)))
    assert ran.out.splitlines()[1] == "service    heliograph 9.9 (REST)"
    told = json.loads(heliograph("version", "--json", web=Web(answered(200, info))).out)
    assert told == info


# Rows of a CSV file


KEYED = {"versionInfo": "heliograph 0.1.0"}


class Jobs:
    """Answers as a service does that knows keys; faults: in place of answers, by the number of the job."""

    def __init__(self, version=KEYED, faults=None):
        self.version = version
        self.faults = faults or {}
        self.sent = []

    def __call__(self, asked):
        if asked.path.endswith("/version"):
            return answered(200, self.version)
        self.sent.append(asked)
        return self.faults.pop(len(self.sent), None) or sent(f"J.{len(self.sent)}")

    @property
    def rows(self):
        return [
            (recipient["dst"], message["text"], recipient.get("customerRef"))
            for asked in self.sent
            for message in asked.json()["messages"]
            for recipient in message["recipients"]
        ]


def test_rows_are_sent_and_account_is_kept(heliograph):
    Path("x.csv").write_text("dst,text,customerRef\n1,a,x\n2,b,\n3,a,\n")
    jobs = Jobs()
    ran = heliograph("send", "--csv", "x.csv", "--rows-per-job", "2", "--flash", web=Web(by=jobs))
    assert (ran.code, ran.out) == (Exit.OK, "J.1\nJ.2\n")
    assert jobs.rows == [("1", "a", "x"), ("2", "b", None), ("3", "a", None)]
    assert jobs.sent[0].json()["options"] == {"flash": True}
    assert ran.err.startswith("3 rows sent in ")
    assert [line.split(",")[1] for line in Path("x.csv.results.csv").read_text().splitlines()] == [
        *("state", "begun", "sending", "sent", "sending", "sent")
    ]


def test_rows_come_from_stdin_and_ids_go_out_as_json(heliograph):
    jobs = Jobs()
    ran = heliograph("send", "Hi", "--csv", "-", "--json", web=Web(by=jobs), stdin=b"dst\n1\n2\n")
    assert (ran.code, ran.out) == (Exit.OK, '{"jobId": "J.1"}\n')
    [kept] = Path().iterdir()
    assert re.fullmatch(r"heliograph-\d{8}T\d{6}Z\.results\.csv", kept.name)
    assert jobs.rows == [("1", "Hi", None), ("2", "Hi", None)]


def test_all_bad_rows_are_told_before_anything_is_sent(heliograph):
    Path("x.csv").write_text("dst,text\n,a\n1,a\n2,\n")
    jobs = Jobs()
    ran = heliograph("send", "--csv", "x.csv", web=Web(by=jobs))
    assert (ran.code, ran.out, jobs.sent) == (Exit.USAGE, "", [])
    assert ran.err.splitlines()[:2] == ["line 2: dst is empty", "line 4: text is empty"]
    assert "2 of 3 rows of x.csv can't be sent, and nothing was" in ran.err
    ran = heliograph("send", "--csv", "x.csv", "--skip-invalid", web=Web(by=jobs))
    assert (ran.code, jobs.rows) == (Exit.OK, [("1", "a", None)])


def test_a_refused_row_is_told_by_its_line_and_the_file_can_be_sent_when_it_is_mended(heliograph):
    Path("x.csv").write_text("dst,text\n1,a\n2,b\n\n3,a\n")
    fault = {"field": "messages[0].recipients[1].dst", "message": "is wrong"}
    refused = answered(400, {"code": 400, "message": "x", "errors": [fault]})
    jobs = Jobs(faults={1: refused})
    with serving(Web(by=jobs)) as url:
        flags = ("--csv", "x.csv", "--url", url)
        ran = heliograph("send", *flags)
        again = heliograph("send", *flags)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    advice = "Nothing was sent; mend that, and give the command again"
    assert ran.err == f"heliograph: line 5: dst is wrong. {advice}\n"
    assert (again.code, again.out) == (Exit.OK, "J.2\n")


def test_a_second_run_is_refused_and_a_resumed_one_sends_nothing_twice(heliograph):
    Path("x.csv").write_text("dst,text\n1,a\n")
    jobs = Jobs()
    with serving(Web(by=jobs)) as url:
        flags = ("--csv", "x.csv", "--url", url)
        assert heliograph("send", *flags).code == Exit.OK
        ran = heliograph("send", *flags)
        assert (ran.code, ran.out) == (Exit.FAILED, "")
        assert "give --resume" in ran.err
        ran = heliograph("send", *flags, "--resume")
        assert (ran.code, ran.out) == (Exit.OK, "J.1\n")
        assert "Nothing was left to send: x.csv.results.csv has 1 row as sent." in ran.err
    assert len(jobs.sent) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: Path("x.csv").write_text("dst,text\n1,a\n3,b\n"), "x.csv is not what it was when this run began"),
        (lambda: ["--flash"], "the text, the options, --rows-per-job or --skip-invalid are not those"),
        (lambda: ["--username", "other"], "this run began as acme at http://127.0.0.1"),
    ],
    ids=["file", "options", "account"],
)
def test_what_changed_meanwhile_is_not_resumed(heliograph, change, message):
    Path("x.csv").write_text("dst,text\n1,a\n2,b\n")
    jobs = Jobs(faults={2: told(401, "no more")})
    with serving(Web(by=jobs)) as url:
        flags = ("--csv", "x.csv", "--rows-per-job", "1", "--url", url)
        assert heliograph("send", *flags).code == Exit.CONFIGURATION
        flags = (*flags, *(flags_more if isinstance(flags_more := change(), list) else []))
        ran = heliograph("send", *flags, "--resume")
    assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.FAILED, "", 1)
    assert message in ran.err
    assert len(jobs.sent) == 2


def test_an_unknown_batch_is_sent_again_with_its_key(heliograph):
    Path("x.csv").write_text("dst,text\n1,a\n2,b\n")
    jobs = Jobs()
    with serving(Web(by=jobs)) as url:
        flags = ("--csv", "x.csv", "--rows-per-job", "1", "--url", url)
        heliograph("send", *flags)
        results = Path("x.csv.results.csv")
        results.write_text("".join(results.read_text().splitlines(keepends=True)[:-1]))  # The last answer is lost.
        assert heliograph("send", *flags, "--resume").code == Exit.OK
    assert jobs.sent[1].key == jobs.sent[2].key != jobs.sent[0].key
    assert jobs.sent[1].body == jobs.sent[2].body


def test_a_service_without_keys_is_asked_to_look_for_duplicates(heliograph):
    Path("x.csv").write_text("dst,text\n1,a\n")
    jobs = Jobs(version={"versionInfo": "other 1"})
    ran = heliograph("send", "--csv", "x.csv", web=Web(by=jobs))
    assert jobs.sent[0].json()["options"] == {"duplicateDetection": True}
    assert "This service knows no Idempotency-Key, so --duplicate-detection is set" in ran.err
    Path("x.csv.results.csv").unlink()
    jobs = Jobs(version={"versionInfo": "other 1"})
    ran = heliograph("send", "--csv", "x.csv", "--no-duplicate-detection", web=Web(by=jobs))
    assert jobs.sent[0].json()["options"] == {"duplicateDetection": False}


def test_rows_that_are_waited_for_are_summed_up(heliograph):
    Path("x.csv").write_text("dst,text\n1,a\n2,b\n")
    jobs = Jobs()

    def answer(asked):
        if asked.method == "GET" and "/jobs/" in asked.path:
            return answered(200, a_job())
        if asked.method == "GET" and "/sms" in asked.path:
            return answered(200, [an_sms("FAILED_FIN" if "J.2" in asked.path else "SUC_FIN")])
        return jobs(asked)

    ran = heliograph("send", "--csv", "x.csv", "--rows-per-job", "1", "--wait", web=Web(by=answer))
    assert ran.code == Exit.UNDELIVERED
    assert re.search(r"DONE +FAILED_FIN +1  not delivered, says the carrier's receipt", ran.out)
    assert re.search(r"DONE +SUC_FIN +1  delivered, says the carrier's receipt", ran.out)


# Completion


def completed(script, line, tmp_path):
    program = f"""
source {script}
COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}
_heliograph
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    ran = subprocess.run(["bash", "--norc", "-c", program], capture_output=True, text=True, check=True, timeout=20)
    return ran.stdout.split()


def test_bash_completes_commands_and_flags(heliograph, tmp_path):
    script = tmp_path / "heliograph.bash"
    script.write_text(heliograph("completion", "bash").out)
    assert {"send", "sms", "serve"} <= set(completed(script, "heliograph s", tmp_path))
    assert completed(script, "heliograph send --validity", tmp_path) == ["--validity-min"]
    assert "--rate-limit" in completed(script, "heliograph account add --", tmp_path)


@pytest.mark.parametrize(("shell", "start"), [("zsh", "#compdef heliograph"), ("fish", "complete -c heliograph")])
def test_other_shells_get_a_script_as_well(heliograph, shell, start):
    told = heliograph("completion", shell).out
    assert start in told
    assert "validity-min" in told
