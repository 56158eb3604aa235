import dataclasses
import re
from pathlib import Path

import pytest
import trustme

from heliograph.config.addresses import Address, SqliteUrl
from heliograph.config.carriers import SmppSettings
from heliograph.config.describing import settings_in, variable_of
from heliograph.config.reading import load_settings
from heliograph.config.settings import SECTIONS, LogFormat, Role, Settings
from heliograph.jobs.errors import SettingsInvalid
from heliograph.jobs.routing import OwnAlphabet
from heliograph.smpp.pdus import BindReceiver, BindTransmitter
from heliograph.smpp.profiles import Alphabet, Concatenation, FlashCoding, NumberType, Profile, ValidityFormat
from heliograph.smpp.receipts import IdBase, MessageState
from heliograph.smpp.statuses import StatusKind
from heliograph.store.postgresql.url import PostgresqlUrl
from tools import settings_reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def settings(toml="", environ=None, **flags):
    Path("heliograph.toml").write_text(toml, "utf-8")
    return load_settings(None, environ or {}, {key.replace("__", "."): value for key, value in flags.items()})


def fault(toml="", environ=None, **flags):
    with pytest.raises(SettingsInvalid) as caught:
        settings(toml, environ, **flags)
    return str(caught.value)


EVERY_SETTING = {
    "server.listen": ('"[::1]:0"', "[::1]:0", Address("::1", 0)),
    "server.roles": ('["api"]', "api", (Role.API,)),
    "server.trusted_proxies": ('["10.0.0.7", "fd00::/8"]', "10.0.0.7, fd00::/8", ("10.0.0.7/32", "fd00::/8")),
    "server.header_timeout": ("2.5", "2.5", 2.5),
    "server.shutdown_delay": ("2.5", "2.5", 2.5),
    "server.shutdown_timeout": ("0", "0", 0),
    "server.log_format": ('"json"', "json", LogFormat.JSON),
    "server.log_requests": ("true", "true", True),
    "database.url": (
        '"sqlite:////var/lib/h.db"',
        "sqlite:////var/lib/h.db",
        SqliteUrl(Path("/var/lib/h.db")),
    ),
    "database.password": ('"secret"', "secret", "secret"),
    "delivery.retry": ("[1, 2.5]", "1, 2.5", (1, 2.5)),
    "delivery.receipt_grace": ("3600", "3600", 3600),
    "delivery.response_timeout": ("5", "5", 5),
    "delivery.next_carrier_tries": ("3", "3", 3),
    "delivery.next_carrier_throttled": ("0.5", "0.5", 0.5),
    "retention.days": ("30", "30", 30),
    "retention.text_days": ("0.5", "0.5", 0.5),
    "webhooks.allow_private": ("true", "1", True),
    "webhooks.timeout": ("10", "10", 10.0),
    "webhooks.concurrency": ("5", "5", 5),
    "webhooks.retry": ("[1, 2.5]", "1, 2.5", (1.0, 2.5)),
    "mcp.allowed_hosts": ('["a.example", "a.example:1"]', "a.example, a.example:1", ("a.example", "a.example:1")),
    "mcp.allowed_origins": ('["https://a.example"]', "https://a.example", ("https://a.example",)),
}


def test_every_setting_can_come_from_the_file_and_from_a_variable():
    paths = {f"{name}.{key}" for name, kind in SECTIONS.items() for key in settings_in(kind)}
    assert paths - {"server.tls_certificate", "server.tls_key", "database.password_file"} == EVERY_SETTING.keys()
    for path, (in_toml, in_variable, value) in EVERY_SETTING.items():
        section, key = path.split(".")
        from_file = settings(f"[{section}]\n{key} = {in_toml}")
        from_variable = settings(environ={variable_of(section, key): in_variable})
        assert getattr(getattr(from_file, section), key) == value, path
        assert from_variable == from_file, path


def test_the_defaults_are_those_of_the_contract():
    found = settings()
    assert str(found.server.listen) == "127.0.0.1:8480"
    assert str(found.database.url) == "sqlite:///heliograph.db"
    assert found.delivery.retry == (5, 15, 60, 300, 900)
    assert (found.delivery.receipt_grace, found.delivery.response_timeout) == (86_400, 30)
    assert (found.retention.days, found.retention.text_days) == (90, None)
    assert [carrier.name for carrier in found.carriers] == ["sandbox"]
    assert found.routing().carriers_for("+49176") == ("sandbox",)


