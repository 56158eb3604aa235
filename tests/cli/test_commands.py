import asyncio
import io
import json
import os
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from heliograph import __version__
from heliograph.cli.exits import EXIT_MEANINGS, Exit
from heliograph.cli.main import run
from heliograph.clock import SystemClock
from heliograph.config.addresses import SqliteUrl
from heliograph.config.settings import DatabaseSettings
from heliograph.databases import open_store
from heliograph.jobs.accounts import OnUnknown, RateLimit
from heliograph.jobs.options import OPTIONS, JobOptions
from tools import command_line_reference

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/cli"
UPDATE_GOLDEN = bool(os.environ.get("HELIOGRAPH_UPDATE_GOLDEN"))


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("HELIOGRAPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


class Ran:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def heliograph(capsys, monkeypatch):
    def run_one(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run_one


def stored(name):
    async def read():
        database = DatabaseSettings(url=SqliteUrl(Path("heliograph.db")))
        async with open_store(database, SystemClock().now(), serving=False) as store:
            return await store.account(name)

    return asyncio.run(read())


# Help


def test_help_of_every_command_is_as_agreed():
    texts = command_line_reference.help_by_command()
    if UPDATE_GOLDEN:
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for old in GOLDEN.glob("*.txt"):
            old.unlink()
        for command, text in texts.items():
            (GOLDEN / f"{command.replace(' ', '-')}.txt").write_text(text, "utf-8", newline="\n")
    golden = {path.stem: path.read_text("utf-8") for path in GOLDEN.glob("*.txt")}
    assert {command.replace(" ", "-"): text for command, text in texts.items()} == golden, "make golden"


def test_every_help_ends_with_examples():
    for command, text in command_line_reference.help_by_command().items():
        last = text.rstrip().splitlines()[-1]
        assert "\nExamples:\n" in text, command
        assert last.startswith("  "), command


def test_help_is_for_asking(heliograph):
    for arguments in (["--help"], ["-h"], [], ["account"], ["account", "add", "--help"]):
        ran = heliograph(*arguments)
        assert (ran.code, ran.err) == (Exit.OK, "")
        assert ran.out.startswith("Usage: heliograph")


def test_the_reference_is_up_to_date():
    for path, content in command_line_reference.files().items():
        assert (ROOT / path).read_text("utf-8") == content, "make golden"


def test_every_exit_code_has_its_meaning():
    assert EXIT_MEANINGS.keys() == set(Exit)


# Version


def test_version(heliograph):
    assert heliograph("version").out == f"heliograph {__version__}\n"
    assert json.loads(heliograph("version", "--json").out) == {"version": __version__}
    assert heliograph("--version").out == f"{__version__}\n"


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("acount", 'Unknown command "acount". Did you mean "account"?'),
        ("account ad", 'Unknown command "ad". Did you mean "add"?'),
        ("serve --listn x", "Unknown option: --listn. Did you mean --listen? See heliograph serve --help."),
        ("account list --jsn", "Unknown option: --jsn. Did you mean --json? See heliograph account list --help."),
        ("account add", 'Command "account add" parameter NAME requires an argument.'),
        ("account add a b", 'There is nothing for "b" to mean. See heliograph account add --help.'),
        ("account add a --on-unknown x", 'Invalid value "x" for --on-unknown. Choose from: "resend", "give-up".'),
        ("account add a --validity-min x", 'Invalid value for --validity-min: unable to convert "x" into int.'),
        ("account add a --validity-min 4", "--validity-min: must be a whole number from 5 to 2880, or 0 for"),
        ("account add a --validity-min -1", "--validity-min: must be a whole number from 5 to 2880, or 0 for"),
        ("account add a --encoding utf8", '--encoding: must be one of STANDARD, UTF-16; it is "utf8"'),
        (
            "account add a --blackout-periods x",
            "--blackout-periods: can't be read: 'x' is no interval start/end, such as",
        ),
        ("account add a --rate-limit 0/60s", "--rate-limit 0/60s: it must be calls/seconds, such as 100/60s, with"),
        ("account add a --rate-limit x", "--rate-limit x: it must be calls/seconds, such as 100/60s, with"),
        ("account add a --country XX", "--country XX: it must be a country's ISO code of two letters, such as DE"),
        ("account add a --timezone Europe/Berln", "no such time zone; did you mean Europe/Berlin?"),
        ("account add a --timezone x", "--timezone x: there is no such time zone; it must be an IANA name, such as"),
        ("account add a:b", "a name can't hold a colon"),
        ("account set a", "nothing to set; name what to change"),
        ("account set a --reset scr", "--reset scr: there is no such option; did you mean src?"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_remedy(heliograph, arguments, message):
    ran = heliograph(*arguments.split())
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert message in ran.err
    assert ran.err.startswith("heliograph: ")
    assert ran.err.count("\n") == 1
    assert not Path("heliograph.db").exists()


@pytest.mark.parametrize("name", ["", "x" * 65, "a\tb", "a\u2028b", "a\ud800", " a", "a "])
def test_a_name_is_1_to_64_printable_characters(heliograph, name):
    assert heliograph("account", "add", name).code == Exit.USAGE
    assert heliograph("account", "add", "x" * 64).code == Exit.OK


def test_every_fault_of_the_options_is_told(heliograph):
    told = heliograph("account", "add", "a", "--src", "x" * 12, "--max-parts", "21").err
    assert "--src: can't be used: it has 12 characters" in told
    assert "--max-parts: must be a whole number from 1 to 20" in told


# Configuration and database


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--config", "no.toml"], "there is no configuration file no.toml"),
        (["serve", "--listen", "8480"], '--listen is "8480"; it must be HOST:PORT'),
        (["serve", "--roles", "web"], '--roles is "web"; it must be one of "api", "dispatch"'),
        (["account", "list", "--database", "postgresql://db"], "--database must name a database after the host"),
    ],
)
def test_a_wrong_configuration_has_an_exit_code_of_its_own(heliograph, arguments, message):
    ran = heliograph(*arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.CONFIGURATION, "", 1)
    assert message in ran.err


def test_a_database_that_can_not_be_used_has_an_exit_code_of_its_own(heliograph):
    Path("text.db").write_text("This is not a database, whatever its name says. " * 50)
    Path("folder.db").mkdir()
    for url in ("text.db", "folder.db", "no/h.db"):
        ran = heliograph("account", "add", "acme", "--database", f"sqlite:///{url}")
        assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.UNAVAILABLE, "", 1), ran.err


