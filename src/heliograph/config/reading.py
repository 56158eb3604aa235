"""The settings in force: heliograph.toml, then HELIOGRAPH_* variables, then flags; the later wins."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, cast, get_origin

import msgspec

from heliograph.carriers.smpp.smsc import tls_files_fault
from heliograph.config.addresses import Address, DatabaseUrl, Network, database_url
from heliograph.config.carriers import CARRIER_KINDS, CarrierSettings, SmppSettings
from heliograph.config.describing import (
    PREFIX,
    Setting,
    expected,
    password_variable_of,
    plain_kind,
    settings_in,
    variable_of,
)
from heliograph.config.settings import (
    REPEATED,
    SECTIONS,
    DatabaseSettings,
    InboundSettings,
    Role,
    RouteSettings,
    ServerSettings,
    Settings,
)
from heliograph.config.wording import quoted, suggestion
from heliograph.jobs.errors import SettingsInvalid

DEFAULT_FILE = Path("heliograph.toml")
"""Read from the working directory when no file is named, if it is there."""
CONFIG_VARIABLE = "HELIOGRAPH_CONFIG"
CLIENT_VARIABLES = frozenset({"HELIOGRAPH_URL", "HELIOGRAPH_USERNAME", "HELIOGRAPH_PASSWORD"})
"""What the client commands read; a service that shares their environment takes no offence."""
FLAGS = {"server.listen": "listen", "server.roles": "roles", "database.url": "database"}
"""The settings that have a flag."""


def load_settings(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Settings:
    """The settings in force.

    config: the file; None is the one that HELIOGRAPH_CONFIG names, or ./heliograph.toml if it is there.
    environ: an empty variable is the same as none.
    overrides: what flags say, by `section.key` as in FLAGS; None is the same as absent.
    Raises SettingsInvalid, naming key, value and remedy.
    """
    variables = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    named = config or (Path(variables[CONFIG_VARIABLE]) if CONFIG_VARIABLE in variables else None)
    path = named or DEFAULT_FILE
    document = _read(path) if named or path.is_file() else {}
    _check_names(document, [*SECTIONS, *REPEATED], f"{path}: section", _section_header)

    given = _from_file(document, path)
    passwords, ignored = _from_environment(variables, given)
    _from_flags(overrides, given)
    sections = {name: _section(kind, given.get(name, {})) for name, kind in SECTIONS.items()}
    carriers = _carriers(_tables(document, "carriers", path), path, passwords)
    routes = _routes(_tables(document, "routes", path), path, [carrier.name for carrier in carriers])
    inbound = _inbound(_tables(document, "inbound", path), path)
    settings = Settings(
        carriers=carriers, routes=routes, inbound=inbound, ignored_variables=ignored, **cast("dict[str, Any]", sections)
    )
    _check_tls(settings.server)
    return msgspec.structs.replace(settings, database=_database(settings.database, given["database"]))


class _Given(NamedTuple):
    """A value as it was given, and by what. is_text: by something that knows only texts."""

    value: object
    source: str
    is_text: bool


_GivenSections = dict[str, dict[str, _Given]]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsInvalid(f"there is no configuration file {path}") from None
    except OSError as error:
        raise SettingsInvalid(f"can't read the configuration file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}") from error


def _from_file(document: Mapping[str, object], path: Path) -> _GivenSections:
    given: _GivenSections = {}
    for name, section in SECTIONS.items():
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise SettingsInvalid(f"{path}: {name} must be a section; write [{name}] and its keys below")
        given[name] = _given_in_table(cast("dict[str, object]", table), section, f"{path}: {name}")
    return given


def _given_in_table(table: Mapping[str, object], section: type[msgspec.Struct], source: str) -> dict[str, _Given]:
    _check_names(table, settings_in(section), source, str)
    return {key: _Given(value, f"{source}.{key}", is_text=False) for key, value in table.items()}


def _check_names(names: Iterable[str], known: Iterable[str], source: str, shown: "type[str] | Any") -> None:
    for name in names:
        if name not in known:
            separator = " " if source.endswith("section") else "."
            raise SettingsInvalid(f"{source}{separator}{shown(name)} is not known; {suggestion(name, known, shown)}")


def _section_header(name: str) -> str:
    return f"[[{name}]]" if name in REPEATED else f"[{name}]"


def _from_environment(variables: Mapping[str, str], given: _GivenSections) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fill in what variables say; return those that look like carriers' passwords, and those that mean nothing.

    One that is named like a section's is an error where it means nothing. Others may be anybody's: for a service
    of this name Kubernetes sets HELIOGRAPH_PORT, HELIOGRAPH_SERVICE_HOST and so on, whoever likes it or not.
    """
    known = {variable_of(name, key): (name, key) for name, kind in SECTIONS.items() for key in settings_in(kind)}
    ours = tuple(variable_of(name, "") for name in SECTIONS)
    passwords: dict[str, str] = {}
    ignored: list[str] = []
    for variable, value in variables.items():
        if variable in known:
            name, key = known[variable]
            given[name][key] = _Given(value, variable, is_text=True)
        elif variable.startswith(f"{PREFIX}CARRIER_") and variable.endswith("_PASSWORD"):
            passwords[variable] = value
        elif variable in CLIENT_VARIABLES or variable == CONFIG_VARIABLE:
            continue
        elif not variable.startswith((*ours, f"{PREFIX}CARRIER_")):
            ignored.append(variable)
        else:
            near = suggestion(variable, [*known, *CLIENT_VARIABLES, CONFIG_VARIABLE])
            raise SettingsInvalid(f"the environment variable {variable} is not known; {near}")
    return passwords, tuple(sorted(ignored))