def test_flags_win_over_variables_and_these_over_the_file():
    toml, environ = (
        '[server]\nlisten = "a:1"\nheader_timeout = 1\nlog_requests = true',
        {
            "HELIOGRAPH_SERVER_LISTEN": "b:2",
            "HELIOGRAPH_SERVER_HEADER_TIMEOUT": "2",
        },
    )
    found = settings(toml, environ, server__listen="c:3", database__url=None).server
    assert (found.listen, found.header_timeout, found.log_requests) == (Address("c", 3), 2, True)


def test_an_empty_variable_is_the_same_as_none():
    assert settings(environ={"HELIOGRAPH_SERVER_LISTEN": "", "HELIOGRAPH_NONSENSE": ""}) == Settings()


def test_variables_of_the_client_and_of_others_are_left_alone():
    names = ("HELIOGRAPH_URL", "HELIOGRAPH_USERNAME", "HELIOGRAPH_PASSWORD", "PATH")
    assert settings(environ=dict.fromkeys(names, "x")) == Settings()


def test_without_a_file_the_defaults_hold():
    assert load_settings(None, {}, {}) == Settings()


@pytest.mark.parametrize("named_by", ["flag", "variable"])
def test_a_file_that_is_named_must_be_there(named_by):
    config, environ = (Path("no.toml"), {}) if named_by == "flag" else (None, {"HELIOGRAPH_CONFIG": "no.toml"})
    with pytest.raises(SettingsInvalid, match=r"^there is no configuration file no\.toml$"):
        load_settings(config, environ, {})
    Path("no.toml").write_bytes(b"\xef\xbb\xbf[retention]\r\ndays = 1\r\n")
    assert load_settings(config, environ, {}).retention.days == 1


def test_a_file_that_can_not_be_read_says_why():
    Path("folder").mkdir()
    with pytest.raises(SettingsInvalid, match="can't read the configuration file folder: Is a directory"):
        load_settings(Path("folder"), {}, {})
    assert "heliograph.toml is not TOML: " in fault("x = ")
    assert "(at line 2, column 1)" in fault("x = 1\nx = 2\n") or "line 2" in fault("x = 1\nx = 2\n")
    Path("latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(SettingsInvalid, match=r"latin\.toml: byte 2 is not UTF-8"):
        load_settings(Path("latin.toml"), {}, {})


# What is not known names the nearest that is


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[srever]", "section [srever] is not known; did you mean [server]?"),
        ("[carrier]", "section [carrier] is not known; did you mean [[carriers]]?"),
        ("[server]\nlisen = 1", "server.lisen is not known; did you mean listen?"),
        ("[server]\nLISTEN = 1", "server.LISTEN is not known; did you mean listen?"),
        ("[webhooks]\nqqq = 1", "webhooks.qqq is not known; known are allow_private, timeout, concurrency, retry"),
        ('[[carriers]]\nkind = "sandbox"\nwidnow = 1', "carriers[0].widnow is not known; did you mean window?"),
        ("[[routes]]\ntoo = 1", "routes[0].too is not known; did you mean to?"),
    ],
)
def test_an_unknown_name_in_the_file_is_an_error_that_names_the_nearest(toml, message):
    assert fault(toml) == f"heliograph.toml: {message}"


def test_a_variable_that_is_named_like_no_section_may_be_anybodys():  # Kubernetes', for a service called heliograph
    variables = {"HELIOGRAPH_SERVICE_HOST": "10.0.0.1", "HELIOGRAPH_PORT": "tcp://10.0.0.1:8480"}
    assert settings(environ=variables) == Settings(ignored_variables=("HELIOGRAPH_PORT", "HELIOGRAPH_SERVICE_HOST"))


def test_an_unknown_variable_is_an_error_that_names_the_nearest():
    assert fault(environ={"HELIOGRAPH_SERVER_LISTNE": "x"}) == (
        "the environment variable HELIOGRAPH_SERVER_LISTNE is not known; did you mean HELIOGRAPH_SERVER_LISTEN?"
    )


