"""`heliograph simulator`."""

import asyncio
import re
import signal
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from heliograph.cli.event_loop import run_fast
from heliograph.cli.examples import examples
from heliograph.cli.exits import UsageInvalid
from heliograph.clock import SystemClock
from heliograph.ids import RandomIds
from heliograph.simulator.behaviour import Behaviour, IdFormat, Inbound, ReceiptFormat, ReceiptOrder
from heliograph.simulator.server import Address, listening
from heliograph.simulator.smsc import Deliveries, Smsc, Summary

app = App(
    name="simulator",
    help_epilogue="The last four digits of the recipient's number decide what becomes of a message, or of a part of "
    "one:\n\n"
    "  0001  taken; the receipt says UNDELIV\n"
    "  0002  taken; the receipt says EXPIRED\n"
    "  0003  refused for good, with ESME_RX_P_APPN\n"
    "  0004  never reachable: ESME_RSYSERR on every try\n"
    "  0005  taken, and no receipt ever\n"
    "  0006  ESME_RTHROTTLED twice, then taken and delivered\n"
    "  else  taken; the receipt says DELIVRD\n\n"
    "Any system_id is an account, and may bind as often as it likes, as transceiver, transmitter or receiver. A "
    "receipt is sent over any of the account's binds, waits while none can receive, and is sent again until it is "
    "acknowledged. SIGTERM and Ctrl-C unbind all, and a summary is printed.\n\n"
    + examples(
        "heliograph simulator",
        "heliograph simulator --listen 0.0.0.0:2775 --system-id helio --password secret",
        "heliograph simulator --rate 100 --latency 0.05 --receipt-order random --seed 1",
        'heliograph simulator --inbound "+4917612345678:12345:Hello" --log-pdus',
        "heliograph simulator --drop-answers 0.01 --duplicate-receipts",
    ),
)

WHO = Group("Who may bind", sort_key=1)
ANSWERS = Group("Answers", sort_key=2)
RECEIPTS = Group("Receipts and inbound SMS", sort_key=3)
FAULTS = Group("Faults", help="What real SMSCs do on bad days; all off.", sort_key=4)

LONGEST_WAIT_S: Final = 86_400

Seconds = Number(gte=0, lte=LONGEST_WAIT_S)
Count = Number(gte=1, lte=1_000_000)


@app.default
def simulator(
    *,
    listen: Annotated[str, Parameter(metavar="HOST:PORT", help="Where to listen; port 0 is any that is free.")] = (
        "127.0.0.1:2775"
    ),
    log_pdus: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Write each PDU to stderr, texts and all.")
    ] = False,
    seed: Annotated[
        int | None,
        Parameter(metavar="NUMBER", help="Make everything random, and the ids, the same in each run."),
    ] = None,
    system_id: Annotated[str | None, Parameter(group=WHO, metavar="NAME", help="Let nobody else bind.")] = None,
    password: Annotated[str | None, Parameter(group=WHO, metavar="TEXT", help="Demand this one.")] = None,
    tls_certificate: Annotated[
        Path | None, Parameter(group=WHO, metavar="FILE", help="Speak TLS; a PEM file with the whole chain.")
    ] = None,
    tls_key: Annotated[
        Path | None, Parameter(group=WHO, metavar="FILE", help="Its key, where it is in another file.")
    ] = None,
    latency: Annotated[
        float, Parameter(group=ANSWERS, metavar="SECONDS", validator=Seconds, help="From a request to its answer.")
    ] = 0,
    rate: Annotated[
        int | None,
        Parameter(
            group=ANSWERS,
            metavar="NUMBER",
            validator=Count,
            help="Messages a second from each account; more are throttled.",
        ),
    ] = None,
    max_window: Annotated[
        int,
        Parameter(
            group=ANSWERS,
            metavar="NUMBER",
            validator=Count,
            help="Unanswered requests on each bind; more are throttled.",
        ),
    ] = 1000,
    id_format: Annotated[IdFormat, Parameter(group=ANSWERS, help="How message ids are written.")] = IdFormat.DECIMAL,
    delay: Annotated[
        float, Parameter(group=RECEIPTS, metavar="SECONDS", validator=Seconds, help="From a message to its receipt.")
    ] = 0.2,
    receipt_order: Annotated[
        ReceiptOrder,
        Parameter(
            group=RECEIPTS,
            help="reversed: of all that come within one delay the last first; random: after none to twice the delay.",
        ),
    ] = ReceiptOrder.IN_ORDER,
    receipt_format: Annotated[
        ReceiptFormat,
        Parameter(group=RECEIPTS, help="Text, optional parameters without text, both, or text in UCS-2."),
    ] = ReceiptFormat.BOTH,
    receipt_id_format: Annotated[
        IdFormat | None, Parameter(group=RECEIPTS, help="How receipts write ids; as answers do if not given.")
    ] = None,
    receipt_window: Annotated[
        int,
        Parameter(
            group=RECEIPTS, metavar="NUMBER", validator=Count, help="Receipts that may be unacknowledged on each bind."
        ),
    ] = 100,
    resend_after: Annotated[
        float,
        Parameter(
            group=RECEIPTS,
            metavar="SECONDS",
            validator=Number(gt=0, lte=LONGEST_WAIT_S),
            help="When a receipt that is not acknowledged, or refused for now, is sent again.",
        ),
    ] = 10,
    kept_receipts: Annotated[
        int,
        Parameter(
            group=RECEIPTS,
            metavar="NUMBER",
            validator=Count,
            help="How many wait for each account; beyond, the oldest are forgotten.",
        ),
    ] = 100_000,
    inbound: Annotated[
        list[str] | None,
        Parameter(
            group=RECEIPTS,
            metavar="FROM:TO:TEXT",
            negative=(),
            help="An SMS from a phone, sent to each account when it first binds to receive; may be repeated.",
        ),
    ] = None,
    drop_answers: Annotated[
        float,
        Parameter(
            group=FAULTS,
            metavar="PROBABILITY",
            validator=Number(gte=0, lte=1),
            help="So often, 0 to 1, a message gets no answer; it is taken, and its receipt comes.",
        ),
    ] = 0,
    close_every: Annotated[
        int | None,
        Parameter(
            group=FAULTS,
            metavar="NUMBER",
            validator=Count,
            help="Close a connection in place of the answer to each so many'th message on it.",
        ),
    ] = None,
    late_answers: Annotated[
        float,
        Parameter(
            group=FAULTS,
            metavar="SECONDS",
            validator=Seconds,
            help="Each tenth answer comes so much later than the others.",
        ),
    ] = 0,
    duplicate_receipts: Annotated[
        bool, Parameter(group=FAULTS, negative=(), show_default=False, help="Send every receipt twice.")
    ] = False,
    ignore_enquire_link: Annotated[
        bool, Parameter(group=FAULTS, negative=(), show_default=False, help="Never answer enquire_link.")
    ] = False,
) -> None:
    """Run a simulated SMSC that speaks SMPP 3.4, until SIGTERM or Ctrl-C."""
    behaviour = Behaviour(
        system_id=system_id,
        password=password,
        delay_s=delay,
        latency_s=latency,
        rate=rate,
        max_window=max_window,
        receipt_window=receipt_window,
        receipt_order=receipt_order,
        receipt_format=receipt_format,
        ids=id_format,
        receipt_ids=receipt_id_format,
        kept_receipts=kept_receipts,
        resend_after_s=resend_after,
        inbound=tuple(map(_inbound, inbound or ())),
        drop_answers=drop_answers,
        close_every=close_every,
        late_answers_s=late_answers,
        duplicate_receipts=duplicate_receipts,
        ignore_enquire_link=ignore_enquire_link,
    )
    run_fast(_simulate(behaviour, _address(listen), _tls(tls_certificate, tls_key), seed=seed, log_pdus=log_pdus))


