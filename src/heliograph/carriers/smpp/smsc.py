"""How to get to one SMSC: where it is, who we are there, and how to connect."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from heliograph.carriers.smpp.reconnecting import Backoff
from heliograph.smpp.pdus import Bind, BindReceiver, BindTransceiver, BindTransmitter
from heliograph.smpp.profiles import Profile, bind_request
from heliograph.smpp.session import Settings

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the connection is encrypted; the SMSC's certificate is always verified.

    ca_file: who may have signed it; None for those whom this machine trusts. server_name: whose certificate it must
    be; empty for the host's. certificate, key: ours, where the SMSC asks for one.
    """

    ca_file: Path | None = None
    server_name: str = ""
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Smsc:
    """One SMSC and our account there.

    modes: the binds to hold, one for each entry. connect_timeout_s: for name, connection and encryption together.
    unbind_timeout_s: how long we wait for a farewell.
    """

    host: str
    port: int = 2775
    system_id: str
    password: str
    system_type: str = ""
    modes: tuple[type[Bind], ...] = (BindTransceiver,)
    session: Settings = field(default_factory=Settings)
    profile: Profile = field(default_factory=Profile)
    backoff: Backoff = field(default_factory=Backoff)
    tls: Tls | None = None
    connect_timeout_s: float = 10
    unbind_timeout_s: float = 5

    @property
    def address(self) -> str:
        """Host and port, as one writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def bind_request(self, mode: type[Bind]) -> Bind:
        """What opens a session. Raises ValueError for what the profile doesn't allow."""
        return bind_request(
            self.profile, mode, system_id=self.system_id, password=self.password, system_type=self.system_type
        )


MODE_NAMES: dict[type[Bind], str] = {
    BindTransceiver: "transceiver",
    BindTransmitter: "transmitter",
    BindReceiver: "receiver",
}


def shown(name: bytes) -> str:
    """What an SMSC says, in characters that no terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in name.decode("latin-1"))


TLS_SHARE: Final = 0.8
"""What part of the time to connect encryption may take: less than all, so that it is known what didn't come."""


async def connect(smsc: Smsc, protocol: Callable[[], P]) -> P:
    """A connection to the SMSC, encrypted if it is to be. Raises OSError, which `connect_fault` explains."""
    context = None if smsc.tls is None else tls_context(smsc.tls)
    server_hostname = None if smsc.tls is None else smsc.tls.server_name or smsc.host
    handshake_s = None if smsc.tls is None else smsc.connect_timeout_s * TLS_SHARE
    async with asyncio.timeout(smsc.connect_timeout_s):
        try:
            transport, link = await asyncio.get_running_loop().create_connection(
                protocol,
                smsc.host,
                smsc.port,
                ssl=context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=handshake_s,
            )
        except ValueError as error:
            if isinstance(error, OSError):  # A certificate that is not good is both.
                raise
            raise OSError(f"that is no name of a host: {error}") from error
    # Over a duplicate, because uvloop's own object sets no options.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return link


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The rules of encryption. Raises OSError for files that can't be used."""
    context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def tls_files_fault(tls: Tls) -> str:
    """Which of the files can't be used, by its setting, and why; empty where all can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for key, path in (("tls_ca_file", tls.ca_file), ("tls_certificate", tls.certificate)):
        if path is not None and (reason := _certificates_fault(path)):
            return f'{key} is "{path}", {reason}; name a file of certificates in PEM'
    if tls.certificate is None or tls.key is None:
        return ""
    try:
        # A passphrase is asked for at the terminal unless there is one here; nobody sits at that of a service.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"none")
    except ssl.SSLError as error:
        is_other = error.reason == "KEY_VALUES_MISMATCH"
        reason = f'which is not the key of "{tls.certificate}"' if is_other else "which holds no private key to be read"
        return f'tls_key is "{tls.key}", {reason}; name its private key in PEM, without a passphrase'
    except OSError as error:
        return f'tls_key is "{tls.key}", which can\'t be read: {error.strerror}'
    return ""


def _certificates_fault(path: Path) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "which holds no certificate"
    except OSError as error:
        return f"which can't be read: {error.strerror}"
    return ""


def connect_fault(smsc: Smsc, error: OSError) -> str:
    """Why there is no connection, in plain words."""
    where = smsc.address
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate of {where} is not one that we trust: {error.verify_message}"
        case ssl.SSLError():
            return f"the encryption with {where} failed: {error.reason or error}"
        case socket.gaierror():
            return f"there is no host {smsc.host}: {error.strerror}"
        case ConnectionAbortedError() if smsc.tls is not None:
            within_s = smsc.connect_timeout_s * TLS_SHARE
            return f"{where} took the connection, and said nothing to our TLS within {within_s:g} s"
        case TimeoutError():
            return f"{where} did not answer within {smsc.connect_timeout_s:g} s"
        case ConnectionRefusedError():
            return f"nobody listens at {where}"
        case ConnectionResetError():
            return f"{where} closed the connection at once"
        case _:
            return f"no connection to {where}: {error.strerror or error}"