# What can't be names key, value and remedy


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[server]\nshutdown_timeout = "x"',
            'server.shutdown_timeout is "x"; it must be a number of seconds from 0 to 3600',
        ),
        (
            '[server]\ntrusted_proxies = ["10.0.0.7/8"]',
            'server.trusted_proxies is ["10.0.0.7/8"]; it must be a list [ ... ], each an address or a network, '
            'such as "10.0.0.7" or "10.0.0.0/8"',
        ),
        (
            "[server]\ntrusted_proxies = [10]",
            "server.trusted_proxies is [10]; it must be a list [ ... ], each an address or a network, "
            'such as "10.0.0.7" or "10.0.0.0/8"',
        ),
        (
            "[server]\nheader_timeout = 0",
            "server.header_timeout is 0; it must be a number of seconds above 0, at most 3600",
        ),
        (
            "[server]\nheader_timeout = nan",
            "server.header_timeout is nan; it must be a number of seconds above 0, at most 3600",
        ),
        ("[retention]\ndays = inf", "retention.days is inf; it must be a number of days above 0, at most 36500"),
        ("[retention]\ndays = true", "retention.days is true; it must be a number of days above 0, at most 36500"),
        ("[server]\nlog_requests = 1", "server.log_requests is 1; it must be true or false"),
        (
            '[server]\nlog_format = "xml"',
            'server.log_format is "xml"; it must be one of "auto", "console", "json"',
        ),
        (
            "[server]\nroles = []",
            'server.roles is []; it must be a list [ ... ], each one of "api", "dispatch"',
        ),
        (
            "[delivery]\nretry = [5, 0]",
            "delivery.retry is [5,0]; it must be a list [ ... ], each a number of seconds above 0, at most 172800",
        ),
        (
            "[server]\nlisten = 2020-01-01",
            'server.listen is "2020-01-01"; it must be HOST:PORT with a port from 0 (any free one) to 65535, such as '
            '"127.0.0.1:8480" or "[::1]:8480", or "0.0.0.0:8480" for every interface',
        ),
        ("server = 1", "server must be a section; write [server] and its keys below"),
        ("[carriers]\n", "there can be several carriers; write [[carriers]] with two brackets"),
        ('[[carriers]]\nname = "a"', 'carriers[0] has no kind; it must be one of "sandbox", "smpp"'),
        (
            '[[carriers]]\nkind = "smp"',
            'carriers[0].kind is "smp"; it must be one of "sandbox", "smpp"',
        ),
        (
            '[[carriers]]\nkind = "sandbox"',
            "carriers[0] has no name; it must be 1 to 64 characters of A-Z, a-z, 0-9, - and _, a letter or digit first",
        ),
        (
            '[[carriers]]\nkind = "sandbox"\nname = "a b"',
            'carriers[0].name is "a b"; it must be 1 to 64 characters of A-Z, a-z, 0-9, - and _, '
            "a letter or digit first",
        ),
        (
            '[[carriers]]\nkind = "sandbox"\nname = "a-1"\n[[carriers]]\nkind = "sandbox"\nname = "A_1"',
            'carriers[1].name is "A_1", and carriers[0] is called so too; give each carrier a name of its own',
        ),
        (
            '[[routes]]\nto = ["49"]\ncarriers = ["sandbox"]',
            'routes[0].to is ["49"]; it must be a list [ ... ], each the first digits of numbers, such as "+49", '
            'or "+" for everywhere',
        ),
        (
            '[[routes]]\nto = ["+"]\ncarriers = ["acme"]',
            'routes[0].carriers names "acme"; the carriers are "sandbox"',
        ),
        (
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]\n[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]',
            'routes[1].to names "+1", and so does routes[0]; a prefix can lead to one route only',
        ),
        (
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]\nsenders = ["A", "B"]\n'
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]\nsenders = ["B"]',
            'routes[1].to names "+1", and so does routes[0]; '
            "a prefix can lead to one route only for an account and sender",
        ),
        (
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox", "sandbox"]',
            "routes[0].carriers names one twice; each can be tried in one place only",
        ),
        (
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]\nweights = [1, 2]',
            "routes[0].weights is [1, 2] for 1 carriers; it must have one for each, and not nothing but 0",
        ),
        (
            '[[routes]]\nto = ["+1"]\ncarriers = ["sandbox"]\nweights = [0]',
            "routes[0].weights is [0] for 1 carriers; it must have one for each, and not nothing but 0",
        ),
    ],
)
def test_a_wrong_value_names_key_value_and_remedy(toml, message):
    assert fault(toml) == f"heliograph.toml: {message}"


