"""What can be done where heliograph is installed without its server."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from heliograph.cli.main import SERVER_PACKAGES
from tests.fakes.service import PASSWORD, running_server

ROOT = Path(__file__).parents[1]
IMPORTED_AS = {"argon2-cffi": "argon2", "phonenumberslite": "phonenumbers"}
"""Where it isn't the package's name with underscores."""

WITHOUT_SERVER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(SERVER_PACKAGES)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def without_server(program, *arguments, cwd, **environ):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER + program, *arguments],
        cwd=cwd,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def command(*arguments, cwd):
    return without_server("from heliograph.cli.main import main; main()", *arguments, cwd=cwd)


def test_the_server_packages_are_those_of_the_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [requirement.partition(">")[0] for requirement in project["optional-dependencies"]["server"]]
    assert {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names} == SERVER_PACKAGES


def test_the_sdk_sends_and_reads(tmp_path):
    program = """
from heliograph import Client, Message, Options, Recipient
with Client() as client:
    job_id = client.send("Hello", to="+4917612345678", encoding="UTF-16")
    print([str(sms.status) for sms in client.wait(job_id)])
"""
    with running_server(tmp_path) as server:
        named = {"URL": server.url, "USERNAME": "acme", "PASSWORD": PASSWORD}
        environ = {f"HELIOGRAPH_{name}": value for name, value in named.items()}
        ran = without_server(program, cwd=tmp_path, NO_PROXY="127.0.0.1", **environ)
    assert (ran.stderr, ran.stdout) == ("", "['SUC_ACC']\n")


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["--version"]])
def test_help_and_version_are_there(arguments, tmp_path):
    ran = command(*arguments, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_connector_is_built(tmp_path):
    ran = command("connector", "build", "--out", "connector", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {path.suffix for path in (tmp_path / "connector").iterdir()} == {".json", ".png", ".md", ".bicep", ".zip"}


@pytest.mark.parametrize(
    "arguments", [["serve"], ["account", "list"], ["carrier", "check", "acme"], ["demo"]], ids=" ".join
)
def test_a_command_of_the_server_says_in_one_line_what_to_install(arguments, tmp_path):
    ran = command(*arguments, cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "pip install 'heliograph[server]'" in ran.stderr


def test_the_client_commands_send_and_read(tmp_path):
    program = "from heliograph.cli.main import main; main()"
    (tmp_path / "x.csv").write_text("dst,text\n+4917612345678,Hello\n")
    with running_server(tmp_path) as server:
        environ = {"HELIOGRAPH_URL": server.url, "HELIOGRAPH_USERNAME": "acme", "HELIOGRAPH_PASSWORD": PASSWORD}
        sent = without_server(program, "send", "--csv", "x.csv", "--wait", cwd=tmp_path, **environ)
        listed = without_server(program, "jobs", "--ids-only", cwd=tmp_path, **environ)
    assert (sent.returncode, sent.stdout.splitlines()[0]) == (0, listed.stdout.strip())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_what_can_be_run(shell, tmp_path):
    ran = command("completion", shell, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "validity-min" in ran.stdout


def test_heliograph_is_imported_without_its_sdk(tmp_path):
    program = """
import json, sys, heliograph
print(json.dumps([name for name in sys.modules if name.startswith(("heliograph.", "httpx2", "asyncio"))]))
"""
    assert json.loads(without_server(program, cwd=tmp_path).stdout) == []


def test_the_sdk_is_imported_quickly_for_what_it_is(tmp_path):
    program = """
import json, sys
from heliograph import Client
print(json.dumps([name for name in ("rich", "cyclopts", "sqlite3", "heliograph.api") if name in sys.modules]))
"""
    assert json.loads(without_server(program, cwd=tmp_path).stdout) == []
