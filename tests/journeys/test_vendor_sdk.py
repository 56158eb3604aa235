"""The vendor's own SDK for Python, unchanged but for its host names, against a whole server."""

import json
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, password_hash, running_server

PYTHON = Path(__file__).parents[2] / ".venv-vendor" / "bin" / "python"
PROGRAM = Path(__file__).with_name("vendor_program.py")
NAME = "müller?>"  # Not ASCII; and its token has a `-` or `_` where base64 has `+` or `/`.


@pytest.fixture(scope="module", params=["sync", "async"])
def told(request, tmp_path_factory):
    """What the program was told by the service."""
    assert PYTHON.exists(), f"{PYTHON} is missing: it holds the vendor's SDK, and `make setup` makes it"
    assert set("-_") & set(urlsafe_b64encode(f"{NAME}:{PASSWORD}".encode()).decode())
    account = an_account(NAME, password_hash=password_hash())
    with running_server(tmp_path_factory.mktemp("server"), account) as server:
        program = subprocess.run(
            [PYTHON, PROGRAM, server.url, NAME, PASSWORD, request.param],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PYTHONUTF8": "1", "NO_PROXY": "*"},
            check=False,
        )
    assert program.returncode == 0, program.stderr
    return json.loads(program.stdout)


def test_jobs_are_sent(told):
    assert [sent["jobId"][:2] for sent in told["sent"]] == ["J.", "J."]


def test_options_in_snake_case_are_understood(told):
    minimal, full = told["reports"]
    assert (minimal["src"], minimal["statusRequested"], minimal["validityMin"]) == ("", False, 0)
    assert full["src"] == "Acme"
    assert full["statusRequested"] is True
    assert full["validityMin"] == 60
    assert full["customerRef"] == "job"
    assert full["billcode"] == "B-17"
    assert full["qos"] == "EXPRESS"
    assert len(full["recipientIds"]) == 3


def test_jobs_are_listed(told):
    ids = [sent["jobId"] for sent in told["sent"]]
    assert sorted(job["jobId"] for job in told["listed"]) == sorted(ids)
    assert all(set(job) == {"jobId"} for job in told["listed"])
    assert len(told["open"]) <= 1
    assert told["long ago"] == []


def test_an_unknown_job_is_told_as_the_sdk_expects(told):
    assert told["unknown"] is False


def test_the_version_is_told(told):
    assert isinstance(told["version"]["majorVersion"], int)


def test_errors_are_told_as_the_sdk_expects(told):
    assert told["invalid"] == "refused"
    assert told["wrong password"] == "refused"
