"""What a simulated SMSC sends of itself: receipts, and SMS from phones.

Standard: SMPP 3.4, Appendix B (receipts), 5.2.12 (esm_class).
"""

from typing import Final

from heliograph.simulator.behaviour import Inbound, ReceiptFormat
from heliograph.simulator.checking import Submission, header_octet_count, is_ucs_2, octets_of
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import DeliverSm
from heliograph.smpp.receipts import MessageState


def receipt(
    form: ReceiptFormat,
    submission: Submission,
    message_id: bytes,
    state: MessageState,
    *,
    submit_date: bytes,
    done_date: bytes,
) -> DeliverSm:
    """The receipt for a message: a final one, or for ENROUTE an intermediate notification.

    message_id: as receipts are to write it. submit_date, done_date: `YYMMDDhhmm`.
    """
    stat, error = _WORDS[state]
    text, tlvs = b"", ()
    if form is not ReceiptFormat.TLV:
        done_count = state is MessageState.DELIVERED
        text = b"id:%b sub:001 dlvrd:%03d submit date:%b done date:%b stat:%b err:%03d text:%b" % (
            message_id,
            done_count,
            submit_date,
            done_date,
            stat,
            error,
            _beginning(submission),
        )
    if form in (ReceiptFormat.TLV, ReceiptFormat.BOTH):
        tlvs = (
            Tlv(Tag.RECEIPTED_MESSAGE_ID, message_id + b"\0"),
            Tlv.octet(Tag.MESSAGE_STATE, state),
            Tlv(Tag.NETWORK_ERROR_CODE, b"\x03\x00%c" % error),
        )
    elif form is ReceiptFormat.UCS2:
        text = text.decode("latin-1").encode("utf-16-be")
        if len(text) > _LONGEST_SHORT_MESSAGE:
            text, tlvs = b"", (Tlv(Tag.MESSAGE_PAYLOAD, text),)
    return DeliverSm(
        source_addr_ton=submission.dest_addr_ton,
        source_addr_npi=submission.dest_addr_npi,
        source_addr=submission.destination_addr,
        dest_addr_ton=submission.source_addr_ton,
        dest_addr_npi=submission.source_addr_npi,
        destination_addr=submission.source_addr,
        esm_class=_INTERMEDIATE if state is MessageState.ENROUTE else _RECEIPT,
        data_coding=_UCS_2 if form is ReceiptFormat.UCS2 else 0,
        short_message=text,
        tlvs=tlvs,
    )


def inbound(sms: Inbound, reference: int) -> list[DeliverSm]:
    """An SMS from a phone, in as many parts as it takes.

    reference: tells its parts from another's, 0 to 255.
    """
    # These need the extra `server`, as nothing else here does.
    from heliograph.gsm.alphabet import is_gsm
    from heliograph.gsm.segmentation import Encoding, payload, segment
    from heliograph.gsm.udh import Concatenation, build

    encoding = Encoding.STANDARD if is_gsm(sms.text) else Encoding.UTF_16
    parts = segment(sms.text, encoding, _MOST_PARTS).parts
    pdus: list[DeliverSm] = []
    for number, part in enumerate(parts, start=1):
        header = b""
        if len(parts) > 1:
            header = build([Concatenation(reference & 0xFF, len(parts), number).element()])
        source_ton, source_npi, source = _address(sms.src)
        dest_ton, dest_npi, destination = _address(sms.dst)
        pdus.append(
            DeliverSm(
                source_addr_ton=source_ton,
                source_addr_npi=source_npi,
                source_addr=source,
                dest_addr_ton=dest_ton,
                dest_addr_npi=dest_npi,
                destination_addr=destination,
                esm_class=_UDHI if header else 0,
                data_coding=0 if encoding is Encoding.STANDARD else _UCS_2,
                short_message=header + payload(part, encoding),
            )
        )
    return pdus


def _address(text: str) -> tuple[int, int, bytes]:
    """Type of number, numbering plan, address (5.2.5, 5.2.6)."""
    digits = text.removeprefix("+")
    if not digits.isdecimal():
        return 5, 0, text.encode("ascii", "replace")
    return (1 if text.startswith("+") else 0), 1, digits.encode("ascii")


def _beginning(submission: Submission) -> bytes:
    octets = octets_of(submission)
    start = header_octet_count(submission, octets)
    if is_ucs_2(submission.data_coding):
        text = octets[start : start + 2 * _TEXT_CHARACTERS].decode("utf-16-be", "replace")
        return text.encode("ascii", "replace").translate(_PRINTABLE)
    return octets[start : start + _TEXT_CHARACTERS].translate(_PRINTABLE)


_WORDS: Final = {  # stat, and an error code of our own
    MessageState.ENROUTE: (b"ENROUTE", 0),
    MessageState.DELIVERED: (b"DELIVRD", 0),
    MessageState.UNDELIVERABLE: (b"UNDELIV", 1),
    MessageState.EXPIRED: (b"EXPIRED", 2),
    MessageState.DELETED: (b"DELETED", 3),
}
_PRINTABLE: Final = bytes(
    octet if 0x20 <= octet < 0x7F else ord("@") if octet == 0 else ord("?") for octet in range(256)
)
_TEXT_CHARACTERS: Final = 20
_MOST_PARTS: Final = 20
_LONGEST_SHORT_MESSAGE: Final = 254
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20
_UDHI: Final = 0x40
_UCS_2: Final = 0x08