def test_a_wrong_value_names_where_it_came_from():
    assert fault(environ={"HELIOGRAPH_DELIVERY_RETRY": "5;10"}) == (
        'HELIOGRAPH_DELIVERY_RETRY is "5;10"; it must be a number of seconds above 0, at most 172800, '
        "or several separated by commas"
    )
    assert fault(server__roles="api,web") == (
        '--roles is "api,web"; it must be one of "api", "dispatch", or several separated by commas'
    )
    assert fault(environ={"HELIOGRAPH_SERVER_LOG_FORMAT": "\udcff"}) == (
        'HELIOGRAPH_SERVER_LOG_FORMAT is "?"; it must be one of "auto", "console", "json"'
    )


# Addresses


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:8480", "127.0.0.1", 8480, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:8480", "::1", 8480, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::]:65535", "::", 65535, False),
        ("sms.example:443", "sms.example", 443, False),
    ],
)
def test_an_address_is_a_host_and_a_port(text, host, port, is_loopback):
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback, str(address)) == (host, port, is_loopback, text)


@pytest.mark.parametrize(
    "text", ["8480", ":8480", "localhost", "::1:8480", "[::1]", "[x]:1", "a:65536", "a:-1", "a b:1"]
)
def test_anything_else_is_no_address(text):
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        Address.parse(text)


# The database


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///heliograph.db", "heliograph.db"),
        ("sqlite:///data/h.db", "data/h.db"),
        ("sqlite:////var/h.db", "/var/h.db"),
        ("SQLite:///h.db", "h.db"),
    ],
)
def test_a_database_is_a_file(url, path):
    assert SqliteUrl.parse(url).path == Path(path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://h.db", "database.url must have three slashes after sqlite: before a relative path; write sqlite"),
        ("sqlite:///", "database.url must name a file, and nothing after it; write sqlite"),
        ("sqlite:///h.db?mode=ro", "database.url must name a file, and nothing after it; write sqlite"),
        ("heliograph.db", "database.url must be a database URL that begins with sqlite:/// or postgresql://; write"),
        ("mysql://joe:secret@db/x", "database.url must be a database URL that begins with sqlite:/// or postgresql://"),
        ("postgresql://joe:secret@db", "database.url must name a database after the host; write postgresql://"),
        ("postgresql://joe:secret@db/", "database.url must name a database after the host; write postgresql://"),
        ("postgresql://joe:secret/@db/x", "database.url must name one database after the host"),
        ("postgresql://joe:sec@ret@db/x", "database.url has several @; one in a user name or password must be written"),
        ("postgresql://joe:secret#1@db/x", "database.url has a # in it, which must be written as %23"),
        ("postgresql://joe:secret@db:99999/x", "database.url must have ports from 1 to 65535"),
        ("postgresql://db/x?password=secret", "database.url has an option after the ? that is not known; known are"),
        ("postgresql://joe:sec?ret@db/x", "database.url must name a database after the host"),
        ("postgresql://db/x?secret", "database.url has an option after the ? that is not known; known are"),
        ("postgresql://db/x?sslrootcert=system", "database.url must have no sslrootcert=system"),
        ("postgresql://db/x?sslmode=secret", "database.url must have an sslmode that is one of disable, allow"),
        ("postgresql://db/x?target_session_attrs=standby", "database.url must have target_session_attrs=primary"),
        (
            "postgresql://joe:secret@db1,db2/x?target_session_attrs=any",
            "database.url must not have target_session_attrs=any with several hosts: of those that answer, only the "
            "primary takes writes; leave it out, or write primary",
        ),
        (
            "postgresql:///x?host=db1,db2&target_session_attrs=any",
            "database.url must not have target_session_attrs=any with several hosts",
        ),
    ],
)
def test_another_database_says_what_would_be_right_and_tells_no_password(url, message):
    told = fault(f'[database]\nurl = "{url}"')
    assert told.startswith(f"heliograph.toml: {message}")
    assert "secret" not in told


@pytest.mark.parametrize(
    "url", ["postgresql://joe:sec?ret@db/x", "postgresql://joe:s/e?c@db/x", "postgresql://db/x?y=1"]
)
def test_a_password_that_is_not_escaped_is_told_how_it_would_be(url):
    assert "In a password ? is written as %3F, @ as %40, / as %2F, # as %23" in fault(f'[database]\nurl = "{url}"')


