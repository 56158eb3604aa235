"""`heliograph simulator` as it is started: sockets, TLS, signals, what it prints."""

import signal
import ssl
import subprocess
import sys

import pytest
import trustme

from heliograph.smpp.pdus import BindReceiver, BindTransmitter
from heliograph.smpp.receipts import read_receipt
from heliograph.smpp.session import Answered, Unbound
from tests.interop.esme import bound
from tests.interop.programs import ENVIRONMENT, simulator


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal_unbinds_all_and_sums_up(signal_number):
    with simulator("--delay", "0.01") as smsc:
        async with bound(smsc.port) as both, bound(smsc.port, BindReceiver, b"other") as other:
            for dst in ("4917612345678", "49176120001", "49176120003", "49176120004", "49176120006"):
                both.submit(dst)
            await both.until(lambda: len(both.statuses) == 5 and len(both.delivered) == 2)
            assert sorted(read_receipt(pdu).stat for pdu in both.delivered) == ["DELIVRD", "UNDELIV"]
            smsc.program.process.send_signal(signal_number)
            for client in (both, other):
                await client.until(lambda client=client: client.of(Unbound))
        summary = smsc.summary()
    assert summary == {
        "binds": "2",
        "submissions": "5  2 accepted, 1 refused, 1 put off with a system error, 1 throttled",
        "receipts": "2  2 acknowledged",
        "inbound parts": "0",
    }


async def test_receipts_come_over_another_connection_than_their_messages():
    with simulator("--delay", "0.01") as smsc:
        async with bound(smsc.port, BindTransmitter) as sender, bound(smsc.port, BindReceiver) as receiver:
            for _ in range(300):
                await sender.until(lambda: sender.session.room)
                sender.submit()
            await receiver.until(lambda: len(receiver.delivered) == 300)
            ids = [event.response.message_id for event in sender.of(Answered)]
            assert [read_receipt(pdu).message_ids[0] for pdu in receiver.delivered] == ids


async def test_it_speaks_tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "simulator.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with simulator("--tls-certificate", "simulator.pem", cwd=tmp_path) as smsc:
        async with bound(smsc.port, tls=context) as client:
            client.submit()
            await client.until(lambda: client.delivered)


async def test_the_log_has_every_pdu_and_no_password(tmp_path):
    with (tmp_path / "log").open("w") as log, simulator("--log-pdus", "--delay", "0", stderr=log) as smsc:
        async with bound(smsc.port) as client:
            client.submit()
            await client.until(lambda: client.of(Answered) and client.delivered)
            client.unbind()
            await client.until(lambda: client.of(Unbound))
        smsc.summary(signal.SIGTERM)
    lines = [line.split(" ", 1)[1] for line in (tmp_path / "log").read_text().splitlines()]
    said = [" ".join(line.split()[:3]) for line in lines]
    assert said[:3] == ["1 < bind_transceiver", "1 > bind_transceiver_resp", "1 < submit_sm"]
    assert sorted(said[3:6]) == ["1 < deliver_sm_resp", "1 > deliver_sm", "1 > submit_sm_resp"]
    assert said[6:] == ["1 < unbind", "1 > unbind_resp"]
    assert "password=*** " in lines[0]
    assert "secret" not in "".join(lines)
    assert "short_message=Hello" in lines[2]


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--listen", "2775"], 2, '--listen must be HOST:PORT, such as "127.0.0.1:2775"'),
        (["--listen", "127.0.0.1:65536"], 2, "--listen must be HOST:PORT"),
        (["--inbound", "Hello"], 2, "--inbound must be FROM:TO:TEXT"),
        (["--tls-key", "key.pem"], 2, "--tls-key needs --tls-certificate"),
        (["--tls-certificate", "none.pem"], 2, "--tls-certificate none.pem can't be used"),
        (["--drop-answers", "2"], 2, "--drop-answers"),
        (["--delay", "-1"], 2, "--delay"),
        (["--receipt-order", "backwards"], 2, "--receipt-order"),
        (["--listen", "192.0.2.1:2775"], 1, "192.0.2.1"),
    ],
)
def test_what_can_not_be_is_told_in_one_line(tmp_path, flags, code, told):
    ran = subprocess.run(
        [sys.executable, "-m", "heliograph", "simulator", *flags],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == code
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
