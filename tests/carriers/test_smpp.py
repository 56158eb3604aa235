"""The SMPP carrier and its whole way, against an SMSC with faults (SMPP checklist, 2.1 to 2.6)."""

import asyncio
import socket
import ssl as tls_library
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import structlog
import trustme
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from heliograph.carriers.interface import Recalled
from heliograph.carriers.smpp import check
from heliograph.carriers.smpp.answers import inbound_of, request_of
from heliograph.carriers.smpp.carrier import SmppCarrier
from heliograph.carriers.smpp.check import Verdict, check_smsc
from heliograph.carriers.smpp.inbox import HELD_S
from heliograph.carriers.smpp.reconnecting import Backoff, Trouble
from heliograph.carriers.smpp.remedies import no_bind_answer_remedy
from heliograph.carriers.smpp.smsc import Tls
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.gsm.alphabet import CARRIABLE
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import (
    Accepted,
    AcceptedLate,
    Expired,
    Permanence,
    Refused,
    Unanswered,
    Unreachable,
)
from heliograph.jobs.inbound import Alphabet
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.plan import plan_job
from heliograph.jobs.request import JobRequest, Message, Recipient
from heliograph.jobs.routing import OwnAlphabet, Routing
from heliograph.jobs.senders import sender_doubt
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.smpp import profiles
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import (
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DataSm,
    DeliverSm,
    GenericNack,
    SubmitSm,
    SubmitSmResp,
    encode,
)
from heliograph.smpp.profiles import Concatenation, FlashCoding, Profile
from heliograph.smpp.receipts import IdBase
from heliograph.smpp.statuses import ROK, CommandStatus, StatusKind
from tests.carriers.conformance import a_segment
from tests.carriers.sockets import SocketClock, an_smsc, bound_carrier, bytes_arrive, running, until
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account
from tests.fakes.ids import SeededIds
from tests.fakes.smsc import Play, delivered, fake_smsc, receipt, refused
from tests.flow.running import flow

PHONE = "+4917612345678"
PAIR = (BindTransmitter, BindReceiver)
POLICY = RetryPolicy(throttle_wait_s=None)


@pytest.fixture
def clock():
    return SocketClock()


@asynccontextmanager
async def gateway(clock, script=None, *, policy=POLICY, pacer=None, store=None, **changes):
    """Dispatcher, receipts, store, an SMPP carrier, and the SMSC it is bound to."""
    async with fake_smsc(clock, **({} if script is None else {"script": script})) as smsc:
        carrier = SmppCarrier("acme", an_smsc(smsc, **changes), clock, SeededIds())
        async with running(carrier), flow(clock=clock, carrier=carrier, policy=policy, pacer=pacer, store=store) as f:
            await until(lambda: carrier.window > 0, clock, step_s=0.01)
            yield f, smsc


async def ended(f, plan, *, seconds=60, index=0):
    """An SMS once it is final."""
    step_s = 0.1 if seconds <= 60 else 1.0
    for _ in range(round(seconds / step_s)):
        sms = await f.sms(plan, index)
        if sms.finished_at is not None:
            return sms
        await f.clock.advance(step_s)
    raise AssertionError(f"{sms} is not final")


async def outcomes_of(carrier, clock, count=1, seconds=120):
    found = []

    async def collect():
        while len(found) < count:
            found.extend(await carrier.outcomes())

    task = asyncio.ensure_future(collect())
    await until(task.done, clock, seconds=seconds)
    return found


# ---- what answers mean (2.5)


@pytest.mark.parametrize(
    ("status", "outcome", "permanence"),
    [
        (CommandStatus.ESME_RINVDSTADR, Refused, Permanence.BAD_NUMBER),
        (CommandStatus.ESME_RINVSRCADR, Refused, Permanence.LASTING),
        (CommandStatus.ESME_RX_P_APPN, Refused, Permanence.LASTING),
        (CommandStatus.ESME_RINVESMCLASS, Refused, Permanence.LASTING),
        (CommandStatus.ESME_RSYSERR, Refused, Permanence.PASSING),
        (CommandStatus.ESME_RTHROTTLED, Refused, Permanence.THROTTLED),
        (CommandStatus.ESME_RMSGQFUL, Refused, Permanence.PASSING),
        (CommandStatus.ESME_RSUBMITFAIL, Refused, Permanence.DOUBTFUL),
        (0x0401, Refused, Permanence.DOUBTFUL),
        (CommandStatus.ESME_RINVBNDSTS, Unreachable, None),
    ],
)
async def test_each_class_of_answers_has_its_outcome(clock, status, outcome, permanence):
    async with fake_smsc(clock, lambda _: refused(status)) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(a_segment())
        [found] = await outcomes_of(carrier, clock)
    assert type(found) is outcome
    assert f"[{status:08x}] (" in found.reason
    if permanence is not None:
        assert found.permanence is permanence


async def test_a_reason_is_in_the_carrier_s_own_words(clock):
    async with fake_smsc(clock, lambda _: refused(0x58)) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(a_segment())
        [found] = await outcomes_of(carrier, clock)
    assert found.reason.startswith("command_status:ESME_RTHROTTLED [00000058] (Temporary) (")


async def test_a_profile_says_what_one_smsc_means_by_a_status(clock):
    profile = Profile(statuses={0x0B: StatusKind.TEMPORARY})
    async with (
        fake_smsc(clock, lambda _: refused(0x0B)) as smsc,
        bound_carrier(smsc, clock, profile=profile) as carrier,
    ):
        carrier.submit(a_segment())
        [found] = await outcomes_of(carrier, clock)
    assert found.permanence is Permanence.PASSING


@pytest.mark.parametrize("status", [0x65, 0x66, 0x100, 0x101, 0x103])
async def test_a_refusal_by_policy_goes_to_the_next_carrier_only_where_the_profile_says_so(clock, status):
    for profile in (Profile(), Profile(policy_is_its_own=True)):
        async with (
            fake_smsc(clock, lambda _: refused(status)) as smsc,
            bound_carrier(smsc, clock, profile=profile) as carrier,
        ):
            carrier.submit(a_segment())
            [found] = await outcomes_of(carrier, clock)
        assert (found.permanence, found.elsewhere) == (Permanence.LASTING, profile.policy_is_its_own)


async def test_full_queues_of_several_numbers_are_the_smsc_s_own(clock):
    async with fake_smsc(clock, lambda _: refused(0x14)) as smsc, bound_carrier(smsc, clock) as carrier:
        for number in range(1, 5):
            carrier.submit(a_segment(number, dst=f"+4917612345{min(number, 3):03}"))
        found = await outcomes_of(carrier, clock, 4)
    assert [each.permanence for each in found] == [Permanence.PASSING] * 2 + [Permanence.THROTTLED] * 2


@pytest.mark.parametrize(("numbers", "wait_s"), [((1, 1, 1, 1), 0), ((1, 2, 3, 4), 11)])
async def test_full_queues_of_one_number_or_long_after_each_other_are_single_numbers(clock, numbers, wait_s):
    async with fake_smsc(clock, lambda _: refused(0x14)) as smsc, bound_carrier(smsc, clock) as carrier:
        for number in numbers:
            carrier.submit(a_segment(number, dst=f"+4917612345{number:03}"))
            [found] = await outcomes_of(carrier, clock)
            assert found.permanence is Permanence.PASSING
            await clock.advance(wait_s)


async def test_a_generic_nack_is_an_answer(clock):
    play = Play(CommandStatus.ESME_RINVCMDID, response=GenericNack)
    async with fake_smsc(clock, lambda _: play) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(a_segment())
        [found] = await outcomes_of(carrier, clock)
    assert found.permanence is Permanence.LASTING


async def test_what_the_smsc_does_not_like_is_left_out_once(clock):
    def script(submitted):
        return refused(CommandStatus.ESME_RINVEXPIRY) if submitted.validity_period else delivered()

    async with fake_smsc(clock, script) as smsc, bound_carrier(smsc, clock) as carrier:
        segment = a_segment()
        carrier.submit(replace(segment, validity_min=60))
        [found] = await outcomes_of(carrier, clock)
    assert isinstance(found, Accepted)
    assert [bool(each.validity_period) for each in smsc.submitted] == [True, False]


async def test_two_codings_that_are_both_refused_do_not_go_on_for_ever(clock):
    async with (
        fake_smsc(clock, lambda _: refused(CommandStatus.ESME_RINVDCS)) as smsc,
        bound_carrier(smsc, clock) as carrier,
    ):
        segment = a_segment()
        carrier.submit(replace(segment, flash=True))
        [found] = await outcomes_of(carrier, clock)
    assert found.permanence is Permanence.LASTING
    assert [each.data_coding for each in smsc.submitted] == [0x10, 0xF0]


async def test_a_retry_carries_what_is_left_of_the_validity(clock):  # smpp.md, 2.2
    plays = iter([refused(CommandStatus.ESME_RSYSERR), delivered()])
    async with gateway(clock, lambda _: next(plays), policy=RetryPolicy(waits_s=(900,), throttle_wait_s=None)) as (
        f,
        smsc,
    ):
        plan = a_plan(a_planned_sms(expires=after(3600)), validity_min=60)
        await f.add(plan)
        assert (await ended(f, plan, seconds=1000)).status is Status.SUC_FIN
    first, second = (each.validity_period for each in smsc.submitted)
    assert first == b"000000010000000R"
    assert second[6:10] in (b"0045", b"0044")


@pytest.mark.parametrize(
    ("minutes", "encoded"), [(5, b"000000000500000R"), (60, b"000000010000000R"), (2880, b"000002000000000R")]
)
async def test_a_validity_is_on_the_wire_as_it_was_asked_for(clock, minutes, encoded):  # smpp.md, 2.2
    async with gateway(clock) as (f, smsc):
        await f.clock.advance(0.25)
        plan = a_plan(a_planned_sms(expires=after(60 * minutes)), validity_min=minutes)
        await f.add(plan)
        await ended(f, plan)
    assert smsc.submitted[0].validity_period == encoded