POSTGRESQL = "postgresql://joe:p%40ss%2Fw@db1:5432,[::1]:5433/h?sslmode=verify-full"


def test_a_database_can_be_on_postgresql_servers():
    url = settings(f'[database]\nurl = "{POSTGRESQL}"').database.url
    assert isinstance(url, PostgresqlUrl)
    assert url.password == "p@ss/w"
    assert url.dsn == str(url) == "postgresql://joe@db1:5432,[::1]:5433/h?sslmode=verify-full"
    assert "p@ss/w" not in repr(url)
    assert url.target_session_attrs == "primary"


def test_one_host_may_be_whatever_answers():
    """Such as a proxy that finds the primary itself, and says nothing of that."""
    for hosts in ("db/h?", "/h?host=db&"):
        url = settings(f'[database]\nurl = "postgresql://{hosts}target_session_attrs=any"').database.url
        assert url.target_session_attrs == "any"


def test_of_several_hosts_the_primary_is_meant():
    for hosts in ("db1,db2/h", "/h?host=db1,db2"):
        assert settings(f'[database]\nurl = "postgresql://{hosts}"').database.url.target_session_attrs == "primary"


def test_what_takes_writes_is_the_primary():
    url = settings('[database]\nurl = "postgresql://db1,db2/h?target_session_attrs=read-write"').database.url
    assert url.target_session_attrs == "primary"


def test_the_database_s_password_can_come_from_elsewhere(tmp_path):
    file = tmp_path / "password"
    file.write_text("from a file\nand more\n")
    for toml, environ in (
        (f'[database]\nurl = "{POSTGRESQL}"\npassword_file = "{file}"', {}),
        (f'[database]\nurl = "{POSTGRESQL}"\npassword = "from a file"', {}),
        (f'[database]\nurl = "{POSTGRESQL}"', {"HELIOGRAPH_DATABASE_PASSWORD": "from a file"}),
    ):
        assert settings(toml, environ).database.password == "from a file"
    told = fault(f'[database]\npassword = "secret"\npassword_file = "{file}"')
    assert told.startswith("heliograph.toml: database.password_file and heliograph.toml: database.password are both")
    told = fault(f'[database]\npassword_file = "{tmp_path / "none"}"')
    assert "which can't be read: No such file" in told


# Carriers and routes


def test_a_sandbox_has_settings_of_its_own():
    found = settings(
        '[[carriers]]\nname = "play"\nkind = "sandbox"\nwindow = 10\ndelay = 0\nrate = 50\nretry = []\n'
        '[[carriers]]\nname = "other"\nkind = "sandbox"\n'
        '[[routes]]\nto = ["+49", "+43"]\ncarriers = ["other", "play"]\n'
    )
    play, other = found.carriers
    assert (play.window, play.delay, play.rate) == (10, 0, 50)
    assert (other.window, other.delay, other.rate) == (1000, 0.2, None)
    assert (found.retry_policy(play).waits_s, found.retry_policy(play).repeat_last) == ((), False)
    assert (found.retry_policy(other).waits_s, found.retry_policy(other).repeat_last) == ((1, 2, 5), False)
    assert found.routing().carriers_for("+436") == ("other", "play")
    assert found.routing().carriers_for("+336") == ()


def test_routes_may_hold_for_accounts_and_senders_only_and_share():
    found = settings(
        '[[carriers]]\nname = "a"\nkind = "sandbox"\n[[carriers]]\nname = "b"\nkind = "sandbox"\n'
        '[[routes]]\nto = ["+"]\ncarriers = ["a", "b"]\nweights = [0, 1]\n'
        '[[routes]]\nto = ["+"]\ncarriers = ["a"]\naccounts = ["acme"]\nsenders = ["Helio"]\n'
    )
    assert found.routing().carriers_for("+49", "acme", "Helio") == ("a",)
    assert found.routing().carriers_for("+49", "acme", "Other") == ("b", "a")


def test_carriers_that_join_parts_by_16_bits_are_known_to_whoever_cuts_texts():
    smpp = '[[carriers]]\nname = "{}"\nkind = "smpp"\nhost = "smsc.example"\nsystem_id = "helio"\npassword = "p"\n'
    found = settings(smpp.format("a") + 'concatenation = "udh16"\n' + smpp.format("b"))
    assert found.routing().wide == {"a"}