def _from_flags(overrides: Mapping[str, object], given: _GivenSections) -> None:
    for path, value in overrides.items():
        name, key = path.split(".")
        if value is not None:
            given[name][key] = _Given(value, f"--{FLAGS[path]}", is_text=isinstance(value, str))


def _section(kind: type[msgspec.Struct], given: Mapping[str, _Given]) -> msgspec.Struct:
    known = settings_in(kind)
    return kind(**{key: _value(known[key], each) for key, each in given.items()})


def _value(setting: Setting, given: _Given) -> object:
    value = given.value
    kind = plain_kind(setting.kind)
    try:
        if kind in _PARSERS:
            if not isinstance(value, str) or not value or "\0" in value:
                raise ValueError
            return _PARSERS[kind](value)
        if given.is_text and get_origin(kind) is tuple:
            value = [item.strip() for item in str(value).split(",") if item.strip()]
        converted = msgspec.convert(value, setting.kind, strict=not given.is_text, dec_hook=_item)
    except (msgspec.ValidationError, ValueError) as error:
        own = str(error) if kind in _PARSERS else ""
        remedy = own or f"must be {expected(setting.kind, setting.unit, given.is_text)}"
        shown = "" if setting.is_secret else f"is {quoted(given.value)}; it "
        raise SettingsInvalid(f"{given.source} {shown}{remedy}") from None
    return tuple(dict.fromkeys(converted)) if kind == tuple[Role, ...] else converted


def _item(kind: type, value: object) -> object:
    """Of a list of what msgspec doesn't know."""
    if kind is not Network or not isinstance(value, str):
        raise ValueError
    return Network.parse(value)


_PARSERS: dict[object, Any] = {Address: Address.parse, DatabaseUrl: database_url, Path: Path}


def _tables(document: Mapping[str, object], name: str, path: Path) -> list[dict[str, object]]:
    tables = document.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in cast("list[object]", tables)):
        raise SettingsInvalid(f"{path}: there can be several {name}; write [[{name}]] with two brackets")
    return cast("list[dict[str, object]]", tables)