@pytest.mark.parametrize("waits_s", [(1, 2, 3), (5, 900)])
@pytest.mark.parametrize(
    ("status", "end"),
    [(CommandStatus.ESME_RSYSERR, Status.CON_ERR), (CommandStatus.ESME_RTHROTTLED, Status.TIMEOUT)],
)
async def test_a_carrier_that_fails_until_the_validity_ends_was_never_reached(clock, waits_s, status, end):
    # Contract, section 4: 0004. The end comes a minute before, as nothing shorter is sent, or when it is next tried.
    policy = RetryPolicy(waits_s=waits_s, throttle_wait_s=None)
    pacer = Pacer(None, throttle_pause_s=1)
    async with gateway(clock, lambda _: refused(status), policy=policy, pacer=pacer) as (f, _):
        plan = a_plan(a_planned_sms(expires=after(300)), validity_min=5)
        await f.add(plan)
        sms = await ended(f, plan, seconds=400)
    assert sms.status is end
    if end is Status.CON_ERR:
        assert f"[{status:08x}]" in sms.reason


async def test_less_than_a_minute_of_validity_is_not_sent(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock) as carrier:
        segment = a_segment()
        carrier.submit(replace(segment, validity_min=5, expires_at=after(30)))
        [found] = await outcomes_of(carrier, clock)
    assert isinstance(found, Expired)
    assert smsc.submitted == []


async def test_a_part_cut_before_the_profile_said_16_bits_goes_with_an_8_bit_reference(clock):
    profile = Profile(concatenation=Concatenation.UDH_16)
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, profile=profile) as carrier:
        for text in ("x" * 153, "x" * 152):
            segment = a_segment(parts=2)
            carrier.submit(replace(segment, text=text))
            await outcomes_of(carrier, clock)
    assert [each.short_message[:2] for each in smsc.submitted] == [b"\x05\x00", b"\x06\x08"]


async def test_doubtful_answers_are_tried_twice_more(clock):
    async with gateway(clock, lambda _: refused(CommandStatus.ESME_RSUBMITFAIL)) as (f, smsc):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        sms = await ended(f, plan)
    assert (sms.status, len(smsc.submitted)) == (Status.NOT_ACC_FIN, 3)
    assert sms.reason.startswith("command_status:ESME_RSUBMITFAIL [00000045] ")


async def test_an_impossible_number_ends_at_once(clock):
    async with gateway(clock, lambda _: refused(CommandStatus.ESME_RINVDSTADR)) as (f, _):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.INVALID_DST


# ---- throttling


async def test_throttling_pauses_the_carrier_and_counts_no_try(clock):
    instants = []

    def script(_):
        instants.append(clock.monotonic())
        return delivered() if len(instants) > 15 else refused(0x58)

    pacer = Pacer(100, throttle_pause_s=5)
    async with gateway(clock, script, pacer=pacer, policy=RetryPolicy(waits_s=(), throttle_wait_s=None)) as (f, smsc):
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(40)))
        await f.add(plan)
        for index in range(40):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 55
    first = smsc.submitted[0].destination_addr
    pauses = [later - earlier for earlier, later in pairwise(instants)]
    assert max(pauses) >= 5
    again = [each.destination_addr for each in smsc.submitted[10:]]
    assert first in again[:10], "the same messages go first after the pause"


async def test_a_minute_of_throttling_loses_nothing_and_ends_nothing(clock):
    def script(_):
        return refused(0x58) if clock.monotonic() < 60 else delivered()

    policy = RetryPolicy(waits_s=(), throttle_wait_s=None)
    async with gateway(clock, script, pacer=Pacer(100, throttle_pause_s=1), policy=policy) as (f, smsc):
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}", expires=after(600)) for number in range(30)))
        await f.add(plan)
        await clock.advance(59)
        sms = [await f.sms(plan, index) for index in range(30)]
        assert {(each.process_status, each.finished_at) for each in sms} == {(ProcessStatus.OPEN, None)}
        assert sms[0].status is Status.NOT_ACC_REC
        assert "ESME_RTHROTTLED [00000058] (Temporary)" in sms[0].reason
        assert len(smsc.submitted) < 200, "it is not hammered meanwhile"
        for index in range(30):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
    assert len(smsc.taken) == 30


async def test_throttling_in_the_midst_of_a_long_sms_loses_no_part(clock):
    count = 0

    def script(_):
        nonlocal count
        count += 1
        return refused(0x58) if count == 2 else delivered()

    async with gateway(clock, script, pacer=Pacer(None, throttle_pause_s=1)) as (f, smsc):
        plan = a_plan(a_planned_sms(parts=3))
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 4
    parts = [each.short_message[5] for each in smsc.submitted]
    assert sorted(parts[:3]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("alphabet", "text"),
    [
        (profiles.Alphabet.LATIN_1, "Your bill of 49.90 € is there. Please pay it by the end of November. " * 2),
        (profiles.Alphabet.LATIN_1, "a" * 170 + "€"),
        (profiles.Alphabet.ASCII, "ü" * 71),
    ],
)
async def test_what_standard_carries_is_sent_whole_whatever_the_carrier_s_alphabet(clock, alphabet, text):
    routing = Routing([], "acme", alphabets={"acme": OwnAlphabet(alphabet.value, flash=False)})
    request = JobRequest(JobOptions(status_requested=True), (Message(text, (Recipient(PHONE, ""),)),), b"print")
    plan = plan_job(request, an_account(id=1), routing, a_plan().job_id, NOW)
    async with gateway(clock, profile=Profile(alphabet=alphabet)) as (f, smsc):
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.SUC_FIN
    parts = sorted(smsc.submitted, key=lambda each: each.short_message[5])
    assert {each.data_coding for each in parts} == {8}
    assert b"".join(each.short_message[6:] for each in parts).decode("utf-16-be") == text


@given(
    st.text(st.sampled_from(sorted(CARRIABLE)), min_size=1, max_size=400),
    st.sampled_from([profiles.Alphabet.LATIN_1, profiles.Alphabet.ASCII]),
    st.sampled_from(FlashCoding),
    st.booleans(),
)
def test_no_part_that_was_planned_for_a_carrier_is_refused_for_its_text(whole, alphabet, coding, flash):
    profile = Profile(alphabet=alphabet, flash=coding)
    own = OwnAlphabet(alphabet.value, flash=coding in (FlashCoding.SUBUNIT, FlashCoding.NONE))
    routing = Routing([], "acme", alphabets={"acme": own})
    request = JobRequest(JobOptions(flash=flash), (Message(whole, (Recipient(PHONE, ""),)),), b"print")
    [message] = plan_job(request, an_account(id=1), routing, a_plan().job_id, NOW).messages
    for part, text in enumerate(message.parts, 1):
        segment = replace(a_segment(part=part, parts=len(message.parts)), text=text, encoding=message.encoding)
        assert isinstance(request_of(profile, replace(segment, flash=flash), NOW), SubmitSm)


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=11) | st.from_regex(r"\A\+?[0-9]{1,20}\Z")
)
def test_previews_know_which_senders_are_not_sent(src):
    sent = isinstance(request_of(Profile(), replace(a_segment(), src=src), NOW), SubmitSm)
    assert sent is not bool(sender_doubt(src))


async def test_a_congested_smsc_is_given_time(clock):
    play = Play(tlvs=(Tlv.octet(Tag.CONGESTION_STATE, 95),))
    async with fake_smsc(clock, lambda _: play) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(a_segment())
        await outcomes_of(carrier, clock)
        assert carrier.window == 0
        await clock.advance(1.1)
        assert carrier.window == 10


@pytest.mark.parametrize(
    ("percent", "window"), [(0, 10), (80, 10), (81, 9), (85, 5), (89, 1), (90, 0), (100, 0)]
)  # SMPP 5.0, 4.8.4.18
async def test_a_busy_smsc_gets_less_the_busier_it_is(clock, percent, window):
    play = Play(tlvs=(Tlv.octet(Tag.CONGESTION_STATE, percent),))
    async with fake_smsc(clock, lambda _: play) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(a_segment())
        await outcomes_of(carrier, clock)
        assert carrier.window == window


# ---- losing the SMSC


async def test_nothing_is_lost_when_the_smsc_is_killed_with_a_full_window(clock):
    async with gateway(clock, lambda _: Play(answer_after_s=None)) as (f, smsc):
        port = smsc.port
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(25)))
        await f.add(plan)
        await until(lambda: len(smsc.submitted) == 10, clock)
        await smsc.stop()
        await clock.advance(3)
        smsc.script = lambda _: delivered()
        await smsc.start(port=port)
        for index in range(25):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 35, "only what was unanswered went twice"


async def test_an_account_that_wants_nothing_twice_gets_send_err(clock):
    async with gateway(clock, lambda _: Play(answer_after_s=None)) as (f, smsc):
        plan = a_plan(a_planned_sms(), on_unknown=OnUnknown.GIVE_UP)
        await f.add(plan)
        await until(lambda: len(smsc.submitted) == 1, clock)
        await smsc.stop()
        sms = await ended(f, plan)
    assert sms.status is Status.SEND_ERR
    assert "no answer came before the connection ended" in sms.reason