async def _simulate(
    behaviour: Behaviour, address: Address, tls: ssl.SSLContext | None, *, seed: int | None, log_pdus: bool
) -> None:
    clock = SystemClock()
    smsc = Smsc(behaviour, RandomIds(seed), clock.monotonic(), clock.now())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows: Ctrl-C interrupts, without a summary.
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, stop.set)
    async with listening(smsc, clock, address, tls, _log if log_pdus else None) as bound_to:
        print(f"The simulated SMSC listens at {bound_to}{' with TLS' if tls else ''}.", flush=True)
        await stop.wait()
    print(_told(smsc.summary))


def _log(line: str) -> None:
    print(line, file=sys.stderr)


def _told(summary: Summary) -> str:
    """What happened, for people to read."""
    rows: tuple[tuple[str, int, list[tuple[int, str]]], ...] = (
        ("binds", summary.binds, [(summary.binds_refused, "refused")]),
        (
            "submissions",
            summary.submissions,
            [
                (summary.accepted, "accepted"),
                (summary.refused, "refused"),
                (summary.put_off, "put off with a system error"),
                (summary.throttled, "throttled"),
                (summary.answers_withheld, "left without an answer"),
            ],
        ),
        ("receipts", summary.receipts.promised, _details(summary.receipts)),
        ("inbound parts", summary.inbound.promised, _details(summary.inbound)),
    )
    lines: list[str] = []
    for name, count, details in rows:
        told = ", ".join(f"{number} {what}" for number, what in details if number)
        lines.append(f"{name:<13} {count:>9}  {told}".rstrip())
    return "\n".join(lines)


def _details(deliveries: Deliveries) -> list[tuple[int, str]]:
    return [
        (deliveries.acknowledged, "acknowledged"),
        (deliveries.sent_again, "sent again"),
        (deliveries.forgotten, "given up"),
        (deliveries.waiting, "not taken yet"),
    ]


def _address(text: str) -> Address:
    parts = re.fullmatch(r"(?:\[([^\[\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if parts is None or int(parts[3]) > LARGEST_PORT:
        raise UsageInvalid(f'--listen must be HOST:PORT, such as "127.0.0.1:2775" or "[::1]:2775", and is "{text}"')
    return Address(parts[1] or parts[2], int(parts[3]))


def _inbound(text: str) -> Inbound:
    src, _, rest = text.partition(":")
    dst, _, message = rest.partition(":")
    if not (_ADDRESS.fullmatch(src) and _ADDRESS.fullmatch(dst) and message):
        raise UsageInvalid(f'--inbound must be FROM:TO:TEXT, such as "+4917612345678:12345:Hello", and is "{text}"')
    return Inbound(src, dst, message)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise UsageInvalid("--tls-key needs --tls-certificate")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageInvalid(f"--tls-certificate {certificate} can't be used: {error}") from error
    return context


LARGEST_PORT: Final = 65_535
_ADDRESS: Final = re.compile(r"\+?[0-9]{1,20}|[ -9;-~]{1,11}")
