"""What an SMS costs on its way through the SMPP carrier: submit, answer, receipt, acknowledgement; CPU, store left out.

The SMSC runs in a process of its own and only echoes prepared octets.
"""

import asyncio
import multiprocessing
import socket
import struct
import time

import uvloop

from heliograph.carriers.smpp.carrier import SmppCarrier
from heliograph.carriers.smpp.smsc import Smsc
from heliograph.clock import SystemClock
from heliograph.ids import RandomIds
from heliograph.smpp.pdus import BindTransceiverResp, DeliverSm, SubmitSmResp, encode
from heliograph.smpp.profiles import Profile
from heliograph.smpp.receipts import IdBase
from heliograph.smpp.session import Settings
from tests.carriers.conformance import a_segment

SMS_COUNT = 50_000
WINDOW = 200
_HEADER = struct.Struct(">IIII")


def answering(listener: socket.socket) -> None:
    """The peer: answers every submit_sm, and sends a receipt after it."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held, number = b"", 0
    while data := connection.recv(1 << 18):
        held += data
        out: list[bytes] = []
        while len(held) >= 16:
            length, command, _, sequence = _HEADER.unpack_from(held)
            if len(held) < length:
                break
            held = held[length:]
            if command == 9:
                out.append(encode(BindTransceiverResp(system_id=b"bench"), sequence))
            elif command == 4:
                number += 1
                message_id = b"%d" % number
                out.append(encode(SubmitSmResp(message_id=message_id), sequence))
                text = (
                    b"id:%s sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:Hi"
                )
                text %= message_id
                receipt = DeliverSm(source_addr=b"4917612345678", esm_class=4, short_message=text)
                out.append(encode(receipt, number))
        if out:
            connection.sendall(b"".join(out))


async def measure(port: int, profile: Profile) -> float:
    """CPU microseconds an SMS."""
    smsc = Smsc(
        host="127.0.0.1",
        port=port,
        system_id="bench",
        password="bench",
        profile=profile,
        session=Settings(window=WINDOW),
    )
    carrier = SmppCarrier("bench", smsc, SystemClock(), RandomIds())
    running = asyncio.ensure_future(carrier.run())
    while not carrier.window:
        await SystemClock().sleep(0.01)
    segments = [a_segment(number) for number in range(SMS_COUNT)]
    got_receipts = asyncio.Event()

    async def receive() -> None:
        count = 0
        while count < SMS_COUNT:
            async with carrier.receipts() as receipts:
                count += len(receipts)
        got_receipts.set()

    receiving = asyncio.ensure_future(receive())
    start_s, cpu_s = time.perf_counter(), time.process_time()
    sent = in_flight = 0
    while sent < SMS_COUNT or in_flight:
        while sent < SMS_COUNT and in_flight < WINDOW:
            carrier.submit(segments[sent])
            sent, in_flight = sent + 1, in_flight + 1
        in_flight -= len(await carrier.outcomes())
    await got_receipts.wait()
    took_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    running.cancel()
    await asyncio.wait([running])
    receiving.cancel()
    print(f"smpp_carrier: {cpu_s / SMS_COUNT * 1e6:.1f} us CPU an SMS, {SMS_COUNT / took_s:.0f} SMS/s")
    return cpu_s / SMS_COUNT * 1e6


def main() -> None:
    """Declared bases of ids, and undeclared ones."""
    for profile in (Profile(answered_ids=IdBase.DECIMAL, receipt_ids=IdBase.DECIMAL), Profile()):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            context = multiprocessing.get_context("fork")
            peer = context.Process(target=answering, args=(listener,), daemon=True)
            peer.start()
            uvloop.run(measure(listener.getsockname()[1], profile))
            peer.terminate()


if __name__ == "__main__":
    main()
