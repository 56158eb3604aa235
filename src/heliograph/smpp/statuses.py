"""What the peer's command_status means, and what kind of answer that is.

Standard: SMPP 3.4, 5.1.3; 0x0100 to 0x0112 are of SMPP 5.0.
"""

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final


class StatusKind(Enum):
    """Kinds of answers, by what may be done about them."""

    OK = "ok"
    FLOW_CONTROL = "flow control"
    """Too much for now, whatever the message: the bind pauses, and no try is counted."""
    SESSION = "session"
    """The bind is not what it should be: bind anew, and no try is counted."""
    TEMPORARY = "temporary"
    """The same message may fare better later."""
    DOUBTFUL = "doubtful"
    """Peers mean anything by it: worth another try or two."""
    BAD_NUMBER = "bad number"
    SENDER = "sender"
    """The sender is not ours to use there."""
    CONFIGURATION = "configuration"
    """We send what this SMSC doesn't take: lasting, and the operator has to look."""
    POLICY = "policy"
    """The carrier won't, for good."""
    OTHER_OPERATION = "other operation"
    """A query, cancellation or replacement failed; the message is where it was."""


class CommandStatus(IntEnum):
    """Every status with a name: its kind, and its meaning in a sentence."""

    _value_: int
    kind: StatusKind
    meaning: str

    def __new__(cls, value: int, kind: StatusKind, meaning: str) -> "CommandStatus":
        status = int.__new__(cls, value)
        status._value_ = value
        status.kind = kind
        status.meaning = meaning
        return status

    ESME_ROK = 0x0000, StatusKind.OK, "No error."
    ESME_RINVMSGLEN = 0x0001, StatusKind.CONFIGURATION, "The message has a length that can't be."
    ESME_RINVCMDLEN = 0x0002, StatusKind.CONFIGURATION, "The PDU has a length that can't be."
    ESME_RINVCMDID = 0x0003, StatusKind.CONFIGURATION, "The command is unknown."
    ESME_RINVBNDSTS = 0x0004, StatusKind.SESSION, "The command doesn't fit the state of the bind."
    ESME_RALYBND = 0x0005, StatusKind.SESSION, "There is a bind already."
    ESME_RINVPRTFLG = 0x0006, StatusKind.CONFIGURATION, "The priority is not one of this carrier's."
    ESME_RINVREGDLVFLG = 0x0007, StatusKind.CONFIGURATION, "The kind of receipt asked for is not one of this carrier's."
    ESME_RSYSERR = 0x0008, StatusKind.TEMPORARY, "The carrier's system failed."
    ESME_RINVSRCADR = 0x000A, StatusKind.SENDER, "The sender's address is not valid."
    ESME_RINVDSTADR = 0x000B, StatusKind.BAD_NUMBER, "The recipient's address is not valid."
    ESME_RINVMSGID = 0x000C, StatusKind.OTHER_OPERATION, "The message id is not valid."
    ESME_RBINDFAIL = 0x000D, StatusKind.SESSION, "The bind failed."
    ESME_RINVPASWD = 0x000E, StatusKind.SESSION, "The password is wrong."
    ESME_RINVSYSID = 0x000F, StatusKind.SESSION, "The system id is wrong."
    ESME_RCANCELFAIL = 0x0011, StatusKind.OTHER_OPERATION, "The message could not be cancelled."
    ESME_RREPLACEFAIL = 0x0013, StatusKind.OTHER_OPERATION, "The message could not be replaced."
    ESME_RMSGQFUL = 0x0014, StatusKind.FLOW_CONTROL, "The message queue is full."
    ESME_RINVSERTYP = 0x0015, StatusKind.CONFIGURATION, "The service type is not valid."
    ESME_RINVNUMDESTS = 0x0033, StatusKind.CONFIGURATION, "The number of destinations is not valid."
    ESME_RINVDLNAME = 0x0034, StatusKind.CONFIGURATION, "The distribution list's name is not valid."
    ESME_RINVDESTFLAG = 0x0040, StatusKind.CONFIGURATION, "The destination flag is not valid."
    ESME_RINVSUBREP = 0x0042, StatusKind.CONFIGURATION, "Submitting with replacement is not valid here."
    ESME_RINVESMCLASS = 0x0043, StatusKind.CONFIGURATION, "The message's class (esm_class) is not valid."
    ESME_RCNTSUBDL = 0x0044, StatusKind.CONFIGURATION, "A distribution list can't be submitted to."
    ESME_RSUBMITFAIL = 0x0045, StatusKind.DOUBTFUL, "The submission failed."
    ESME_RINVSRCTON = 0x0048, StatusKind.SENDER, "The sender's type of number is not valid."
    ESME_RINVSRCNPI = 0x0049, StatusKind.SENDER, "The sender's numbering plan is not valid."
    ESME_RINVDSTTON = 0x0050, StatusKind.CONFIGURATION, "The recipient's type of number is not valid."
    ESME_RINVDSTNPI = 0x0051, StatusKind.CONFIGURATION, "The recipient's numbering plan is not valid."
    ESME_RINVSYSTYP = 0x0053, StatusKind.SESSION, "The system type is not valid."
    ESME_RINVREPFLAG = 0x0054, StatusKind.CONFIGURATION, "The replacement flag is not valid."
    ESME_RINVNUMMSGS = 0x0055, StatusKind.CONFIGURATION, "The number of messages is not valid."
    ESME_RTHROTTLED = 0x0058, StatusKind.FLOW_CONTROL, "More was sent than the carrier allows."
    ESME_RINVSCHED = 0x0061, StatusKind.CONFIGURATION, "The scheduled delivery time is not valid."
    ESME_RINVEXPIRY = 0x0062, StatusKind.CONFIGURATION, "The validity is not one that the carrier takes."
    ESME_RINVDFTMSGID = 0x0063, StatusKind.CONFIGURATION, "The predefined message does not exist."
    ESME_RX_T_APPN = 0x0064, StatusKind.TEMPORARY, "The receiver can't take it for now."
    ESME_RX_P_APPN = 0x0065, StatusKind.POLICY, "The receiver can't take it, now or later."
    ESME_RX_R_APPN = 0x0066, StatusKind.POLICY, "The receiver rejects it."
    ESME_RQUERYFAIL = 0x0067, StatusKind.OTHER_OPERATION, "The query failed."
    ESME_RINVOPTPARSTREAM = 0x00C0, StatusKind.CONFIGURATION, "The optional parameters can't be read."
    ESME_ROPTPARNOTALLWD = 0x00C1, StatusKind.CONFIGURATION, "An optional parameter is not allowed."
    ESME_RINVPARLEN = 0x00C2, StatusKind.CONFIGURATION, "A parameter has a length that can't be."
    ESME_RMISSINGOPTPARAM = 0x00C3, StatusKind.CONFIGURATION, "An optional parameter is missing that is needed here."
    ESME_RINVOPTPARAMVAL = 0x00C4, StatusKind.CONFIGURATION, "An optional parameter's value is not valid."
    ESME_RDELIVERYFAILURE = 0x00FE, StatusKind.DOUBTFUL, "The delivery failed."
    ESME_RUNKNOWNERR = 0x00FF, StatusKind.DOUBTFUL, "The carrier doesn't say what is wrong."
    ESME_RSERTYPUNAUTH = 0x0100, StatusKind.POLICY, "The service type is not ours to use."
    ESME_RPROHIBITED = 0x0101, StatusKind.POLICY, "The operation is not ours to use."
    ESME_RSERTYPUNAVAIL = 0x0102, StatusKind.TEMPORARY, "The service is not available for now."
    ESME_RSERTYPDENIED = 0x0103, StatusKind.POLICY, "The service is denied."
    ESME_RINVDCS = 0x0104, StatusKind.CONFIGURATION, "The data coding is not one that the carrier takes."
    ESME_RINVSRCADDRSUBUNIT = 0x0105, StatusKind.CONFIGURATION, "The sender's subunit is not valid."
    ESME_RINVDSTADDRSUBUNIT = 0x0106, StatusKind.CONFIGURATION, "The recipient's subunit is not valid."


def status_kind(status: int, overrides: Mapping[int, StatusKind] | None = None) -> StatusKind:
    """The kind of a status; of one without a name, such as a vendor's 0x0400 to 0x04FF, DOUBTFUL.

    overrides: what one SMSC means by some.
    """
    if overrides and status in overrides:
        return overrides[status]
    known = _BY_VALUE.get(status)
    return known.kind if known is not None else StatusKind.DOUBTFUL


def status_name(status: int) -> str:
    """`ESME_RTHROTTLED`, or `0x00000401` for a status without a name."""
    known = _BY_VALUE.get(status)
    return known.name if known is not None else f"0x{status:08X}"


def status_meaning(status: int) -> str:
    """A sentence in our words."""
    known = _BY_VALUE.get(status)
    if known is not None:
        return known.meaning
    return "The carrier's own error." if status in _VENDORS_OWN else "An error without a name in SMPP 3.4."


ROK: Final[int] = CommandStatus.ESME_ROK
"""The status of requests, and of answers without error."""

_BY_VALUE = {int(status): status for status in CommandStatus}
_VENDORS_OWN = range(0x0400, 0x0500)