def test_carriers_with_an_alphabet_of_their_own_are_known_to_whoever_cuts_texts():
    smpp = '[[carriers]]\nname = "{}"\nkind = "smpp"\nhost = "smsc.example"\nsystem_id = "helio"\npassword = "p"\n'
    found = settings(
        smpp.format("a")
        + 'alphabet = "latin-1"\n'
        + smpp.format("b")
        + 'alphabet = "ascii"\nflash = "subunit"\n'
        + smpp.format("c")
        + 'alphabet = "gsm-packed"\n'
    )
    assert found.routing().alphabets == {
        "a": OwnAlphabet("latin-1", flash=False),
        "b": OwnAlphabet("ascii", flash=True),
    }


def test_a_carrier_that_is_no_sandbox_is_as_patient_as_delivery_says():
    found = settings("[delivery]\nretry = [7]\nreceipt_grace = 9")
    policy = found.retry_policy(SmppSettings(name="acme", host="smsc.example", system_id="helio"))
    assert (policy.waits_s, policy.repeat_last, policy.receipt_grace_s) == ((7,), True, 9)


SMPP = """
[[carriers]]
name = "acme"
kind = "smpp"
host = "smsc.example"
port = 2775
system_id = "helio"
password = "secret"
bind = "transmitter+receiver"
binds = 1
window = 10
rate = 100
response_timeout = 30
reconnect = 1
tls = false
"""


def test_smpp_as_the_contract_shows_it_is_understood():
    found = settings(SMPP)
    [carrier] = found.carriers
    smsc = carrier.smsc(found.response_timeout(carrier))
    assert (smsc.host, smsc.port, smsc.system_id, smsc.password) == ("smsc.example", 2775, "helio", "secret")
    assert smsc.modes == (BindTransmitter, BindReceiver)
    assert (smsc.session.window, smsc.session.response_timeout_s, smsc.backoff.shortest_s) == (10, 30, 1)
    assert (smsc.tls, carrier.rate) == (None, 100)
    assert smsc.profile == Profile()


def test_the_password_of_a_carrier_comes_from_the_variable_before_a_file_or_the_configuration():
    Path("password").write_text("of-file\nrest\n", "utf-8")
    from_file = SMPP.replace('password = "secret"', 'password_file = "password"')
    assert settings(from_file).carriers[0].password == "of-file"
    for toml in (SMPP, from_file):
        found = settings(toml, {"HELIOGRAPH_CARRIER_ACME_PASSWORD": "variable"})
        assert found.carriers[0].password == "variable"


def test_a_carrier_s_whole_profile_can_be_declared():
    toml = (
        SMPP
        + """
alphabet = "latin-1"
data_coding = 3
flash = "f0"
concatenation = "sar"
answered_ids = "hexadecimal"
receipt_ids = "decimal"
states = { sent = "enroute", GONE = "skipped" }
accepted_is_final = true
statuses = { "0x0401" = "temporary", "ESME_RINVDSTADR" = "policy", "1025" = "bad number" }
policy_is_its_own = true
query_sm = true
cancel_sm = true
validity = "absolute"
normal_priority = 1
express_priority = 3
service_type = "CMT"
esm_class = 3
destination = { ton = 0, npi = 1 }
alphanumeric = { ton = 5, npi = 1 }
international = { ton = 1, npi = 0 }
national = { ton = 2, npi = 0 }
short_code = { ton = 6, npi = 0 }
no_sender = { ton = 3, npi = 3 }
short_code_digits = 6
address_type = { ton = 1, npi = 9 }
address_range = '^49[0-9]*$'
interface_version = 0x50
longest_system_id = 16
longest_password = 9
longest_system_type = 13
"""
    )
    found = settings(toml.replace('"1025" = "bad number"', '"0x402" = "bad number"')).carriers[0].smsc(30).profile
    assert found == Profile(
        alphabet=Alphabet.LATIN_1,
        data_coding=3,
        flash=FlashCoding.F0,
        concatenation=Concatenation.SAR,
        answered_ids=IdBase.HEXADECIMAL,
        receipt_ids=IdBase.DECIMAL,
        states={"SENT": MessageState.ENROUTE, "GONE": MessageState.SKIPPED},
        accepted_is_final=True,
        statuses={0x401: StatusKind.TEMPORARY, 0x0B: StatusKind.POLICY, 0x402: StatusKind.BAD_NUMBER},
        policy_is_its_own=True,
        query_sm=True,
        cancel_sm=True,
        validity=ValidityFormat.ABSOLUTE,
        normal_priority=1,
        express_priority=3,
        service_type="CMT",
        esm_class=3,
        destination=NumberType(0, 1),
        alphanumeric=NumberType(5, 1),
        international=NumberType(1, 0),
        national=NumberType(2, 0),
        short_code=NumberType(6, 0),
        no_sender=NumberType(3, 3),
        short_code_digits=6,
        address_type=NumberType(1, 9),
        address_range="^49[0-9]*$",
        interface_version=0x50,
        longest_system_id=16,
        longest_password=9,
        longest_system_type=13,
    )


