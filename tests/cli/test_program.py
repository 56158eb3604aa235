"""The program as it is started: exit codes, streams and signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

PROGRAM = [sys.executable, "-m", "heliograph"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")},
    "PYTHONUNBUFFERED": "1",
}
ENVIRONMENT.pop("FORCE_COLOR", None)


def heliograph(*arguments, cwd, **environ):
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=ENVIRONMENT | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def started(*arguments, cwd):
    program = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        program.kill()
        program.communicate()


def line_with(program, word):
    for line in program.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended without a line with {word}")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["version"], 0),
        (["version", "--jsn"], 2),
        (["serve", "--config", "no.toml"], 3),
        (["account", "list"], 4),
    ],
)
def test_exit_codes(tmp_path, arguments, code):
    ran = heliograph(*arguments, cwd=tmp_path)
    assert ran.returncode == code
    assert ran.stderr.count("\n") == (1 if code else 0)
    assert "Traceback" not in ran.stderr


def test_help_and_version_wait_for_neither_server_nor_database(tmp_path):
    code = (
        "import sys; from heliograph.cli.main import run; run(sys.argv[1:]);"
        "print([name for name in ('asyncio', 'sqlite3', 'uvicorn', 'phonenumbers') if name in sys.modules])"
    )
    for argument in ("--help", "version"):
        told = subprocess.check_output([sys.executable, "-c", code, argument], cwd=tmp_path, env=ENVIRONMENT, text=True)
        assert told.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error_to_talk_about(tmp_path):
    heliograph("account", "add", "acme", cwd=tmp_path)
    command = f"{sys.executable} -m heliograph account list --json | true"
    told = subprocess.check_output(
        ["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.STDOUT, text=True
    )
    assert told == ""


def test_serve_runs_until_sigterm_and_accounts_change_meanwhile(tmp_path):
    with started("serve", "--listen", "127.0.0.1:0", cwd=tmp_path) as service:
        url = json.loads(line_with(service, "server.started"))["url"]
        with build_opener(ProxyHandler({})).open(f"{url}/rest/v1/version", timeout=10) as answer:
            assert json.load(answer)["majorVersion"] == 0
        listed = json.loads(heliograph("account", "list", "--json", cwd=tmp_path).stdout)
        assert [account["name"] for account in listed] == ["demo"]
        assert heliograph("account", "add", "acme", cwd=tmp_path).returncode == 0
        second = heliograph("serve", "--listen", "127.0.0.1:0", cwd=tmp_path)
        assert second.returncode == 4
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0


def test_a_terminal_that_is_closed_stops_the_service_as_sigterm_does(tmp_path):
    with started("serve", "--listen", "127.0.0.1:0", cwd=tmp_path) as service:
        line_with(service, "server.started")
        service.send_signal(signal.SIGHUP)
        assert service.wait(20) == 0


def test_a_service_that_is_to_outlive_its_terminal_does(tmp_path):
    nohup = ["nohup", *PROGRAM, "serve", "--listen", "127.0.0.1:0"]
    service = subprocess.Popen(
        nohup, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        url = json.loads(line_with(service, "server.started"))["url"]
        service.send_signal(signal.SIGHUP)
        with build_opener(ProxyHandler({})).open(f"{url}/readyz", timeout=10) as answer:
            assert answer.status == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
    finally:
        service.kill()
        service.communicate()


def test_a_service_whose_log_can_not_be_written_serves_and_drains(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "heliograph", "serve", "--listen", address]
        service = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=full)
    try:
        metrics = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + 30  # noqa: TID251 # a program in real time
        lost_count = 0.0
        while not lost_count:
            assert service.poll() is None
            assert time.monotonic() < deadline  # noqa: TID251
            time.sleep(0.05)
            with suppress(OSError):
                told = metrics.open(f"http://{address}/metrics", timeout=10).read().decode()
                lost_count = float(told.partition("\nheliograph_log_lines_lost_total ")[2].partition("\n")[0])
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
    finally:
        service.kill()
        service.wait()


def test_an_exit_code_is_the_same_where_stderr_takes_nothing(tmp_path):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "heliograph", "serve", "--config", "no.toml"]
        assert subprocess.call(command, cwd=tmp_path, env=ENVIRONMENT, stderr=full) == 3


def test_a_demo_that_is_interrupted_stops_at_once_and_leaves_nothing(tmp_path):
    with started("demo", cwd=tmp_path) as demo:
        line_with(demo, "It took the job")
        interrupted_at = time.monotonic()  # noqa: TID251 # a program in real time
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
        # Less than a service that stops would wait for answers.
        assert time.monotonic() - interrupted_at < 25  # noqa: TID251
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_demo_ends_well(tmp_path):
    ran = heliograph("demo", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "All 9 SMS came to the status they should" in ran.stdout
    assert ran.stderr == ""