async def test_while_nothing_is_bound_reports_say_why_and_no_try_is_counted(clock):
    async with gateway(clock, policy=RetryPolicy(waits_s=(5, 100_000), throttle_wait_s=None)) as (f, smsc):
        port = smsc.port
        await smsc.stop()
        await clock.advance(2)
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await clock.advance(300)
        sms = await f.sms(plan)
        assert (sms.process_status, sms.status) == (ProcessStatus.OPEN, Status.CON_ERR)
        assert "nobody listens" in sms.reason
        await smsc.start(port=port)
        assert (await ended(f, plan, seconds=120)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 1


async def test_a_short_break_shows_in_no_report(clock):
    async with gateway(clock, backoff=Backoff(shortest_s=1)) as (f, smsc):
        for link in [*smsc.links]:
            link.transport.abort()
        await bytes_arrive()
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        assert (await f.sms(plan)).status is Status.NONE
        assert (await ended(f, plan, seconds=5)).status is Status.SUC_FIN


async def test_validity_ends_and_overdue_receipts_end_while_nothing_is_bound(clock):
    policy = RetryPolicy(receipt_grace_s=60, throttle_wait_s=None)
    async with gateway(clock, lambda _: Play(), policy=policy) as (f, smsc):
        awaiting = a_plan(a_planned_sms(expires=after(600)))
        await f.add(awaiting)
        await until(lambda: len(smsc.submitted) == 1, clock)
        await smsc.stop()
        waiting = a_plan(a_planned_sms(expires=after(300)))
        await f.add(waiting)
        sms = await ended(f, waiting, seconds=400)
        assert (sms.status, (sms.finished_at - after(300)).total_seconds() < 2) == (Status.CON_ERR, True)
        sms = await ended(f, awaiting, seconds=600)
        assert (sms.status, (sms.finished_at - after(660)).total_seconds() < 2) == (Status.TIMEOUT, True)


async def test_a_half_open_connection_is_noticed_and_replaced(clock):
    async with gateway(clock, enquire_after_s=30, give_up_after_s=10) as (f, smsc):
        smsc.is_mute = True
        await clock.advance(41)
        assert f.carrier.window == 0
        smsc.is_mute = False
        await until(lambda: f.carrier.window > 0, clock)
    assert len(smsc.binds) >= 2


async def test_an_smsc_that_never_answers_enquiries_is_bound_to_again_and_nothing_is_lost_or_doubled(clock):
    async with gateway(clock, enquire_after_s=5, give_up_after_s=2) as (f, smsc):
        smsc.ignores_enquiries = True
        plans = [a_plan(a_planned_sms(f"+491761{number:07}9", due=after(9 * number))) for number in range(20)]
        await f.add(*plans)
        for plan in plans:
            assert (await ended(f, plan, seconds=120)).status is Status.SUC_FIN
        await clock.advance(30)
    assert len(smsc.binds) >= 3
    assert len(smsc.submitted) == 20


async def test_an_enquiry_of_the_smsc_is_answered(clock):
    async with fake_smsc(clock) as smsc:
        smsc.settings = smsc.settings.__class__(enquire_after_s=5, give_up_after_s=2, window=10)
        async with bound_carrier(smsc, clock, enquire_after_s=1000) as carrier:
            link = smsc.links[0]
            for _ in range(5):
                await clock.advance(5)
                link.session.expire(clock.monotonic())
                link.flush()
                await bytes_arrive()
            assert carrier.window == 10


async def test_a_bind_that_is_up_but_stands_still_is_replaced(clock):
    async with gateway(clock, lambda _: Play(answer_after_s=None), response_timeout_s=30) as (f, smsc):
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(30)))
        await f.add(plan)
        await until(lambda: len(smsc.submitted) == 10, clock)
        await clock.advance(31)
        assert f.carrier.window == 0, "nothing more goes where nothing is answered"
        assert len(smsc.submitted) == 10
        smsc.script = lambda _: delivered()
        await clock.advance(35)
        assert len(smsc.binds) == 2
        for index in range(30):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 40


async def test_an_answer_after_its_time_keeps_an_sms_from_going_twice(clock):
    async with gateway(clock, lambda _: Play(answer_after_s=32), response_timeout_s=30) as (f, smsc):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await clock.advance(31)
        assert (await f.sms(plan)).status is Status.SEND_ERR
        await clock.advance(30)
        sms = await f.sms(plan)
        assert (sms.process_status, len(smsc.submitted)) == (ProcessStatus.RUNNING, 1)
        [message_id] = smsc.taken
        smsc.send(receipt(message_id, smsc.submitted[0]))
        assert (await ended(f, plan)).status is Status.SUC_FIN


async def test_an_answer_after_the_next_try_began_changes_nothing(clock):
    late = iter([Play(answer_after_s=40), Play(answer_after_s=20)])

    def script(submitted):
        return next(late) if submitted.destination_addr == b"49176000001" else Play()

    async with gateway(clock, script, response_timeout_s=30) as (f, smsc):
        plan = a_plan(a_planned_sms("+49176000001"))
        await f.add(plan)
        await clock.advance(20)
        await f.add(a_plan(a_planned_sms("+49176000002")))  # Its answer shows that the bind gets on.
        await clock.advance(70)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
    assert len(smsc.submitted) == 3


async def test_a_late_answer_is_told_as_such(clock):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=35)) as smsc,
        bound_carrier(smsc, clock, response_timeout_s=30) as carrier,
    ):
        carrier.submit(a_segment())
        first, second = await outcomes_of(carrier, clock, 2)
    assert isinstance(first, Unanswered)
    assert second == AcceptedLate(a_segment(), "1000")


async def test_an_unbind_from_the_smsc_is_answered_and_followed_by_a_bind(clock):
    async with gateway(clock) as (f, smsc):
        link = smsc.links[0]
        link.unbind()
        await bytes_arrive()
        assert f.carrier.window == 0
        await until(lambda: f.carrier.window > 0, clock, seconds=5)
    assert (smsc.farewells, len(smsc.binds)) == (2, 2)


@pytest.mark.parametrize("after_s", [0, 0.5])
async def test_answers_behind_an_unbind_from_the_smsc_keep_sms_from_going_twice(clock, after_s):
    async with gateway(clock, lambda _: Play(answer_after_s=None)) as (f, smsc):
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(15)))
        await f.add(plan)
        await until(lambda: len(smsc.submitted) == 10, clock)
        smsc.script = lambda _: delivered()
        link = smsc.links[0]
        link.session.unbind(clock.monotonic())
        if after_s:
            link.flush()
            await clock.advance(after_s)
        for number, sequence in enumerate([*link.session._unacknowledged]):
            link.session.acknowledge(sequence, ROK, SubmitSmResp(b"%d" % number))
        link.flush()
        for number, submitted in enumerate([*smsc.submitted]):
            smsc.later(6, lambda m=b"%d" % number, s=submitted: smsc.send(receipt(m, s), m))
        for index in range(15):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
    assert (len(smsc.submitted), len(smsc.binds)) == (15, 2)


async def test_what_the_smsc_would_like_changed_goes_over_the_next_bind_when_it_unbinds(clock):
    async with fake_smsc(clock, lambda _: Play(answer_after_s=None)) as smsc, bound_carrier(smsc, clock) as carrier:
        carrier.submit(replace(a_segment(), validity_min=60))
        await bytes_arrive()
        link = smsc.links[0]
        link.session.unbind(clock.monotonic())
        link.session.acknowledge(*link.session._unacknowledged, CommandStatus.ESME_RINVEXPIRY)
        link.flush()
        [found] = await outcomes_of(carrier, clock)
    assert (type(found), found.is_try) == (Unreachable, False)


async def test_a_carrier_that_stops_unbinds(clock):
    async with fake_smsc(clock) as smsc:
        async with bound_carrier(smsc, clock, modes=PAIR):
            assert smsc.farewells == 0
        assert smsc.farewells == 2


async def test_an_answer_that_the_bind_is_none_makes_a_new_bind(clock):
    plays = iter([refused(CommandStatus.ESME_RINVBNDSTS)])
    async with gateway(clock, lambda _: next(plays, delivered())) as (f, smsc):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.SUC_FIN
    assert len(smsc.binds) == 2


async def test_what_is_no_smpp_ends_the_connection(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock) as carrier:
        smsc.links[0].transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await bytes_arrive()
        assert carrier.window == 0
        await until(lambda: carrier.window > 0, clock)


# ---- binding (2.1)


async def test_wrong_credentials_are_tried_again_slowly(clock):
    async with fake_smsc(clock, password=b"other") as smsc:
        carrier = SmppCarrier("acme", an_smsc(smsc, backoff=Backoff(credentials_s=300)), clock, SeededIds())
        async with running(carrier):
            await clock.advance(250)
            assert len(smsc.binds) == 1
            assert "ESME_RINVPASWD" in carrier.unreachable
            smsc.password = b"secret"
            await until(lambda: carrier.window > 0, clock, seconds=100)
            assert carrier.unreachable == ""


@pytest.mark.parametrize("modes", [(BindTransceiver,) * 4, PAIR])
async def test_wrong_credentials_are_tried_by_one_bind_for_all(clock, modes):
    async with fake_smsc(clock, password=b"other") as smsc:
        backoff = Backoff(credentials_s=300, longest_s=1)
        carrier = SmppCarrier("acme", an_smsc(smsc, backoff=backoff, modes=modes), clock, SeededIds())
        async with running(carrier):
            await clock.advance(899)
            assert len(smsc.binds) == 3, "each 300 s one, not each 300 s as many as there are binds"
            assert len({type(bind) for bind in smsc.binds}) == len(set(modes)), "each of them has its turn"
            smsc.password = b"secret"
            await until(lambda: len(smsc.bound) == len(modes), clock, seconds=302)


async def test_a_bind_that_hangs_does_not_hold_up_the_others_for_long(clock):
    async with fake_smsc(clock) as smsc:
        smsc.is_mute = True
        carrier = SmppCarrier("acme", an_smsc(smsc, modes=(BindTransceiver,) * 2), clock, SeededIds())
        async with running(carrier):
            await until(lambda: len(smsc.links) == 1, clock, step_s=0.01)
            smsc.is_mute = False
            await until(lambda: carrier.window > 0, clock, seconds=5)


async def test_a_bind_refused_while_another_is_up_holds_up_nobody(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, modes=(BindTransceiver,) * 3) as carrier:
        smsc.bind_status = CommandStatus.ESME_RBINDFAIL
        smsc.links[0].transport.abort()
        await clock.advance(3)
        smsc.bind_status = ROK
        smsc.links[0].transport.abort()
        await until(lambda: len(smsc.bound) == 2 and carrier.window == 20, clock, seconds=5)


async def test_a_bind_that_is_refused_again_and_again_is_told_in_full_and_then_how_often(clock):
    with structlog.testing.capture_logs() as logs:
        async with fake_smsc(clock, password=b"other") as smsc:
            backoff = Backoff(credentials_s=10, longest_s=1)
            modes = (BindTransceiver,) * 4
            carrier = SmppCarrier("acme", an_smsc(smsc, backoff=backoff, modes=modes), clock, SeededIds())
            async with running(carrier):
                await clock.advance(650)
    refused_lines = [line for line in logs if line["event"] == "carrier.bind_refused"]
    first, again = refused_lines
    assert {key: first[key] for key in ("carrier", "bind", "address", "system_id")} == {
        "carrier": "acme",
        "bind": "transceiver",
        "address": f"127.0.0.1:{smsc.port}",
        "system_id": "helio",
    }
    assert "ESME_RINVPASWD [0000000e]" in first["reason"]
    assert "check the password" in first["remedy"]
    assert "count_since" not in first
    assert 55 <= again["count_since"] <= 60
    assert len(logs) == 4, "and each time when it tries again"
    assert "secret" not in str(logs)


