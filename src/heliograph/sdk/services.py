"""Whom a client talks to: heliograph, another service with this API, or the vendor's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from heliograph.jobs.errors import SettingsInvalid
from heliograph.sdk.calls import Call
from heliograph.sdk.errors import Unsupported
from heliograph.wire.operations import BASE_PATH

URL_VARIABLE = "HELIOGRAPH_URL"
USERNAME_VARIABLE = "HELIOGRAPH_USERNAME"
PASSWORD_VARIABLE = "HELIOGRAPH_PASSWORD"


@dataclass(frozen=True, slots=True)
class Service:
    """A service with this API.

    url: its root. read_from: where jobs are read, one after the other until one has it; each of them has but some.
    whole: whether it has all operations, or only the five that every service with this API has.
    """

    url: str
    read_from: tuple[str, ...]
    whole: bool = True

    def roots_for(self, call: Call[Any]) -> tuple[str, ...]:
        """The roots to ask, in this order. Raises Unsupported where the service has no such operation."""
        if not self.whole and not call.original:
            remedy = "job_ids() lists what it has" if call.path == "/jobs" else "a heliograph has"
            raise Unsupported(
                f"the vendor's service has no {call.method} {call.path} as it is asked for here; {remedy}"
            )
        return self.read_from if call.method == "GET" else (self.url,)


RETARUS = Service(
    url="https://sms4a.eu.retarus.com",
    read_from=("https://sms4a.de1.retarus.com", "https://sms4a.de2.retarus.com"),
    whole=False,
)
"""Jobs go to the host that is highly available, and are kept in one of two data centres."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A service, and who asks it."""

    service: Service
    username: str
    password: str = field(repr=False)

    @property
    def is_insecure(self) -> bool:
        """Whether the password travels unencrypted, and further than this machine."""
        root = urlsplit(self.service.url)
        return root.scheme == "http" and not _is_loopback(root.hostname or "")


def connection(url: str | None, username: str | None, password: str | None, environ: Mapping[str, str]) -> Connection:
    """What the arguments say, or else HELIOGRAPH_URL, HELIOGRAPH_USERNAME and HELIOGRAPH_PASSWORD.

    Raises SettingsInvalid where neither says it, or a value can't be.
    """
    url = _given(url, "url", URL_VARIABLE, environ)
    username = _given(username, "username", USERNAME_VARIABLE, environ)
    password = _given(password, "password", PASSWORD_VARIABLE, environ)
    if ":" in username:
        raise SettingsInvalid(f"a username has no colon in it (HTTP Basic, RFC 7617); it is {username!r}")
    return Connection(service_at(url), username, password)


def service_at(url: str) -> Service:
    """The service at a URL: its root, or the same with `/rest/v1`. Raises SettingsInvalid where it is none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise SettingsInvalid("url is none that can be read; it should be like https://sms.example") from None
    if parts.username is not None or parts.password is not None:
        raise SettingsInvalid("url must not hold a username or a password; give them as arguments of their own")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url.strip():
        raise SettingsInvalid(f"url must be like https://sms.example; it is {_shown(url)}")
    if parts.query or parts.fragment:
        raise SettingsInvalid(f"url must end with its path, as https://sms.example/gateway; it is {_shown(url)}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(BASE_PATH).rstrip("/")
    port_part = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    root = f"{parts.scheme}://{host}{port_part}{path}"
    if root in (RETARUS.url, *RETARUS.read_from):
        return RETARUS
    return Service(root, (root,))


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _shown(url: str) -> str:
    """A URL that is wrong, without what may be credentials in the wrong place."""
    return repr(re.sub(r"[^/]*@", "…@", url).partition("?")[0])


def _given(value: str | None, name: str, variable: str, environ: Mapping[str, str]) -> str:
    value = value or environ.get(variable)
    if not value:
        raise SettingsInvalid(f"{name} is missing: give it, or set {variable}")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