def test_every_fact_of_a_profile_is_a_setting():
    assert {field.name for field in dataclasses.fields(Profile)} <= settings_in(SmppSettings).keys()


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (('password = "secret"', ""), 'write password_file = "…", or set HELIOGRAPH_CARRIER_ACME_PASSWORD'),
        (('"secret"', "12345"), "carriers[0].password must be a text in quotes that is not empty"),
        (('"secret"', '"a-long-password"'), "the password has 15 characters; longest_password allows 8"),
        (('"secret"', '"secret"\npassword_file = "x"'), "has password and password_file; leave one of them out"),
        (('password = "secret"', 'password_file = "x"'), "password_file is \"x\", which can't be read: No such file"),
        (("tls = false", 'tls_ca_file = "x"'), "tls_ca_file is of no use without encryption; write tls = true"),
        (("tls = false", 'tls = true\ntls_ca_file = "x"'), "and there is no such file; name a PEM file"),
        (("tls = false", "alphanumeric = { ton = 1, npi = 0 }"), "an alphanumeric sender can't have TON 1"),
        (("tls = false", "address_type = { ton = 256, npi = 0 }"), "and a numbering plan, such as { ton ="),
        (("tls = false", f'address_range = "{"4" * 41}"'), 'address_range is "4444'),
        (("tls = false", f'address_range = "{"4" * 41}"'), "it must be at most 40 characters of ASCII"),
        (("tls = false", 'address_range = "4é"'), 'address_range is "4é"; it must be at most 40 characters of ASCII'),
        (("tls = false", "national = { ton = 1 }"), "and a numbering plan, such as { ton = 1, npi = 1 }"),
        (("tls = false", 'statuses = { "x" = "policy" }'), 'statuses has "x", which is no command_status'),
        (("tls = false", 'statuses = { "0x401" = "bad" }'), "command_status values and kinds, such as"),
        (("tls = false", 'states = { "SENT" = "gone" }'), "words of receipts and states, such as"),
    ],
)  # fmt: skip
def test_what_a_carrier_can_not_be_is_said_at_once(changed, wrong):
    told = fault(SMPP.replace(*changed))
    assert wrong in told
    assert "secret" not in told
    assert "a-long-password" not in told


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("smpp://smsc.example", 'write host = "smsc.example"'),
        ("smpps://smsc.example:3550/", 'write host = "smsc.example" and port = 3550'),
        ("127.0.0.1:21005", 'write host = "127.0.0.1" and port = 21005'),
        ("[::1]:2775", 'write host = "::1" and port = 2775'),
        ("[::1]", 'write host = "::1"'),
        ("smsc.example:smpp", "which is no host; write its name or address alone"),
        ("smsc example", "which is no host; write its name or address alone"),
    ],
)
def test_the_host_of_a_carrier_is_the_host_alone(host, wrong):
    told = fault(SMPP.replace('host = "smsc.example"', f'host = "{host}"'))
    assert f'carriers[0].host is "{host}", ' in told
    assert wrong in told


@pytest.mark.parametrize("host", ["smsc_1.example", "localhost", "10.0.0.1", "::1", "fe80::1%eth0", "smsc.example."])
def test_names_and_addresses_of_either_kind_are_hosts(host):
    [carrier] = settings(SMPP.replace('host = "smsc.example"', f'host = "{host}"')).carriers
    assert carrier.host == host