async def test_a_fault_of_another_kind_is_told_at_once(clock):
    with structlog.testing.capture_logs() as logs:
        async with fake_smsc(clock) as smsc:
            smsc.bind_status = CommandStatus.ESME_RALYBND
            carrier = SmppCarrier("acme", an_smsc(smsc, backoff=Backoff(longest_s=1)), clock, SeededIds())
            async with running(carrier):
                await clock.advance(30)
                smsc.bind_status = CommandStatus.ESME_RSYSERR
                await clock.advance(30)
                await smsc.stop()
                await clock.advance(30)
    told = [(line["event"], line["remedy"][:9]) for line in logs if "remedy" in line]
    assert told == [
        ("carrier.bind_refused", "stop the "),
        ("carrier.bind_refused", "the SMSC "),
        ("carrier.unreachable", "check hos"),
    ]


async def test_of_a_pair_whose_receiver_is_refused_it_is_said_what_that_means(clock):
    with structlog.testing.capture_logs() as logs:
        async with fake_smsc(clock) as smsc:
            smsc.mode_statuses = {BindReceiver: CommandStatus.ESME_RBINDFAIL}
            carrier = SmppCarrier("acme", an_smsc(smsc, modes=PAIR), clock, SeededIds())
            async with running(carrier):
                await clock.advance(700)
    [first, _] = [line for line in logs if line["event"] == "carrier.bind_refused"]
    assert first["bind"] == "receiver"
    assert first["effect"].startswith("no receipts")


class Lent:
    """Rights to binds that a test gives and takes."""

    def __init__(self, within_s: float = 60) -> None:
        self._given, self._taken = asyncio.Event(), asyncio.Event()
        self._within_s = within_s
        self.ended_count = 0
        self.give()

    def give(self) -> None:
        self._given.set()
        self._taken.clear()

    def take(self) -> None:
        self._given.clear()
        self._taken.set()

    def has(self, _bind: int) -> bool:
        return self._given.is_set()

    async def gained(self, _bind: int) -> None:
        await self._given.wait()

    async def lost(self, _bind: int) -> float:
        await self._taken.wait()
        return self._within_s

    def ended(self, _bind: int) -> None:
        self.ended_count += 1


async def test_a_bind_that_another_node_is_to_have_ends_once_its_answers_are_there(clock):
    rights = Lent()
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=5)) as smsc,
        bound_carrier(smsc, clock, rights=rights) as carrier,
    ):
        carrier.submit(a_segment(1))
        await clock.advance(1)
        rights.take()
        await clock.advance(1)
        assert (carrier.window, len(smsc.bound), rights.ended_count) == (0, 1, 0), "nothing more goes out"
        await clock.advance(5)
        assert [type(outcome) for outcome in await carrier.outcomes()] == [Accepted]
        await until(lambda: rights.ended_count == 1, clock)
        assert (len(smsc.bound), carrier.unreachable) == (0, "")
        await clock.advance(300)
        assert len(smsc.binds) == 1, "it isn't opened again"
        rights.give()
        await until(lambda: carrier.window > 0, clock)
        assert len(smsc.binds) == 2


async def test_over_a_bind_that_isnt_known_to_be_ours_any_more_nothing_is_sent(clock):
    rights = Lent()
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, rights=rights) as carrier:
        rights._given.clear()  # Nobody has been told yet.
        assert carrier.window == 0
        carrier.submit(a_segment(1))
        await clock.advance(1)
        assert [type(outcome) for outcome in await carrier.outcomes()] == [Unreachable]
        rights.give()
        assert carrier.window > 0


async def test_a_bind_that_has_to_end_soon_doesnt_wait_for_its_answers(clock):
    rights = Lent(within_s=2)
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=None)) as smsc,
        bound_carrier(smsc, clock, rights=rights) as carrier,
    ):
        carrier.submit(a_segment(1))
        await clock.advance(1)
        rights.take()
        await until(lambda: rights.ended_count == 1, clock, seconds=10)
        assert [type(outcome) for outcome in await carrier.outcomes()] == [Unanswered]


async def test_answers_behind_the_answer_to_our_own_unbind_are_taken(clock):
    rights = Lent(within_s=2)
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=None)) as smsc,
        bound_carrier(smsc, clock, rights=rights) as carrier,
    ):
        smsc.answers_last = True
        carrier.submit(a_segment(1))
        carrier.submit(a_segment(2))
        await clock.advance(1)
        rights.take()
        await until(lambda: rights.ended_count == 1, clock, seconds=10)
        assert await carrier.outcomes() == [Accepted(a_segment(1).id, "last-2"), Accepted(a_segment(2).id, "last-3")]


async def test_a_bind_that_is_nobodys_to_open_yet_is_not_opened(clock):
    rights = Lent()
    rights.take()
    async with fake_smsc(clock) as smsc:
        carrier = SmppCarrier("acme", an_smsc(smsc), clock, SeededIds(), rights=rights)
        async with running(carrier):
            await clock.advance(60)
            assert (len(smsc.binds), carrier.window, carrier.unreachable) == (0, 0, "")
            rights.give()
            await until(lambda: carrier.window > 0, clock)


async def test_already_bound_is_tried_again_until_the_old_one_is_gone(clock):
    async with fake_smsc(clock) as smsc:
        smsc.bind_status = CommandStatus.ESME_RALYBND
        carrier = SmppCarrier("acme", an_smsc(smsc), clock, SeededIds())
        async with running(carrier):
            await clock.advance(60)
            assert 3 <= len(smsc.binds) <= 12
            smsc.bind_status = 0
            await until(lambda: carrier.window > 0, clock, seconds=120)


async def test_an_smsc_that_hangs_up_at_once_is_not_hammered(clock):
    async with fake_smsc(clock) as smsc:
        smsc.bind_status = CommandStatus.ESME_RSYSERR
        carrier = SmppCarrier("acme", an_smsc(smsc, backoff=Backoff(shortest_s=1, longest_s=60)), clock, SeededIds())
        async with running(carrier):
            await clock.advance(600)
    assert len(smsc.binds) < 40


@pytest.mark.parametrize("fault_count", range(1, 40))
def test_pauses_grow_and_keep_within_bounds(fault_count):
    backoff = Backoff(shortest_s=2, longest_s=60, credentials_s=300)
    low, high = (backoff.pause_s(Trouble.PASSING, fault_count, jitter) for jitter in (0, 1))
    assert (low, high) == (2, min(60, 2 * 2 ** (fault_count - 1)))
    assert backoff.pause_s(Trouble.CREDENTIALS, fault_count, 0) == 300


async def test_several_binds_share_the_work(clock):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=1)) as smsc,
        bound_carrier(smsc, clock, modes=(BindTransceiver,) * 3, window=4) as carrier,
    ):
        assert carrier.window == 12
        for number in range(1, 13):
            carrier.submit(a_segment(number))
        await bytes_arrive()
        assert [link.unanswered for link in smsc.links] == [4, 4, 4]
        assert len(await outcomes_of(carrier, clock, 12)) == 12


async def test_when_one_of_two_binds_goes_the_other_goes_on(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, modes=(BindTransceiver,) * 2) as carrier:
        smsc.links[0].transport.abort()
        await bytes_arrive()
        assert carrier.window == 10
        carrier.submit(a_segment())
        assert isinstance((await outcomes_of(carrier, clock))[0], Accepted)


@pytest.mark.parametrize("trouble", ["unbinds", "congested", "not bound"])
async def test_what_one_bind_has_not_answered_takes_no_room_from_the_others(clock, trouble):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=None)) as smsc,
        bound_carrier(smsc, clock, modes=(BindTransceiver,) * 2, window=4) as carrier,
    ):
        for number in range(1, 8):
            carrier.submit(a_segment(number))
        await bytes_arrive()
        if trouble == "unbinds":
            smsc.links[0].unbind()
            await bytes_arrive()
            assert carrier.window in (7, 8), "of the two, one has three unanswered and one four"
        else:
            play = Play(tlvs=(Tlv.octet(Tag.CONGESTION_STATE, 95),)) if trouble == "congested" else refused(0x04)
            smsc.script = lambda _: play
            smsc.ignores_unbinds = True
            carrier.submit(a_segment(8))
            await outcomes_of(carrier, clock)
            assert carrier.window == 7, "three are unanswered there, and the other takes four"
        for link in [*smsc.links]:
            link.transport.abort()
        await bytes_arrive()


async def test_an_smsc_that_says_that_the_bind_is_none_and_then_nothing_is_bound_to_again_soon(clock):
    plays = iter([refused(CommandStatus.ESME_RINVBNDSTS)])
    async with fake_smsc(clock, lambda _: next(plays, delivered())) as smsc, bound_carrier(smsc, clock) as carrier:
        smsc.ignores_unbinds = True
        carrier.submit(a_segment())
        await outcomes_of(carrier, clock)
        await clock.advance(12)
        assert len(smsc.binds) == 2
        smsc.ignores_unbinds = False


# ---- receipts (2.3, 2.4)


async def final_of(clock, play, profile=None, *, seconds=30, **changes):
    """What an SMS comes to, given what the SMSC does with it."""
    async with gateway(clock, lambda _: play, **changes, **({} if profile is None else {"profile": profile})) as (
        f,
        smsc,
    ):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        sms = await ended(f, plan, seconds=seconds)
        await clock.advance(1)
        assert await f.status(plan) is sms.status, "a final status never changes"
    assert smsc.acknowledged
    assert {status for _, status in smsc.acknowledged} == {0}
    return sms


def says(stat, message_id=None, after_s=0.1, **fields):
    return after_s, lambda own, submitted: receipt(own if message_id is None else message_id, submitted, stat, **fields)


@pytest.mark.parametrize(
    ("stat", "status"),
    [
        ("DELIVRD", Status.SUC_FIN),
        ("EXPIRED", Status.TIMEOUT),
        ("DELETED", Status.FAILED_FIN),
        ("UNDELIV", Status.FAILED_FIN),
        ("REJECTD", Status.FAILED_FIN),
        ("SKIPPED", Status.FAILED_FIN),
        ("delivrd", Status.SUC_FIN),
    ],
)
async def test_each_final_state_has_its_status(clock, stat, status):
    assert (await final_of(clock, Play(receipts=[says(stat)]))).status is status


async def test_the_carrier_s_error_is_told(clock):
    sms = await final_of(clock, Play(receipts=[says("UNDELIV", err="027")]))
    assert sms.reason.startswith("message_state:UNDELIVERABLE [00000005] (Final) (")
    assert sms.reason.endswith("err:027")


