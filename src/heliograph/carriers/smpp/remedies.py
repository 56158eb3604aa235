"""What to change where an SMSC can't be reached, or refuses the bind: told by the check, and in the log."""

import ssl
from typing import Final

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


def connect_remedy(error: OSError) -> str:
    """What to do about a connection that failed so."""
    match error:
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