def _table(table: Mapping[str, object], section: type[msgspec.Struct], source: str) -> Any:
    given = _given_in_table(table, section, source)
    for key, setting in settings_in(section).items():
        if setting.default is msgspec.NODEFAULT and key not in given:
            raise SettingsInvalid(f"{source} has no {key}; it must be {expected(setting.kind, setting.unit)}")
    return _section(section, given)


def _carriers(
    tables: Sequence[dict[str, object]], path: Path, passwords: Mapping[str, str]
) -> tuple[CarrierSettings, ...]:
    carriers: list[CarrierSettings] = []
    source_by_variable: dict[str, str] = {}
    for index, table in enumerate(tables):
        source = f"{path}: carriers[{index}]"
        kind = table.get("kind")
        kinds = f"must be one of {', '.join(map(quoted, CARRIER_KINDS))}"
        if kind is None:
            raise SettingsInvalid(f"{source} has no kind; it {kinds}")
        if not isinstance(kind, str) or kind not in CARRIER_KINDS:
            raise SettingsInvalid(f"{source}.kind is {quoted(kind)}; it {kinds}")
        carrier = _table(table, CARRIER_KINDS[kind], source)
        variable = password_variable_of(carrier.name)
        if variable in source_by_variable:
            wrong = f"is {quoted(carrier.name)}, and {source_by_variable[variable]} is called so too"
            raise SettingsInvalid(f"{source}.name {wrong}; give each carrier a name of its own")
        source_by_variable[variable] = f"carriers[{index}]"
        if isinstance(carrier, SmppSettings):
            carrier = _checked_smpp(carrier, source, passwords.get(variable), variable)
        carriers.append(carrier)
    for variable in passwords:
        if variable not in source_by_variable:
            near = suggestion(variable, source_by_variable) if source_by_variable else "there are no carriers"
            raise SettingsInvalid(f"the environment variable {variable} belongs to no carrier; {near}")
    return tuple(carriers) or Settings().carriers


def _checked_smpp(carrier: SmppSettings, source: str, password: str | None, variable: str) -> SmppSettings:
    """With the password from wherever it is, and all that is only wrong together found out."""
    if carrier.password is not None and carrier.password_file is not None:
        raise SettingsInvalid(f"{source} has password and password_file; leave one of them out")
    if password is None and carrier.password_file is not None:
        password = _first_line(carrier.password_file, f"{source}.password_file")
    if password is not None:
        carrier = msgspec.structs.replace(carrier, password=password)
    if carrier.password is None:
        raise SettingsInvalid(f'{source} has no password; write password_file = "…", or set {variable}')
    if wrong := _host_fault(carrier.host):
        raise SettingsInvalid(f"{source}.host is {quoted(carrier.host)}, {wrong}")
    for key in ("tls_ca_file", "tls_certificate", "tls_key"):
        path: Path | None = getattr(carrier, key)
        if path is not None and not carrier.tls:
            raise SettingsInvalid(f"{source}.{key} is of no use without encryption; write tls = true")
        if path is not None and not path.is_file():
            raise SettingsInvalid(f'{source}.{key} is "{path}", and there is no such file; name a PEM file')
    if (carrier.tls_certificate is None) != (carrier.tls_key is None):
        raise SettingsInvalid(f"{source} has one of tls_certificate and tls_key; they go together")
    try:
        smsc = carrier.smsc(response_timeout_s=1)
    except ValueError as error:
        raise SettingsInvalid(f"{source}: {error}") from None
    if smsc.tls is not None and (wrong := tls_files_fault(smsc.tls)):
        raise SettingsInvalid(f"{source}.{wrong}")
    return carrier