async def test_a_receipt_before_the_answer_is_matched(clock):
    play = Play(answer_after_s=2, receipts=[says("DELIVRD", after_s=0.5)])
    assert (await final_of(clock, play)).status is Status.SUC_FIN


@pytest.mark.parametrize("message_id", [b"90001", b"x-90001"])
@pytest.mark.parametrize("base", [IdBase.UNKNOWN, IdBase.DECIMAL])
async def test_of_sms_with_one_id_a_receipt_means_the_one_to_its_phone(clock, message_id, base):
    submissions = {}

    def script(submitted):
        submissions[submitted.destination_addr] = submitted
        return Play(message_id=message_id)

    profile = Profile(answered_ids=base, receipt_ids=base)
    async with gateway(clock, script, profile=profile) as (f, smsc):
        plan = a_plan(a_planned_sms("+4917600000001"), a_planned_sms("+4917600000002"))
        await f.add(plan)
        await until(lambda: len(submissions) == 2, clock)
        hers = receipt(message_id, submissions[b"4917600000001"], "UNDELIV")
        smsc.send(hers)
        assert (await ended(f, plan)).status is Status.FAILED_FIN
        smsc.send(hers)
        await clock.advance(2)
        assert (await f.sms(plan, 1)).finished_at is None, "a receipt that comes twice is for nobody else"
        smsc.send(receipt(message_id, submissions[b"4917600000002"]))
        assert (await ended(f, plan, index=1)).status is Status.SUC_FIN


async def test_a_receipt_before_the_answer_is_not_for_whoever_has_its_id_already(clock):
    answer_after_s = {b"4917600000001": 0.0, b"4917600000002": 5.0}
    submissions = {}

    def script(submitted):
        submissions[submitted.destination_addr] = submitted
        return Play(message_id=b"X1", answer_after_s=answer_after_s[submitted.destination_addr])

    async with gateway(clock, script) as (f, smsc):
        plan = a_plan(a_planned_sms("+4917600000001"), a_planned_sms("+4917600000002"))
        await f.add(plan)
        await until(lambda: len(submissions) == 2, clock)
        await clock.advance(1)
        smsc.send(receipt(b"X1", submissions[b"4917600000002"]))
        assert (await ended(f, plan, index=1)).status is Status.SUC_FIN
        assert (await f.sms(plan, 0)).process_status is ProcessStatus.RUNNING


async def test_double_and_contradictory_receipts_change_nothing(clock):
    play = Play(receipts=[says("DELIVRD"), says("DELIVRD"), says("UNDELIV", after_s=0.5)])
    assert (await final_of(clock, play)).status is Status.SUC_FIN


async def test_states_on_the_way_are_not_the_end(clock):
    play = Play(receipts=[says("ENROUTE"), says("ACCEPTD", after_s=1), says("DELIVRD", after_s=5)])
    assert (await final_of(clock, play)).status is Status.SUC_FIN


@pytest.mark.parametrize("stat", ["UNDELIV", "DELIVRD", "EXPIRED", "ACCEPTD"])
async def test_an_intermediate_notification_is_never_the_end(clock, stat):  # SMPP 3.4, 5.2.12; smpp.md, 2.3
    play = Play(receipts=[says(stat, esm_class=0x20), says("DELIVRD", after_s=5)])
    async with gateway(clock, lambda _: play, profile=Profile(accepted_is_final=True)) as (f, smsc):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await until(lambda: len(smsc.acknowledged) == 1, clock)
        await clock.advance(1)
        sms = await f.sms(plan)
        assert (sms.process_status, sms.status) == (ProcessStatus.RUNNING, Status.NONE)
        assert "(Intermediate)" in sms.reason
        assert (await ended(f, plan)).status is Status.SUC_FIN


async def test_an_accepted_that_is_all_that_ever_comes_ends_as_accepted(clock):
    sms = await final_of(clock, Play(receipts=[says("ACCEPTD")]), Profile(accepted_is_final=True))
    assert sms.status is Status.SUC_ACC
    assert sms.reason.startswith("message_state:ACCEPTED [00000006] (Final)")


@pytest.mark.parametrize(
    ("answered", "receipted"),
    [
        (b"2748", b"abc"),
        (b"2748", b"ABC"),
        (b"abc", b"2748"),
        (b"0000002748", b"2748"),
        (b"2748", b"0000002748"),
        (b"00000ABC", b"2748"),
        (b"5f4dcc3b-5aa7-4d61-8327-deb882cf9900", b"5F4DCC3B-5AA7-4D61-8327-DEB882CF9900"),
        (b"5f4dcc3b-5aa7-4d61-8327-deb882cf9900", b"5F4DCC3B5AA74D618327DEB882CF9900"),
        (b"5f4dcc3b5aa74d618327deb882cf9900", b"5F4DCC3B-5AA7-4D61-8327-DEB882CF9900"),
        (b"x-1", b"x-1"),
    ],
)
async def test_ids_are_recognized_however_they_are_spelt(clock, answered, receipted):
    play = Play(message_id=answered, receipts=[says("DELIVRD", receipted)])
    assert (await final_of(clock, play)).status is Status.SUC_FIN


async def test_ids_of_declared_bases_are_recognized(clock):
    profile = Profile(answered_ids=IdBase.HEXADECIMAL, receipt_ids=IdBase.DECIMAL)
    play = Play(message_id=b"00ABC", receipts=[says("DELIVRD", b"0000002748")])
    assert (await final_of(clock, play, profile)).status is Status.SUC_FIN


async def test_ids_spelt_otherwise_are_recognized_before_the_answer_as_well(clock):
    play = Play(message_id=b"2748", answer_after_s=2, receipts=[says("DELIVRD", b"ABC", after_s=0.5)])
    assert (await final_of(clock, play)).status is Status.SUC_FIN


async def test_a_number_that_is_another_message_s_in_the_other_base_is_told_apart_by_its_phone(clock):
    ids = {b"49176000010": b"10", b"49176000016": b"16"}

    def script(submitted):
        return Play(message_id=ids[submitted.destination_addr])

    async with gateway(clock, script) as (f, smsc):
        plan = a_plan(a_planned_sms("+49176000010"), a_planned_sms("+49176000016"))
        await f.add(plan)
        await until(lambda: len(smsc.taken) == 2, clock)
        # "10" in hexadecimal is 16: this SMSC means the second one.
        smsc.send(receipt(b"10", smsc.taken[b"16"]))
        assert (await ended(f, plan, index=1)).status is Status.SUC_FIN
        assert (await f.sms(plan, 0)).finished_at is None