def test_a_database_server_that_is_not_there_is_named_and_its_password_is_not(heliograph):
    ran = heliograph("account", "list", "--database", "postgresql://joe:secret@127.0.0.1:1/x")
    assert (ran.code, ran.out, ran.err.count("\n")) == (Exit.UNAVAILABLE, "", 1), ran.err
    assert "127.0.0.1" in ran.err
    assert "secret" not in ran.err


def test_the_schema_is_upgraded_and_does_no_harm_twice(heliograph):
    assert "before it was empty" in heliograph("db", "upgrade").err
    ran = heliograph("db", "upgrade")
    assert (ran.code, "already" in ran.err) == (Exit.OK, True)
    assert "no accounts yet" in heliograph("account", "list").err


def test_only_adding_an_account_makes_a_database(heliograph):
    for command in (["list"], ["disable", "acme"], ["passwd", "acme"], ["set", "acme", "--lenient"]):
        ran = heliograph("account", *command)
        assert ran.code == Exit.UNAVAILABLE
        assert "there is no database sqlite:///heliograph.db yet" in ran.err
    assert list(Path().iterdir()) == []


# Accounts


def test_an_account_is_added_with_a_password_of_its_own(heliograph):
    ran = heliograph("account", "add", "acme")
    password = ran.out.removesuffix("\n")
    assert ran.code == Exit.OK
    assert len(password) == 20
    assert "not shown again" in ran.err
    account = stored("acme")
    assert account.password_hash.startswith("$argon2id$")
    assert PasswordHasher().verify(account.password_hash, password)
    assert password.encode() not in Path("heliograph.db").read_bytes()


def test_a_password_can_come_from_stdin_and_is_not_printed(heliograph):
    ran = heliograph("account", "add", "acme", "--password-stdin", stdin="pässword: 1\r\nmore".encode())
    assert (ran.code, ran.out, ran.err) == (Exit.OK, "", "Account acme added.\n")
    assert PasswordHasher().verify(stored("acme").password_hash, "pässword: 1")


@pytest.mark.parametrize("stdin", [b"", b"\n", b"a\tb\n", b"\xff\n", b"x" * 256])
def test_a_password_is_printable_text(heliograph, stdin):
    assert heliograph("account", "add", "acme", "--password-stdin", stdin=stdin).code == Exit.USAGE


def test_every_setting_of_an_account_has_its_flag(heliograph):
    flags = "--rate-limit 5/1s --country de --timezone Europe/Berlin --lenient --on-unknown give-up"
    assert heliograph("account", "add", "acme", *flags.split()).code == Exit.OK
    account = stored("acme")
    assert (account.rate_limit, account.country, account.timezone) == (RateLimit(5, 1), "DE", "Europe/Berlin")
    assert (account.lenient, account.on_unknown) == (True, OnUnknown.GIVE_UP)
    back = "--rate-limit none --country none --timezone UTC --no-lenient --on-unknown resend"
    assert heliograph("account", "set", "acme", *back.split()).code == Exit.OK
    account = stored("acme")
    assert (account.rate_limit, account.country, account.timezone) == (None, None, "UTC")
    assert (account.lenient, account.on_unknown) == (False, OnUnknown.RESEND)