def _host_fault(host: str) -> str:
    """Why that is no host; empty if it may be one. IPv6 addresses stand without brackets."""
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return ""
    found = _HOST_AND_MORE.fullmatch(host)
    if found is None:
        return "which is no host; write its name or address alone"
    scheme, alone, port, path = found.group("scheme", "host", "port", "path")
    if not (scheme or port or path or alone.startswith("[")):
        return ""
    means = f'host = "{alone.strip("[]")}"' + (f" and port = {port}" if port else "")
    return f"which is more than the host; the port is `port`, encryption is `tls`: write {means}"


_HOST_AND_MORE = re.compile(
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)?(?P<host>\[[^\]\s/]+\]|[^\s:/\[\]]+)(:(?P<port>[0-9]+))?(?P<path>/\S*)?"
)


def _first_line(path: Path, source: str) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsInvalid(f'{source} is "{path}", which can\'t be read: {reason}') from None
    if not lines or not lines[0]:
        raise SettingsInvalid(f'{source} is "{path}", whose first line is empty; it must be the password')
    return lines[0]


def _routes(tables: Sequence[dict[str, object]], path: Path, carriers: list[str]) -> tuple[RouteSettings, ...]:
    routes: list[RouteSettings] = []
    first_by_scope: dict[tuple[str, str | None, str | None], int] = {}
    for index, table in enumerate(tables):
        source = f"{path}: routes[{index}]"
        route: RouteSettings = _table(table, RouteSettings, source)
        for carrier in route.carriers:
            if carrier not in carriers:
                known = ", ".join(map(quoted, carriers))
                raise SettingsInvalid(f"{source}.carriers names {quoted(carrier)}; the carriers are {known}")
        if len(set(route.carriers)) < len(route.carriers):
            raise SettingsInvalid(f"{source}.carriers names one twice; each can be tried in one place only")
        if route.weights and (len(route.weights) != len(route.carriers) or not any(route.weights)):
            wrong = f"is {list(route.weights)} for {len(route.carriers)} carriers"
            raise SettingsInvalid(f"{source}.weights {wrong}; it must have one for each, and not nothing but 0")
        for prefix, account, sender in product(route.to, route.accounts or (None,), route.senders or (None,)):
            scope = prefix, account, sender
            if scope in first_by_scope:
                wrong = f"names {quoted(prefix)}, and so does routes[{first_by_scope[scope]}]"
                whose = " for an account and sender" if account or sender else ""
                raise SettingsInvalid(f"{source}.to {wrong}; a prefix can lead to one route only{whose}")
            first_by_scope[scope] = index
        routes.append(route)
    return tuple(routes)


def _inbound(tables: Sequence[dict[str, object]], path: Path) -> tuple[InboundSettings, ...]:
    numbers: list[InboundSettings] = []
    first_by_number: dict[str, int] = {}
    for index, table in enumerate(tables):
        source = f"{path}: inbound[{index}]"
        number: InboundSettings = _table(table, InboundSettings, source)
        if number.to in first_by_number:
            wrong = f"is {quoted(number.to)}, and so is inbound[{first_by_number[number.to]}].to"
            raise SettingsInvalid(f"{source}.to {wrong}; a number can belong to one account only")
        first_by_number[number.to] = index
        numbers.append(number)
    return tuple(numbers)


def _database(database: DatabaseSettings, given: Mapping[str, _Given]) -> DatabaseSettings:
    """With the password that the file holds."""
    if database.password_file is None:
        return database
    source = given["password_file"].source
    if database.password is not None:
        raise SettingsInvalid(f"{source} and {given['password'].source} are both given; leave one of them out")
    return msgspec.structs.replace(database, password=_first_line(database.password_file, source))


def _check_tls(server: ServerSettings) -> None:
    files = {"tls_certificate": server.tls_certificate, "tls_key": server.tls_key}
    for key, path in files.items():
        if path is None and any(files.values()):
            raise SettingsInvalid(f"server.{key} is missing; tls_certificate and tls_key go together")
        if path is not None and not path.is_file():
            raise SettingsInvalid(f'server.{key} is "{path}", and there is no such file; name a PEM file')