@pytest.mark.parametrize(
    "fields",
    [
        {"short_message": "id:1000 stat:DELIVRD".encode("utf-16-be"), "data_coding": 8},
        {"short_message": b"id:1000 stat:DELIVRD done date:260301120000 err:abcd Text:no  sub"},
        {
            "short_message": b"",
            "tlvs": (Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1000\0"), Tlv.octet(Tag.MESSAGE_STATE, 2), Tlv(0x1401, b"?")),
        },
        {"short_message": b"", "tlvs": (Tlv(Tag.MESSAGE_PAYLOAD, b"id:1000 stat:DELIVRD err:000"),)},
        {"esm_class": 0, "tlvs": (Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1000"),)},
        {"esm_class": 0},
    ],
    ids=["ucs-2", "odd fields", "parameters only", "payload", "no class, id", "no class, text"],
)
async def test_receipts_are_read_in_every_dress(clock, fields):
    assert (await final_of(clock, Play(receipts=[says("DELIVRD", **fields)]))).status is Status.SUC_FIN


async def test_a_receipt_s_addresses_need_not_be_swapped(clock):
    unswapped = {"source_addr": b"12345", "destination_addr": b"4917612345678"}
    for message_id in (None, b"3E8"):  # 1000, as sent and in the other base
        play = Play(receipts=[says("DELIVRD", message_id, **unswapped)])
        assert (await final_of(clock, play)).status is Status.SUC_FIN


async def test_a_receipt_may_be_a_data_sm(clock):
    def made(message_id, submitted):
        state = Tlv.octet(Tag.MESSAGE_STATE, 2)
        return DataSm(esm_class=0x04, tlvs=(Tlv(Tag.RECEIPTED_MESSAGE_ID, message_id + b"\0"), state))

    assert (await final_of(clock, Play(receipts=[(0.1, made)]))).status is Status.SUC_FIN


async def test_receipts_come_over_whichever_bind(clock):
    assert (await final_of(clock, delivered(), modes=PAIR)).status is Status.SUC_FIN
    assert (await final_of(clock, delivered(), modes=(BindTransceiver,) * 2)).status is Status.SUC_FIN


async def test_a_phone_that_writes_like_a_receipt_changes_no_other_phone_s_status(clock):
    async with gateway(clock, lambda _: Play()) as (f, smsc):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await until(lambda: len(smsc.taken) == 1, clock)
        forged = DeliverSm(source_addr=b"4915555555555", short_message=b"id:1000 stat:DELIVRD")
        smsc.send(forged)
        await clock.advance(5)
        assert (await f.sms(plan)).finished_at is None


@pytest.mark.parametrize("unflagged", [True, False])
@pytest.mark.parametrize("esm_class", [0x00, 0x04])
@pytest.mark.parametrize("tlvs", [(), (Tlv(Tag.RECEIPTED_MESSAGE_ID, b"77\0"),)])
async def test_only_what_merely_reads_like_a_receipt_may_be_a_phone_s(clock, unflagged, esm_class, tlvs):
    profile = Profile(unflagged_receipts=unflagged)
    async with gateway(clock, lambda _: Play(), profile=profile) as (f, smsc):
        text = b"id:77 stat:DELIVRD"
        pdu = DeliverSm(
            source_addr_ton=1, source_addr=b"4915555555555", short_message=text, esm_class=esm_class, tlvs=tlvs
        )
        smsc.send(pdu)
        await clock.advance(1)
        found = await f.store.inner.lookalikes(clock.now(), 10)
        may_be = not unflagged and not esm_class and not tlvs
        assert [(each.part.src, each.part.octets) for each in found] == ([("+4915555555555", text)] if may_be else [])


async def test_receipts_that_can_not_be_read_end_in_status_err(clock):
    policy = RetryPolicy(receipt_grace_s=60, throttle_wait_s=None)
    async with gateway(clock, lambda _: Play(receipts=[says("GOBBLEDYGOOK")]), policy=policy) as (f, _):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        sms = await ended(f, plan, seconds=400)
    assert sms.status is Status.STATUS_ERR
    assert "stat:GOBBLEDYGOOK" in sms.reason


async def test_without_a_message_id_what_was_taken_is_done_if_no_receipt_was_asked_for(clock):  # smpp.md, 2.2
    async with gateway(clock, lambda _: Play(message_id=b"")) as (f, _):
        plan = a_plan(a_planned_sms(), receipts=False)
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.SUC_ACC


async def test_without_a_message_id_a_receipt_asked_for_ends_in_status_err_after_its_time(clock):  # smpp.md, 2.2
    policy = RetryPolicy(receipt_grace_s=60, throttle_wait_s=None)
    play = Play(message_id=b"", receipts=[says("DELIVRD", b"77")])
    async with gateway(clock, lambda _: play, policy=policy) as (f, smsc):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        await clock.advance(10)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
        assert smsc.acknowledged == [(b"", 0)], "a receipt is never refused for want of its message"
        sms = await ended(f, plan, seconds=400)
    assert (sms.status, (sms.finished_at - after(360)).total_seconds() < 2) == (Status.STATUS_ERR, True)
    assert "no message id" in sms.reason


async def test_a_receipt_is_acknowledged_only_when_it_is_stored(clock):
    async with gateway(clock) as (f, smsc):
        f.store.away = ("record_receipts",)
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await clock.advance(10)
        assert smsc.acknowledged == []
        f.store.away = ()
        assert (await ended(f, plan)).status is Status.SUC_FIN
        await clock.advance(0.1)
        assert [status for _, status in smsc.acknowledged] == [0]


async def test_what_can_not_be_stored_for_long_is_to_come_again(clock):
    async with gateway(clock) as (f, smsc):
        f.store.away = ("record_receipts",)
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await clock.advance(HELD_S + 2)
        assert [status for _, status in smsc.acknowledged] == [CommandStatus.ESME_RX_T_APPN]
        f.store.away = ()
        assert (await ended(f, plan)).status is Status.SUC_FIN


async def test_a_burst_of_receipts_is_acknowledged_whole(clock):
    async with gateway(clock, unacknowledged=20, full_s=20) as (f, smsc):
        f.store.away = ("record_receipts",)
        for number in range(500):
            smsc.send(DeliverSm(source_addr=b"491761234", esm_class=0x04, short_message=b"id:%d stat:DELIVRD" % number))
        await clock.advance(5)
        plan = a_plan(a_planned_sms())
        await f.add(plan)  # Its answer may have to wait behind them.
        await clock.advance(5)
        assert smsc.acknowledged == []
        f.store.away = ()
        await until(lambda: len(smsc.acknowledged) >= 500, clock, seconds=10)
        assert {status for _, status in smsc.acknowledged} == {ROK}
        assert (await ended(f, plan)).status is Status.SUC_FIN
    assert len(smsc.submitted) == 1


async def test_an_answer_behind_what_is_not_read_is_not_missing(clock):
    async with gateway(clock, lambda _: Play(answer_after_s=None), unacknowledged=20, response_timeout_s=5) as (
        f,
        smsc,
    ):
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await until(lambda: smsc.submitted, clock)
        f.store.away = ("record_receipts",)
        link = smsc.links[0]
        flood = [encode(DeliverSm(esm_class=0x04, short_message=b"id:%d" % n), 1000 + n) for n in range(21)]
        link.transport.write(b"".join(flood))
        await bytes_arrive()
        link.session.acknowledge(*link.session._unacknowledged, ROK, SubmitSmResp(b"m1"))
        link.flush()
        await clock.advance(15)
        assert (await f.sms(plan)).process_status is ProcessStatus.OPEN
        f.store.away = ()
        await until(lambda: not f.carrier._slots[0].link.submissions, clock)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
    assert len(smsc.submitted) == 1


async def test_receipts_that_were_not_acknowledged_come_after_the_next_bind(clock):
    async with gateway(clock) as (f, smsc):
        f.store.away = ("record_receipts",)
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        await clock.advance(1)
        smsc.links[0].transport.abort()
        await clock.advance(3)
        f.store.away = ()
        assert (await ended(f, plan)).status is Status.SUC_FIN
        await clock.advance(1)
        assert [status for _, status in smsc.acknowledged] == [0]


# ---- asking and calling back (2.2, 2.5)


OVERDUE = RetryPolicy(receipt_grace_s=60, throttle_wait_s=None)
ASKS = Profile(query_sm=True)
RECALLS = Profile(cancel_sm=True)


@pytest.mark.parametrize(
    ("state", "status"),
    [(2, Status.SUC_FIN), (3, Status.TIMEOUT), (5, Status.FAILED_FIN), (1, Status.STATUS_ERR), (99, Status.STATUS_ERR)],
)
async def test_the_smsc_is_asked_once_what_became_of_an_sms_whose_receipt_is_overdue(clock, state, status):
    async with gateway(clock, lambda _: Play(message_id=b"0A1"), policy=OVERDUE, profile=ASKS) as (f, smsc):
        smsc.states[b"0A1"] = state
        plan = a_plan(a_planned_sms(expires=after(300)), src="Helio")
        await f.add(plan)
        await clock.advance(355)
        assert smsc.queried == []
        sms = await ended(f, plan, seconds=100)
    assert sms.status is status
    assert "query_sm" in sms.reason
    [asked] = smsc.queried
    assert (asked.message_id, asked.source_addr, asked.source_addr_ton) == (b"0A1", b"Helio", 5)


async def test_an_smsc_that_knows_nothing_of_it_leaves_it_a_timeout(clock):
    async with gateway(clock, lambda _: Play(), policy=OVERDUE, profile=ASKS) as (f, smsc):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        assert (await ended(f, plan, seconds=500)).status is Status.TIMEOUT
    assert len(smsc.queried) == 1


async def test_an_smsc_out_of_reach_is_asked_when_it_is_back(clock):
    async with gateway(clock, lambda _: Play(message_id=b"77"), policy=OVERDUE, profile=ASKS) as (f, smsc):
        smsc.states[b"77"] = 2
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        await clock.advance(10)
        port = smsc.port
        await smsc.stop()
        await clock.advance(420)
        assert (await f.sms(plan)).finished_at is None
        await smsc.start(port=port)
        assert (await ended(f, plan, seconds=200)).status is Status.SUC_FIN


async def test_and_is_not_waited_for_for_ever(clock):
    async with gateway(clock, lambda _: Play(), policy=OVERDUE, profile=ASKS) as (f, smsc):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        await clock.advance(10)
        await smsc.stop()
        sms = await ended(f, plan, seconds=1200)
        assert (sms.status, sms.finished_at < after(360 + 600 + 90)) == (Status.TIMEOUT, True)


async def test_what_goes_once_more_without_an_option_counts_for_the_rate(clock):
    def refuses_priority(submitted):
        return refused(CommandStatus.ESME_RINVPRTFLG) if submitted.priority_flag else delivered()

    async with gateway(clock, refuses_priority, pacer=Pacer(10)) as (f, smsc):
        await f.add(a_plan(*(a_planned_sms(f"+436601234{number:03}") for number in range(40)), qos=Qos.EXPRESS))
        await f.clock.advance(1)
        for _ in range(3):
            before = len(smsc.submitted)
            await f.clock.advance(1)
            assert 8 <= len(smsc.submitted) - before <= 12
        await f.clock.advance(10)
        assert [submitted.priority_flag for submitted in smsc.submitted].count(0) == 40


async def test_without_query_sm_in_the_profile_nobody_is_asked(clock):
    async with gateway(clock, lambda _: Play(), policy=OVERDUE) as (f, smsc):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        assert (await ended(f, plan, seconds=400)).status is Status.TIMEOUT
    assert smsc.queried == []


async def test_what_is_asked_takes_a_small_part_of_the_window_and_gets_its_turn(clock):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=5)) as smsc,
        bound_carrier(smsc, clock, profile=ASKS, window=20) as carrier,
    ):
        for number in range(100):
            assert carrier.ask(a_segment(number + 1), f"{number}")
        assert carrier.window == 18
        await until(lambda: len(smsc.queried) == 100, clock)
        assert carrier.window == 20


def a_part_that_is_refused(number):
    def script(submitted):
        return refused(CommandStatus.ESME_RINVESMCLASS) if submitted.short_message[5] == number else Play()

    return script


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_of_an_sms_with_a_part_that_is_refused_the_others_are_not_sent_or_called_back(clock, number):
    profile = Profile(cancel_sm=True)
    async with gateway(clock, a_part_that_is_refused(number), profile=profile) as (f, smsc):
        plan = a_plan(a_planned_sms(parts=3), src="Helio")
        await f.add(plan)
        sms = await ended(f, plan)
        await clock.advance(1)
    assert sms.status is Status.NOT_ACC_FIN
    assert {each.message_id for each in smsc.cancelled} == set(smsc.taken)
    assert all(each.source_addr == b"Helio" for each in smsc.cancelled)


async def test_of_a_long_sms_that_failed_nothing_more_is_sent(clock):
    async with gateway(clock, a_part_that_is_refused(2), window=1) as (f, smsc):
        plan = a_plan(a_planned_sms(parts=4))
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.NOT_ACC_FIN
        await clock.advance(60)
    assert [each.short_message[5] for each in smsc.submitted] == [1, 2]
    assert smsc.cancelled == [], "the profile doesn't say that it can"


@pytest.mark.parametrize(
    ("status", "recalled"),
    [
        (ROK, [Recalled("0a1", True)]),
        (CommandStatus.ESME_RCANCELFAIL, [Recalled("0a1", False)]),
        (CommandStatus.ESME_RINVCMDID, [Recalled("0a1", False)]),
        (CommandStatus.ESME_RTHROTTLED, []),
        (CommandStatus.ESME_RSYSERR, []),
    ],
)
async def test_what_it_says_of_what_it_is_to_drop_is_told_unless_it_may_say_something_else_later(
    clock, status, recalled
):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, profile=RECALLS) as carrier:
        smsc.cancel_status = status
        assert carrier.cancel("0a1", "Helio")
        await until(lambda: smsc.cancelled, clock)
        assert [(each.message_id, each.source_addr) for each in smsc.cancelled] == [(b"0a1", b"Helio")]
        smsc.cancel_status = ROK
        assert carrier.cancel("last", "Helio")
        answers = []
        while Recalled("last", True) not in answers:
            answers += await asyncio.wait_for(carrier.recalled(), 60)
        assert answers == [*recalled, Recalled("last", True)]