def test_pem_files_of_a_carrier_that_can_not_be_used_are_said_at_once():
    authority = trustme.CA()
    authority.cert_pem.write_to_path("ca.pem")
    for name in ("ours", "other"):
        issued = authority.issue_cert(f"{name}.example")
        issued.cert_chain_pems[0].write_to_path(f"{name}.pem")
        issued.private_key_pem.write_to_path(f"{name}.key")
    Path("empty.pem").touch()

    def with_files(**files):
        lines = "\n".join(f'{key} = "{name}"' for key, name in files.items())
        return SMPP.replace("tls = false", f"tls = true\n{lines}")

    assert settings(with_files(tls_ca_file="ca.pem", tls_certificate="ours.pem", tls_key="ours.key")).carriers
    for name in ("ours.key", "empty.pem"):
        told = fault(with_files(tls_ca_file=name))
        assert f'carriers[0].tls_ca_file is "{name}", which holds no certificate; name a file of' in told
    told = fault(with_files(tls_certificate="ours.key", tls_key="ours.key"))
    assert 'carriers[0].tls_certificate is "ours.key", which holds no certificate' in told
    told = fault(with_files(tls_certificate="ours.pem", tls_key="ours.pem"))
    assert 'carriers[0].tls_key is "ours.pem", which holds no private key' in told
    told = fault(with_files(tls_certificate="ours.pem", tls_key="other.key"))
    assert 'carriers[0].tls_key is "other.key", which is not the key of "ours.pem"' in told


def test_the_password_of_a_carrier_that_is_not_there_is_an_error():
    assert fault(SMPP, {"HELIOGRAPH_CARRIER_ACM_PASSWORD": "secret"}) == (
        "the environment variable HELIOGRAPH_CARRIER_ACM_PASSWORD belongs to no carrier; "
        "did you mean HELIOGRAPH_CARRIER_ACME_PASSWORD?"
    )


# TLS


def test_certificate_and_key_go_together_and_must_be_there():
    for name in ("c.pem", "k.pem"):
        Path(name).touch()
    both = settings('[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"').server
    assert (both.tls_certificate, both.tls_key) == (Path("c.pem"), Path("k.pem"))
    alone = fault('[server]\ntls_certificate = "c.pem"')
    assert alone == "server.tls_key is missing; tls_certificate and tls_key go together"
    gone = fault('[server]\ntls_certificate = "c.pem"\ntls_key = "no.pem"')
    assert gone == 'server.tls_key is "no.pem", and there is no such file; name a PEM file'


# The reference


def test_every_setting_says_what_it_means():
    for section in SECTIONS.values():
        for setting in settings_in(section).values():
            assert setting.meta.description, setting.key


def test_the_example_in_the_reference_says_nothing_but_the_defaults():
    example = re.search(r"```toml\n(.*?)```", settings_reference.files()[settings_reference.PATH], re.DOTALL)
    found = settings(example[1])
    assert found.routing().carriers_for("+49") == ("sandbox",)
    assert (found.server, found.database, found.carriers) == (
        Settings().server,
        Settings().database,
        Settings().carriers,
    )


def test_the_reference_is_up_to_date():
    for path, content in settings_reference.files().items():
        assert (ROOT / path).read_text("utf-8") == content, "make golden"


# Numbers that phones send to


def test_a_number_that_phones_send_to_belongs_to_an_account():
    toml = '[[inbound]]\nto = "+4915735982222"\naccount = "acme"\n[[inbound]]\nto = "80100"\naccount = "beta"'
    assert settings(toml).inbound_owners() == {"+4915735982222": "acme", "80100": "beta"}
    assert settings().inbound_owners() == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('to = "+49157 3598"\naccount = "acme"', 'inbound[0].to is "+49157 3598"; it must be a number in E.164'),
        ('to = "80100"', "inbound[0] has no account"),
        ('account = "acme"', "inbound[0] has no to; it must be a number in E.164"),
        ('to = "80100"\naccount = "acme"\nowner = 1', "inbound[0].owner is not known"),
        (
            'to = "80100"\naccount = "acme"\n[[inbound]]\nto = "80100"\naccount = "beta"',
            'inbound[1].to is "80100", and so is inbound[0].to; a number can belong to one account only',
        ),
    ],
)
def test_a_number_that_phones_send_to_is_checked(lines, message):
    assert message in fault(f"[[inbound]]\n{lines}")
