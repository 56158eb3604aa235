"""What httpx2 does, in our words: connections as they should be, and its errors translated where they enter."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx2

from heliograph.jobs.errors import SettingsInvalid
from heliograph.sdk.answers import NoAnswer

KEEP_ALIVE_S = 4.0
"""Less than servers commonly keep an idle connection (uvicorn 5 s), so that none closes one that is just taken up."""
NAME_AUTHORITY = "give a file with its authority's as `verify`"
"""What to do about a certificate that can't be trusted, to who uses the SDK."""

Verify = bool | str | Path | ssl.SSLContext
"""True: by the usual authorities; a path: by those in a file or folder of certificates in PEM; False: not at all."""


def limits(max_connections: int) -> httpx2.Limits:
    """Of the connection pool."""
    return httpx2.Limits(
        max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=KEEP_ALIVE_S
    )


def tls(verify: Verify) -> bool | ssl.SSLContext:
    """What httpx2 is to trust. Raises SettingsInvalid for a path where no certificates are."""
    if isinstance(verify, (bool, ssl.SSLContext)):
        return verify
    path = Path(verify)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one.
        raise SettingsInvalid(f"verify: there are no certificates in PEM at {path}: {error}") from error


def checked_root(url: str) -> str:
    """The same, if httpx2 can read it. Raises SettingsInvalid."""
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise SettingsInvalid(f"url must be like https://sms.example; it is {url!r}: {error}") from error
    return url


def no_answer(error: httpx2.TransportError, timeout_s: float) -> NoAnswer:
    """What an error of httpx2 means for the request."""
    sent = not isinstance(
        error,
        (
            httpx2.ConnectError,
            httpx2.ConnectTimeout,
            httpx2.PoolTimeout,
            httpx2.ProxyError,
            httpx2.UnsupportedProtocol,
            httpx2.LocalProtocolError,
        ),
    )
    if isinstance(error, httpx2.PoolTimeout):
        return NoAnswer(f"all connections were in use for {timeout_s:.3g} s", sent)
    if isinstance(error, httpx2.TimeoutException):
        doing = "no answer came" if sent else "no connection was made"
        return NoAnswer(f"{doing} within {timeout_s:.3g} s", sent)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate can't be trusted: {cause.verify_message}"
            return NoAnswer(f"{reason}; {NAME_AUTHORITY}", sent, hopeless=True)
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return NoAnswer(f"there is no such host: {error.request.url.host}", sent, hopeless=True)
    return NoAnswer(str(error) or type(error).__name__, sent, isinstance(error, httpx2.LocalProtocolError))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