async def test_as_much_can_wait_to_be_dropped_as_can_be_under_way(clock):
    async with (
        fake_smsc(clock) as smsc,
        bound_carrier(smsc, clock, profile=RECALLS, window=20) as carrier,
    ):
        smsc.is_mute = True
        rooms = []
        for number in range(4):
            rooms.append(carrier.recall_room)
            assert carrier.cancel(f"{number}", "Helio")
        assert (rooms, carrier.recall_room) == ([2, 2, 2, 1], 0)
        assert carrier.cancel("3", "Helio"), "it waits already"
        await smsc.stop()
        await until(lambda: carrier.window == 0, clock)
        assert carrier.recall_room == 0


async def test_what_is_to_be_dropped_goes_when_the_window_has_room_again(clock):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=5)) as smsc,
        bound_carrier(smsc, clock, profile=RECALLS, window=2) as carrier,
    ):
        for number in range(2):
            carrier.submit(a_segment(number + 1))
        assert carrier.cancel("0a1", "Helio")
        await clock.advance(4)
        assert smsc.cancelled == []
        await clock.advance(2)
        assert [each.message_id for each in smsc.cancelled] == [b"0a1"]


# ---- what is learnt


async def test_how_ids_are_written_is_learnt_and_then_believed_without_the_phone(clock):
    numbers_by_dst = {}

    def script(submitted):
        number = 0xABC00 + len(numbers_by_dst)
        numbers_by_dst[submitted.destination_addr] = number
        return Play(message_id=b"%X" % number, receipts=[says("DELIVRD", b"%d" % number)])

    def other_phone(submitted):
        made = says("DELIVRD", b"703710", source_addr=b"4915555555555")
        return Play(message_id=b"%X" % 703710, receipts=[made])

    async with gateway(clock, script) as (f, smsc):
        plan = a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(12)))
        await f.add(plan)
        for index in range(12):
            assert (await ended(f, plan, index=index)).status is Status.SUC_FIN
        smsc.script = other_phone
        plan = a_plan(a_planned_sms())
        await f.add(plan)
        assert (await ended(f, plan)).status is Status.SUC_FIN


# ---- SMS from phones


MO = DeliverSm(
    source_addr_ton=1, source_addr=b"491761234", destination_addr=b"12345", short_message=b"Hi", data_coding=3
)


async def test_an_sms_from_a_phone_is_refused_for_good_while_nobody_takes_it(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock):
        smsc.send(MO)
        await until(lambda: smsc.acknowledged, clock)
    assert smsc.acknowledged == [(b"", CommandStatus.ESME_RX_R_APPN)]


async def test_a_phone_that_acknowledges_an_sms_has_written_none(clock):  # SMPP 3.4, 5.2.12
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, takes_inbound=True) as carrier:
        smsc.send(replace(MO, esm_class=0x08))
        await until(lambda: smsc.acknowledged, clock)
        smsc.send(replace(MO, esm_class=0x10, short_message=b"By hand"))
        async with carrier.inbound() as inbound:
            assert [each.octets for each in inbound] == [b"By hand"]
        await bytes_arrive()
    assert smsc.acknowledged == [(b"", 0), (b"", 0)]


async def test_an_sms_from_a_phone_is_acknowledged_when_its_taker_is_done(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock, takes_inbound=True) as carrier:
        smsc.send(MO)
        async with carrier.inbound() as [inbound]:
            await clock.advance(1)
            assert smsc.acknowledged == []
        await bytes_arrive()
        assert smsc.acknowledged == [(b"", 0)]
        assert (inbound.src, inbound.dst, inbound.octets) == ("+491761234", "12345", b"Hi")
        assert (inbound.alphabet, inbound.parts) == (Alphabet.LATIN_1, 1)


@pytest.mark.parametrize(
    ("data_coding", "alphabet"),
    [
        (0, Alphabet.GSM),
        (1, Alphabet.LATIN_1),
        (4, Alphabet.OCTETS),
        (5, Alphabet.JAPANESE),
        (6, Alphabet.CYRILLIC),
        (7, Alphabet.HEBREW),
        (8, Alphabet.UTF_16),
        (9, Alphabet.OCTETS),
        (14, Alphabet.KOREAN),
        (0x10, Alphabet.GSM),
        (0x18, Alphabet.UTF_16),
        (0xC8, Alphabet.GSM),  # A message is waiting: TS 23.038, 4.
        (0xD0, Alphabet.GSM),
        (0xE0, Alphabet.UTF_16),
        (0xF0, Alphabet.GSM),
        (0xF4, Alphabet.OCTETS),
    ],
)
def test_the_alphabet_of_an_sms_from_a_phone_follows_from_its_coding(data_coding, alphabet):  # SMPP 3.4, 5.2.19
    assert inbound_of(Profile(), replace(MO, data_coding=data_coding), NOW).alphabet is alphabet


@pytest.mark.parametrize(
    ("ton", "src", "national"), [(0, "4422071234", False), (1, "+4422071234", False), (2, "4422071234", True)]
)
def test_what_the_carrier_says_of_a_phone_s_number_is_kept(ton, src, national):  # SMPP 3.4, 5.2.5
    pdu = replace(MO, source_addr=b"4422071234", source_addr_ton=ton, dest_addr_ton=2)
    inbound = inbound_of(Profile(), pdu, NOW)
    assert (inbound.src, inbound.src_national, inbound.dst_national) == (src, national, True)


def test_parts_of_an_sms_from_a_phone_are_known_by_parameters_as_well():  # SMPP 3.4, 5.3.2.22
    tlvs = (
        Tlv.octets_2(Tag.SAR_MSG_REF_NUM, 7),
        Tlv.octet(Tag.SAR_TOTAL_SEGMENTS, 3),
        Tlv.octet(Tag.SAR_SEGMENT_SEQNUM, 2),
    )
    inbound = inbound_of(Profile(), replace(MO, tlvs=tlvs), NOW)
    assert (inbound.reference, inbound.part, inbound.parts) == (7, 2, 3)


# ---- encryption, addresses


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def serving(authority, *names, client_authority=None):
    context = tls_library.SSLContext(tls_library.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if client_authority is not None:
        client_authority.configure_trust(context)
        context.verify_mode = tls_library.CERT_REQUIRED
    return context


def pem(blob, path):
    blob.write_to_path(path)
    return path


async def test_it_speaks_tls_and_shows_its_certificate(clock, authority, tmp_path):
    ca_file = pem(authority.cert_pem, tmp_path / "ca.pem")
    client = authority.issue_cert("helio@heliograph.example")
    tls = Tls(
        ca_file=ca_file,
        server_name="smsc.example",
        certificate=pem(client.cert_chain_pems[0], tmp_path / "client.pem"),
        key=pem(client.private_key_pem, tmp_path / "client.key"),
    )
    context = serving(authority, "smsc.example", client_authority=authority)
    async with fake_smsc(clock, ssl=context) as smsc, bound_carrier(smsc, clock, tls=tls) as carrier:
        carrier.submit(a_segment())
        assert isinstance((await outcomes_of(carrier, clock))[0], Accepted)


@pytest.mark.parametrize(
    ("names", "trusted", "words"),
    [
        (["127.0.0.1"], False, "not one that we trust"),
        (["other.example"], True, "not one that we trust"),
    ],
)
async def test_a_certificate_that_is_not_good_ends_it(clock, authority, tmp_path, names, trusted, words):
    ca_file = pem((authority if trusted else trustme.CA()).cert_pem, tmp_path / "ca.pem")
    async with fake_smsc(clock, ssl=serving(authority, *names)) as smsc:
        carrier = SmppCarrier("acme", an_smsc(smsc, tls=Tls(ca_file=ca_file)), clock, SeededIds())
        async with running(carrier):
            await until(lambda: carrier.unreachable, clock)
            assert words in carrier.unreachable
    assert smsc.binds == []


async def test_the_connection_waits_for_no_full_packet_and_is_kept_alive(clock):
    async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock) as carrier:
        connection = carrier._slots[0].link._transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_it_speaks_ipv6(clock):
    async with fake_smsc(clock, host="::1") as smsc, bound_carrier(smsc, clock, host="::1") as carrier:
        carrier.submit(a_segment())
        assert isinstance((await outcomes_of(carrier, clock))[0], Accepted)


# ---- the check


async def findings(smsc, **changes):
    """Its verdicts, and all that it says."""
    checking = asyncio.ensure_future(_checked(an_smsc(smsc, **changes), smsc.clock))
    async with asyncio.timeout(60):
        while not checking.done():
            await smsc.clock.advance(0.1)
    found = checking.result()
    return [finding.verdict for finding in found], " ".join(f"{finding.text} {finding.remedy}" for finding in found)


async def _checked(to, clock):
    return [finding async for finding in check_smsc(to, clock)]


async def test_a_check_of_what_works_says_so(clock):
    async with fake_smsc(clock) as smsc:
        verdicts, text = await findings(smsc, modes=PAIR)
    assert verdicts == [Verdict.WORKS] * 10
    for words in ("bound as transmitter", "bound as receiver", "3.4", "enquire_link", "unbound"):
        assert words in text


async def test_a_check_binds_for_the_addresses_that_are_set(clock):
    profile = Profile(address_type=profiles.NumberType(ton=1, npi=9), address_range="^49")
    async with fake_smsc(clock) as smsc:
        await findings(smsc, modes=PAIR, profile=profile)
    assert {(bind.addr_ton, bind.addr_npi, bind.address_range) for bind in smsc.binds} == {(1, 9, b"^49")}
    assert [type(bind) for bind in smsc.binds] == [*PAIR]


