"""docs/how-to/operate.md: its backups can be restored, its settings are some, and what it names is there."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from heliograph.config.reading import load_settings
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.builders import an_account
from tests.fakes.postgresql import USER, binaries
from tests.fakes.service import password_hash, running_server
from tests.journeys.test_webhooks import a_job, call
from tools.log_events_reference import DESCRIBED
from tools.metrics_reference import families

PAGE = (Path(__file__).parents[2] / "docs/how-to/operate.md").read_text("utf-8")
SQLITE_SHELL = """\
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2]):
    print(*row)
"""
"""As much of the program `sqlite3` as the page uses: it isn't on every machine."""
LATER = {"options": {"jobPeriod": "2099-01-01T00:00:00Z"}}


def commands(section):
    """The commands of a section of the page, one a line."""
    body = re.search(rf"^### {section}\n(.*?)^##", PAGE, re.DOTALL | re.MULTILINE)[1]
    return "".join(f"{command}\n" for command in re.findall(r"^    \$ (.*)$", body, re.MULTILINE))


def run(script, **environ):
    environ = {**os.environ, **environ}
    ran = subprocess.run(
        ["bash", "--norc", "-ec", script], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_backup_of_sqlite_that_was_made_while_the_service_ran_can_be_restored(tmp_path):
    live, backups, programs = tmp_path / "live", tmp_path / "backups", tmp_path / "bin"
    for folder in (live, backups, programs):
        folder.mkdir()
    (programs / "shell.py").write_text(SQLITE_SHELL)
    for name, what in (("sqlite3", f'exec "{sys.executable}" "{programs}/shell.py" "$@"'), ("chown", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{what}\n")
        (programs / name).chmod(0o755)
    script = commands("SQLite").replace("/var/lib/heliograph/", f"{live}/").replace("/var/backups/", f"{backups}/")
    backing_up, restoring = script[: script.index("rm -f")], script[script.index("rm -f") :]
    path = f"{programs}:{os.environ['PATH']}"
    with running_server(live) as server:
        job, _ = call(server.url, "POST", "/jobs", {**a_job("+447700900123"), **LATER})
        assert run(backing_up, PATH=path) == "ok\n"
        after, _ = call(server.url, "POST", "/jobs", a_job("+447700900124"))
    run(restoring, PATH=path)
    with running_server(live) as server:
        assert [each["dst"] for each in call(server.url, "GET", f"/sms?jobId={job['jobId']}")[0]] == ["+447700900123"]
        known = {each["jobId"] for each in call(server.url, "GET", "/jobs?jobIdsOnly=true")[0]}
        assert known == {job["jobId"]}, f"and not {after['jobId']}"


async def test_a_dump_of_postgresql_can_be_restored(postgres, tmp_path):
    script = commands("PostgreSQL").replace("/var/backups/", f"{tmp_path}/")
    environ = {"PGHOST": str(postgres.folder), "PGPORT": str(postgres.port), "PGUSER": USER}
    programs = {"PATH": f"{binaries()}:{os.environ['PATH']}"}
    run("createdb --owner heliograph --encoding UTF8 --template template0 heliograph", **environ, **programs)
    urls = {name: PostgresqlUrl.parse(postgres.url(name)) for name in ("heliograph", "restored")}
    try:
        async with open_postgresql(urls["heliograph"]) as store:
            await store.put_account(an_account(password_hash=password_hash()))
        run(script, **environ, **programs)
        async with open_postgresql(urls["restored"]) as store:
            assert [account.name for account in await store.accounts()] == ["acme"]
    finally:
        for name in urls:
            await postgres.drop(name)


@pytest.mark.parametrize("settings", re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
def test_settings_are_some(settings, tmp_path):
    for name in re.findall(r'"/etc/heliograph/(.*)"', settings):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("secret\n")
    (tmp_path / "heliograph.toml").write_text(settings.replace("/etc/heliograph/", f"{tmp_path}/"))
    load_settings(tmp_path / "heliograph.toml", {}, {})


def test_the_unit_gives_the_service_the_time_that_it_takes_to_stop():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(re.search(r"^```ini\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1])
    server = load_settings(None, {}, {}).server
    assert unit.getint("Service", "TimeoutStopSec") > server.shutdown_delay + 2 * server.shutdown_timeout


def test_metrics_and_events_that_are_named_are_there():
    assert set(re.findall(r"\bheliograph_\w+", PAGE)) <= set(families())
    log = PAGE.partition("\n## Read the log\n")[2]
    events = set(re.findall(r"^\|.*$", log, re.MULTILINE))
    named = {name for row in events for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row.split("|")[1])}
    assert len(named) > 10
    assert named <= set(DESCRIBED)
