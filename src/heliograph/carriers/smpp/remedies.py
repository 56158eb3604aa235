"""What to change where an SMSC can't be reached, or refuses the bind: told by the check, and in the log."""

import ssl
from typing import Final

from heliograph.carriers.smpp.smsc import Tls
from heliograph.smpp.statuses import ROK, CommandStatus, status_meaning, status_name

NO_BIND_ANSWER: Final = "check host, port and tls: what is there may be no SMSC"


def bind_refusal(status: int) -> str:
    """How an SMSC refused a bind."""
    if status == ROK:
        return "the SMSC answered with a generic_nack that names no error"
    return f"{status_name(status)} [{status:08x}], {status_meaning(status)}"


def bind_remedy(status: int) -> str:
    """What to do about a bind that was refused so."""
    return _BIND_REMEDIES.get(status, "ask the carrier what it means by that")


def no_bind_answer_remedy(end_reason: str, tls: Tls | None) -> str:
    """What to do about a connection that ended so before the bind was answered."""
    if _CERTIFICATE_REQUIRED in end_reason:
        return "set tls_certificate and tls_key: the SMSC wants a certificate of ours"
    if tls is None:
        return f"{NO_BIND_ANSWER}; perhaps it wants tls = true"
    return NO_BIND_ANSWER if tls.certificate else f"{NO_BIND_ANSWER}; perhaps it wants a tls_certificate of ours"


def connect_remedy(error: OSError) -> str:
    """What to do about a connection that failed so."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in (_NOT_YET_VALID, _EXPIRED):
            return "ask the carrier for a certificate that is valid today, and look at this machine's clock"
        case ssl.SSLCertVerificationError():
            return "set tls_ca_file to whoever signed it, or tls_server_name to the name in it"
        case ssl.SSLError():
            return "check port and tls: many speak TLS at a port of its own (3550), or want a tls_certificate of ours"
        case ConnectionRefusedError():
            return "check host and port"
        case ConnectionAbortedError():
            return "check port and tls: what listens there may speak no TLS"
        case TimeoutError():
            return "ask the carrier whether it lets this machine's address in"
        case _:
            return "check host and port, and tls"


_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_CERTIFICATE_REQUIRED = "CERTIFICATE_REQUIRED"  # TLS 1.3 says so only after the handshake (RFC 8446, 6.2).

_BIND_REMEDIES: Final[dict[int, str]] = {
    CommandStatus.ESME_RINVPASWD: "check the password, and longest_password; too many tries may lock the account",
    CommandStatus.ESME_RINVSYSID: "check system_id",
    CommandStatus.ESME_RINVSYSTYP: "check system_type; the carrier tells it with the account",
    CommandStatus.ESME_RBINDFAIL: "check system_id, password and system_type, and whether the carrier lets this "
    "machine's address in",
    CommandStatus.ESME_RALYBND: "stop the other program that is bound with this account (perhaps the service "
    "itself), or wait until the SMSC drops its old connection, or ask the carrier for more binds",
    CommandStatus.ESME_RINVCMDID: 'the SMSC may not know this kind of bind: try bind = "transmitter+receiver"',
    CommandStatus.ESME_RINVBNDSTS: 'the account may not be for this kind of bind: try bind = "transmitter+receiver"',
    CommandStatus.ESME_RSYSERR: "the SMSC has trouble of its own; try again later",
    CommandStatus.ESME_RTHROTTLED: "too many binds in a short time; wait a minute, and raise reconnect",
}