@pytest.mark.parametrize(
    ("fault", "changes", "verdict", "words"),
    [
        ({"password": b"other"}, {}, Verdict.REFUSED, ("ESME_RINVPASWD", "check the password")),
        ({}, {"host": "smsc.invalid"}, Verdict.NO_ANSWER, ("there is no host smsc.invalid",)),
        ({}, {"host": "smsc..example"}, Verdict.NO_ANSWER, ("no name of a host",)),
        ({"bind_status": 5}, {}, Verdict.REFUSED, ("ESME_RALYBND", "the service itself")),
        ({"closes_at_once": True}, {}, Verdict.NO_ANSWER, ("no SMSC",)),
        ({"is_mute": True}, {"response_timeout_s": 0.2}, Verdict.NO_ANSWER, ("no answer to the bind", "check host")),
        ({}, {"tls": Tls()}, Verdict.REFUSED, ("the encryption with", "check port and tls")),
        (
            {"is_mute": True},
            {"tls": Tls(), "connect_timeout_s": 2.5},
            Verdict.NO_ANSWER,
            ("took the connection, and said nothing to our TLS within 2 s", "check port and tls"),
        ),
        ({}, {"port": 1}, Verdict.NO_ANSWER, ("nobody listens", "check host and port")),
        (
            {"interface_version": None},
            {"profile": Profile(concatenation=Concatenation.SAR)},
            Verdict.DOUBTFUL,
            ("TLVs", 'concatenation = "sar" may not work'),
        ),
    ],
    ids=[
        "password",
        "host",
        "no name",
        "already bound",
        "hangs up",
        "mute",
        "no TLS",
        "mute at TLS",
        "nobody",
        "no TLVs",
    ],
)
async def test_a_check_says_what_to_change(clock, fault, changes, verdict, words):
    async with fake_smsc(clock) as smsc:
        for name, value in fault.items():
            setattr(smsc, name, value)
        verdicts, text = await findings(smsc, **changes)
    assert verdict in verdicts
    for each in words:
        assert each in text


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        (CommandStatus.ESME_RQUERYFAIL, Verdict.WORKS, ("the SMSC answers query_sm",)),
        (CommandStatus.ESME_RINVMSGID, Verdict.WORKS, ("the SMSC answers query_sm",)),
        (CommandStatus.ESME_RINVCMDID, Verdict.DOUBTFUL, ("refuses query_sm", "set query_sm = false")),
    ],
)
async def test_a_check_tries_query_sm_where_the_profile_has_it(clock, status, verdict, words):
    async with fake_smsc(clock) as smsc:
        smsc.query_status = status
        verdicts, text = await findings(smsc, profile=ASKS, modes=PAIR)
        assert len(smsc.queried) == 1, "a receiver asks nothing"
        _, without = await findings(smsc)
    assert verdict in verdicts
    assert all(each in text for each in words)
    assert "query_sm" not in without


async def test_a_check_notices_that_enquiries_are_not_answered(clock):
    async with fake_smsc(clock) as smsc:
        smsc.mute_once_bound = True
        verdicts, text = await findings(smsc, give_up_after_s=0.2)
    assert Verdict.NO_ANSWER in verdicts
    assert "enquire_link" in text


async def test_a_check_of_an_smsc_that_talks_and_answers_no_enquiry_comes_to_an_end(clock):
    def chatter(link):
        if link in smsc.bound:
            link.give(MO)
            smsc.later(0.04, lambda: chatter(link))

    async with fake_smsc(clock) as smsc:
        smsc.ignores_enquiries = True
        smsc.after_bind = chatter
        verdicts, text = await findings(smsc, give_up_after_s=0.2, unacknowledged=5)
    assert verdicts == [Verdict.WORKS] * 3 + [Verdict.DOUBTFUL, Verdict.WORKS]
    assert "the SMSC talks, but did not answer enquire_link within 0.2 s" in text


async def test_a_check_says_that_the_smsc_wants_a_certificate_of_ours(clock, authority, tmp_path):
    tls = Tls(ca_file=pem(authority.cert_pem, tmp_path / "ca.pem"))
    async with fake_smsc(clock, ssl=serving(authority, "127.0.0.1", client_authority=authority)) as smsc:
        verdicts, text = await findings(smsc, tls=tls)
    assert verdicts == [Verdict.WORKS, Verdict.NO_ANSWER]
    assert "tls_certificate" in text  # Whether the SMSC said so, or closed the connection first.


def test_an_smsc_that_says_that_it_wants_a_certificate_is_believed():
    said = "the connection broke: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"
    assert no_bind_answer_remedy(said, Tls()).startswith("set tls_certificate and tls_key")


async def test_a_check_says_that_a_certificate_has_expired(clock, authority, tmp_path):
    context = tls_library.SSLContext(tls_library.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(context)
    async with fake_smsc(clock, ssl=context) as smsc:
        verdicts, text = await findings(smsc, tls=Tls(ca_file=pem(authority.cert_pem, tmp_path / "ca.pem")))
    assert verdicts == [Verdict.REFUSED]
    assert "a certificate that is valid today" in text
    assert "tls_ca_file" not in text


async def test_a_check_shows_addresses_as_one_writes_them(clock):
    async with fake_smsc(clock, host="::1") as smsc:
        smsc.system_id = b""
        _, text = await findings(smsc, host="::1")
    assert "connected to [::1]:" in text
    assert "the SMSC gives no name" in text


@pytest.mark.parametrize(
    ("after_bind", "words"),
    [
        (lambda link: link.unbind(), "the SMSC unbound"),
        (lambda link: link.transport.close(), "the SMSC closed the connection"),
        (lambda link: link.transport.write(b"HTTP/1.1 400 Bad Request"), "the SMSC sent what is no SMPP"),
    ],
    ids=["unbinds", "hangs up", "garbage"],
)
async def test_a_check_says_how_an_smsc_ended_the_bind_at_once(clock, after_bind, words):
    async with fake_smsc(clock) as smsc:
        smsc.after_bind = after_bind
        verdicts, text = await findings(smsc)
    assert verdicts == [Verdict.WORKS] * 3 + [Verdict.REFUSED]
    assert f"accepted the bind and ended it at once ({words}" in text
    assert "raise enquire_link_timeout" not in text


@pytest.mark.parametrize(
    ("version", "says"),
    [(0x33, "says that it speaks SMPP 3.3,"), (0x00, "doesn't say which"), (None, "doesn't say which")],
)
async def test_a_check_believes_in_no_parameters_below_smpp_3_4(clock, version, says):  # 5.2.4
    async with fake_smsc(clock) as smsc:
        smsc.interface_version = version
        verdicts, text = await findings(smsc, profile=Profile(concatenation=Concatenation.SAR))
    assert Verdict.DOUBTFUL in verdicts
    assert says in text
    assert "parameters included" not in text


async def test_what_an_smsc_says_commands_no_terminal(clock):
    async with fake_smsc(clock) as smsc:
        smsc.system_id = b"a\x1b[2J\x9b1mb"
        _, text = await findings(smsc)
    assert "the SMSC calls itself a?[2J?1mb" in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: encode(GenericNack(), 0, 0x03), ("GenericNack to the request 0", "ESME_RINVCMDID")),
        (lambda sequence: encode(BindTransceiverResp(), sequence + 7), ("BindTransceiverResp to the request 8",)),
        (lambda sequence: encode(BindReceiverResp(), sequence), ("BindReceiverResp to the request 1",)),
        (lambda sequence: encode(BindTransceiver(), sequence), ("we had to refuse", "BindTransceiver")),
        (lambda sequence: encode(GenericNack(), sequence, 0), ("a generic_nack that names no error",)),
        (lambda sequence: encode(GenericNack(), sequence, 0x03), ("refused: ESME_RINVCMDID", "transmitter+receiver")),
    ],
    ids=["nack of 0", "other sequence", "other kind", "a bind", "nack without an error", "nack"],
)
async def test_a_check_says_what_came_instead_of_an_answer_to_the_bind(clock, answer, words):
    async with fake_smsc(clock) as smsc:
        smsc.bind_answer = answer
        verdicts, text = await findings(smsc, response_timeout_s=0.2)
    assert verdicts == [Verdict.WORKS, Verdict.REFUSED]
    for each in words:
        assert each in text
    assert "ESME_ROK [00000000], No error" not in text


async def test_a_check_keeps_so_much_of_what_it_did_not_ask_for(clock, monkeypatch):
    monkeypatch.setattr(check, "MAX_STRAYS", 0)
    async with fake_smsc(clock) as smsc:
        smsc.bind_answer = lambda _: encode(GenericNack(), 0, 0x03)
        verdicts, _ = await findings(smsc, response_timeout_s=0.2)
        assert verdicts == [Verdict.WORKS, Verdict.NO_ANSWER]
        smsc.bind_answer = lambda sequence: encode(GenericNack(), 0, 0x03) + encode(BindTransceiverResp(), sequence)
        verdicts, _ = await findings(smsc)
        assert verdicts[:2] == [Verdict.WORKS] * 2, "answers are heard all the same"


# ---- the log


async def test_what_comes_with_every_sms_is_told_ten_times_and_then_each_hundredth_time(clock):
    with structlog.testing.capture_logs() as logs:
        async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock):
            for _ in range(200):
                smsc.send(MO)
                smsc.send(DeliverSm(source_addr=b"491761234", esm_class=0x04, data_coding=3, short_message=b"gone"))
            await until(lambda: len(smsc.acknowledged) == 200, clock)
    for event in ("carrier.inbound_refused", "carrier.receipt_without_id"):
        lines = [line for line in logs if line["event"] == event]
        assert [line.get("count") for line in lines] == [None] * 10 + [100, 200]
    assert {key: lines[0][key] for key in ("command", "esm_class", "data_coding", "length_octets", "parameters")} == {
        "command": "DeliverSm",
        "esm_class": "0x04",
        "data_coding": "0x03",
        "length_octets": 4,
        "parameters": "",
    }
    assert "491761234" not in str(logs)
    assert "gone" not in str(logs)


async def test_seconds_in_reasons_are_rounded(clock):
    async with (
        fake_smsc(clock, lambda _: Play(answer_after_s=None)) as smsc,
        bound_carrier(smsc, clock, response_timeout_s=5.02899) as carrier,
    ):
        carrier.submit(a_segment())
        [found] = await outcomes_of(carrier, clock)
    assert found.reason == "no answer came within 5 s"


async def test_late_answers_are_told_ten_times_and_then_each_hundredth_time(clock):
    with structlog.testing.capture_logs() as logs:
        async with gateway(clock, lambda _: Play(answer_after_s=32), response_timeout_s=30, window=120) as (f, _):
            await f.add(a_plan(*(a_planned_sms(f"+49176{number:08}") for number in range(120))))
            await clock.advance(40)
    lines = [line for line in logs if line["event"] == "dispatch.answer_late"]
    assert [line["count"] for line in lines] == [*range(1, 11), 100]