FLAGS_OF_OPTIONS = {
    "src": ["--src", "ACME"],
    "encoding": ["--encoding", "utf-16"],
    "billcode": ["--billcode", "4711"],
    "status_requested": ["--status-requested"],
    "flash": ["--flash"],
    "customer_ref": ["--customer-ref", "mine"],
    "validity_min": ["--validity-min", "60"],
    "max_parts": ["--max-parts", "2"],
    "invalid_characters": ["--invalid-characters", "REPLACE"],
    "qos": ["--qos", "express"],
    "job_period": ["--job-period", "2030-01-01T08:00"],
    "duplicate_detection": ["--duplicate-detection"],
    "blackout_periods": [
        *("--blackout-periods", "2030-01-01T20:00/2030-01-02T07:00"),
        *("--blackout-periods", "2030-07-01T20:00/2030-07-02T07:00"),
    ],
}


def test_every_option_has_a_flag_for_its_default(heliograph):
    assert FLAGS_OF_OPTIONS.keys() == {option.name for option in OPTIONS}
    flags = [part for parts in FLAGS_OF_OPTIONS.values() for part in parts]
    assert heliograph("account", "add", "acme", "--timezone", "Europe/Berlin", *flags).code == Exit.OK
    defaults = stored("acme").defaults
    for option in OPTIONS:
        assert getattr(defaults, option.name) != option.default, option.name
    shown = json.loads(heliograph("account", "list", "--json").out)[0]["defaults"]
    assert shown["blackoutPeriods"] == [
        "2030-01-01T19:00:00.000Z/2030-01-02T06:00:00.000Z",
        "2030-07-01T18:00:00.000Z/2030-07-02T05:00:00.000Z",
    ]
    assert (shown["jobPeriod"], shown["encoding"]) == ("2030-01-01T07:00:00.000Z", "UTF-16")


def test_set_changes_what_it_names_and_nothing_else(heliograph):
    heliograph("account", "add", "acme", "--src", "ACME", "--validity-min", "60", "--country", "DE")
    heliograph("account", "set", "acme", "--flash", "--reset", "src", "--reset", "validityMin")
    account = stored("acme")
    assert account.country == "DE"
    assert account.defaults == JobOptions(flash=True)
    heliograph("account", "set", "acme", "--no-flash")
    assert stored("acme").defaults == JobOptions()


def test_disable_enable_and_passwd(heliograph):
    heliograph("account", "add", "acme")
    assert heliograph("account", "disable", "acme").code == Exit.OK
    assert stored("acme").disabled
    heliograph("account", "enable", "acme")
    account = stored("acme")
    assert not account.disabled
    password = heliograph("account", "passwd", "acme").out.strip()
    changed = stored("acme")
    assert changed.password_hash != account.password_hash
    assert PasswordHasher().verify(changed.password_hash, password)


def test_a_name_that_is_taken_is_an_error(heliograph):
    heliograph("account", "add", "acme")
    ran = heliograph("account", "add", "acme")
    assert (ran.code, ran.out) == (Exit.FAILED, "")
    assert "there is an account acme already" in ran.err


@pytest.mark.parametrize("command", [["disable"], ["enable"], ["passwd"], ["set", "--lenient"]])
def test_an_account_that_is_not_there_names_the_nearest(heliograph, command):
    heliograph("account", "add", "acme")
    ran = heliograph("account", command[0], "acne", *command[1:])
    assert (ran.code, ran.out) == (Exit.FAILED, "")
    assert ran.err == "heliograph: there is no account acne; did you mean acme?\n"


def test_the_list_is_a_table_of_80_columns_and_tells_no_hash(heliograph):
    heliograph("account", "add", "acme", "--src", "ACME", "--rate-limit", "none", "--lenient")
    heliograph("account", "add", "x" * 64)
    heliograph("account", "disable", "acme")
    ran = heliograph("account", "list")
    assert ran.code == Exit.OK
    assert max(map(len, ran.out.splitlines())) <= 80
    assert [word in ran.out for word in ("acme", "disabled", "lenient", "src=ACME", "argon2")] == [True] * 4 + [False]
    assert "argon2" not in heliograph("account", "list", "--json").out


def test_an_empty_list_says_what_to_do(heliograph):
    Path("heliograph.db").touch()
    ran = heliograph("account", "list")
    assert (ran.code, ran.out) == (Exit.OK, "")
    assert "heliograph account add NAME" in ran.err
    assert heliograph("account", "list", "--json").out == "[]\n"
