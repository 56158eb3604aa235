"""PyPI's `smpplib`, a client in daily use elsewhere, with our simulator."""

import signal
import socket
import threading
from contextlib import contextmanager

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm

from tests.interop.programs import eventually, simulator

LONG = "Grüße aus dem Süden, für 5 €! " * 12
CYRILLIC = "Съешь ещё этих мягких французских булок, да выпей чаю. " * 3


class Client:
    """Reads in a thread of its own, as its users do."""

    def __init__(self, client):
        self._client = client
        self.answers = []
        self.delivered = []
        client.set_message_sent_handler(lambda pdu: self.answers.append((pdu.status, pdu.message_id)))
        client.set_error_pdu_handler(lambda pdu: None)  # It would raise; the handler before is called all the same.
        client.set_message_received_handler(lambda pdu: self.delivered.append(pdu) and None)

    def sends(self, text, dst="4917612345678"):
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        for part in parts:
            self._client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                source_addr="heliograph",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                destination_addr=dst,
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=True,
            )
        return len(parts)


@contextmanager
def client(port, bind="bind_transceiver", system_id="helio", password="secret"):
    library = smpplib.client.Client("127.0.0.1", port, timeout=5, allow_unknown_opt_params=True)
    library.connect()
    try:
        getattr(library, bind)(system_id=system_id, password=password)
    except smpplib.exceptions.PDUError:
        library.disconnect()
        raise
    ours = Client(library)
    ended = threading.Event()

    def listen():
        try:
            while True:
                library.read_once()
        except (smpplib.exceptions.ConnectionError, OSError, ValueError):
            ended.set()

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        yield ours
    finally:
        library._socket.shutdown(socket.SHUT_RDWR)
        reader.join()
        library._socket.close()
        library._socket = None
        assert ended.is_set()


@pytest.mark.parametrize("text", ["Hello", LONG, CYRILLIC])
def test_its_messages_are_taken_and_receipted_part_by_part(text):
    with simulator() as smsc, client(smsc.port) as esme:
        part_count = esme.sends(text)
        eventually(lambda: len(esme.delivered) == part_count, "all receipts")
        assert [pdu.receipted_message_id for pdu in esme.delivered] == [message_id for _, message_id in esme.answers]
        assert {pdu.message_state for pdu in esme.delivered} == {smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED}
        assert all(b"stat:DELIVRD" in pdu.short_message for pdu in esme.delivered)


@pytest.mark.parametrize(
    ("ending", "status", "stat"),
    [
        ("0001", 0, b"UNDELIV"),
        ("0002", 0, b"EXPIRED"),
        ("0003", smpplib.consts.SMPP_ESME_RX_P_APPN, None),
        ("0004", smpplib.consts.SMPP_ESME_RSYSERR, None),
        ("0005", 0, None),
        ("0006", smpplib.consts.SMPP_ESME_RTHROTTLED, None),
    ],
)
def test_the_last_four_digits_decide(ending, status, stat):
    with simulator() as smsc, client(smsc.port) as esme:
        esme.sends("Hello", f"4917612{ending}")
        esme.sends("Hello")
        expected = [word for word in (stat, b"DELIVRD") if word]
        eventually(lambda: len(esme.answers) == 2 and len(esme.delivered) >= len(expected), "answers and receipts")
        assert esme.answers[0][0] == status
        words = [pdu.short_message.split(b"stat:")[1].split()[0] for pdu in esme.delivered]
        assert words == expected


def test_receipts_come_to_its_receiver():
    with simulator() as smsc, client(smsc.port, "bind_transmitter") as sender:
        sender.sends("Hello")
        with client(smsc.port, "bind_receiver") as receiver:
            eventually(lambda: receiver.delivered, "the receipt")
        assert sender.delivered == []


def test_it_is_told_that_its_password_is_wrong():
    with simulator("--system-id", "helio", "--password", "secret") as smsc:
        with pytest.raises(smpplib.exceptions.PDUError) as refused, client(smsc.port, password="wrong"):
            pass
        assert refused.value.args[1] == smpplib.consts.SMPP_ESME_RINVPASWD
        with client(smsc.port):
            pass
        assert smsc.summary(signal.SIGTERM)["binds"] == "1  1 refused"
