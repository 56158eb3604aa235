"""`heliograph account mcp`."""

import asyncio
import json
from pathlib import Path

import pytest

from heliograph.api.keys import is_key, name_in_key
from heliograph.cli.exits import Exit
from heliograph.cli.main import run
from heliograph.clock import SystemClock
from heliograph.config.addresses import SqliteUrl
from heliograph.config.settings import DatabaseSettings
from heliograph.databases import open_store
from heliograph.jobs.accounts import DEFAULT_SMS_PER_HOUR


@pytest.fixture(autouse=True)
def _acme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    run(["account", "add", "acme"])


@pytest.fixture
def mcp(capsys):
    def run_one(*arguments):
        capsys.readouterr()
        code = run(["account", "mcp", *arguments])
        return code, *capsys.readouterr()

    return run_one


def access():
    async def read():
        database = DatabaseSettings(url=SqliteUrl(Path("heliograph.db")))
        async with open_store(database, SystemClock().now(), serving=False) as store:
            return (await store.account("acme")).mcp

    return asyncio.run(read())


def test_agents_are_not_let_in_unless_they_are_switched_on():
    assert access() is None


def test_switching_on_prints_the_key_this_once(mcp):
    code, out, err = mcp("acme", "--enable")
    key = out.removesuffix("\n")
    assert code == Exit.OK
    assert name_in_key(key) == "acme"
    assert is_key(key, access().key_hash)
    assert "not shown again" in err
    assert f"{DEFAULT_SMS_PER_HOUR} SMS an hour" in err
    assert (access().enabled, access().sms_per_hour) == (True, DEFAULT_SMS_PER_HOUR)
    assert mcp("acme", "--enable")[1] == ""
    assert is_key(key, access().key_hash)


def test_the_key_outlives_being_switched_off(mcp):
    key = mcp("acme", "--enable")[1].strip()
    code, out, err = mcp("acme", "--disable")
    assert (code, out, access().enabled) == (Exit.OK, "", False)
    assert "heliograph account mcp acme --enable" in err
    mcp("acme", "--enable")
    assert access().enabled
    assert is_key(key, access().key_hash)


def test_a_new_key_replaces_the_old_one_and_nothing_else(mcp):
    old = mcp("acme", "--enable", "--sms-per-hour", "7")[1].strip()
    new = mcp("acme", "--new-key")[1].strip()
    assert new != old
    assert is_key(new, access().key_hash)
    assert (access().enabled, access().sms_per_hour) == (True, 7)


def test_the_spending_limit_is_changed_alone(mcp):
    mcp("acme", "--enable")
    code, out, err = mcp("acme", "--sms-per-hour", "5")
    assert (code, out, access().sms_per_hour) == (Exit.OK, "", 5)
    assert "5 SMS an hour" in err


def test_switching_off_what_was_never_on_changes_nothing(mcp):
    assert mcp("acme", "--disable")[0] == Exit.OK
    assert access() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acme"], "nothing to change; give --enable, --disable, --sms-per-hour or --new-key"),
        (["acme", "--sms-per-hour", "0"], "--sms-per-hour 0: it must be a number from 1 to 100000"),
        (["acme", "--enable", "--sms-per-hour", "100001"], "it must be a number from 1 to 100000"),
        (["acme", "--sms-per-hour", "5"], "MCP was never switched on for the account acme; --enable does that"),
        (["acme", "--new-key"], "MCP was never switched on for the account acme; --enable does that"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_remedy(mcp, arguments, message):
    code, out, err = mcp(*arguments)
    assert (code, out, err.count("\n")) == (Exit.USAGE, "", 1)
    assert message in err
    assert access() is None


def test_an_account_that_is_not_there_is_told(mcp):
    code, _, err = mcp("acne", "--enable")
    assert code == Exit.FAILED
    assert "did you mean acme?" in err


def test_the_list_shows_it_and_no_key(mcp, capsys):
    def listed(*flags):
        capsys.readouterr()
        run(["account", "list", *flags])
        return capsys.readouterr().out

    assert json.loads(listed("--json"))[0]["mcp"] is None
    assert "mcp" not in listed()
    key = mcp("acme", "--enable", "--sms-per-hour", "5")[1].strip()
    assert json.loads(listed("--json"))[0]["mcp"] == {"enabled": True, "smsPerHour": 5}
    assert "mcp (5 SMS/h)" in listed()
    mcp("acme", "--disable")
    assert "mcp off" in listed()
    for text in (listed(), listed("--json")):
        assert key not in text
        assert access().key_hash not in text
