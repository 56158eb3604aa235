"""Against an SMSC made of npm's `smpp`, with the faults that real ones have."""

import asyncio

import pytest

from heliograph.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter
from heliograph.smpp.profiles import Profile, answered_id, receipted_ids
from heliograph.smpp.receipts import Evidence, IdBase, MessageState, read_receipt
from heliograph.smpp.session import Answered, LinkLost, Requested, Unanswered, Unbound
from heliograph.smpp.statuses import CommandStatus
from tests.interop.esme import bound
from tests.interop.programs import eventually, node_smsc


@pytest.mark.parametrize("bind", [BindTransceiver, BindTransmitter, BindReceiver])
async def test_we_bind_enquire_and_unbind(bind):
    with node_smsc() as smsc:
        async with bound(smsc.port, bind, enquire_after_s=0.1, give_up_after_s=5) as esme:
            bound_event = esme.events[0]
            assert (bound_event.system_id, bound_event.interface_version) == (b"npm", 0x34)
            await smsc_gets(smsc, "enquire_link", 2)
            esme.unbind()
            await esme.until(lambda: esme.of(Unbound))
            assert esme.of(LinkLost) == []


async def smsc_gets(smsc, event, count):
    await asyncio.to_thread(eventually, lambda: len(smsc.happened(event)) >= count, event)


@pytest.mark.parametrize("how", ["text", "tlv", "data_sm", "ucs2", "early", "late", "bare", "unmarked"])
async def test_its_receipts_find_their_message(how):
    with node_smsc("--receipts", how) as smsc:
        async with bound(smsc.port) as esme:
            esme.submit()
            await esme.until(lambda: esme.of(Answered) and esme.of(Requested))
            order = [type(event) for event in esme.events if isinstance(event, Answered | Requested)]
            assert order == ([Requested, Answered] if how == "early" else [Answered, Requested])
            [answered], [pdu] = esme.of(Answered), esme.delivered
            receipt = read_receipt(pdu)
            assert receipt.state is MessageState.DELIVERED
            assert receipt.evidence is (Evidence.TEXT if how == "unmarked" else Evidence.ESM_CLASS)
            profile = Profile()
            assert receipted_ids(profile, receipt)[0] == answered_id(profile, answered.response.message_id)


@pytest.mark.parametrize(("ids", "receipt_ids"), [("hex", "decimal"), ("decimal", "hex"), ("hex", "hex")])
@pytest.mark.parametrize("declared", [True, False])
async def test_ids_in_either_base_find_their_message(ids, receipt_ids, declared):
    bases = {"hex": IdBase.HEXADECIMAL, "decimal": IdBase.DECIMAL}
    profile = Profile(answered_ids=bases[ids], receipt_ids=bases[receipt_ids]) if declared else Profile()
    with node_smsc("--ids", ids, "--receipt-ids", receipt_ids) as smsc:
        async with bound(smsc.port) as esme:
            esme.submit()
            await esme.until(lambda: esme.of(Answered) and esme.of(Requested))
            candidates = receipted_ids(profile, read_receipt(esme.delivered[0]))
            assert answered_id(profile, esme.of(Answered)[0].response.message_id) in candidates


@pytest.mark.parametrize(
    ("how", "states"),
    [
        ("double", [MessageState.DELIVERED, MessageState.DELIVERED]),
        ("contradictory", [MessageState.DELIVERED, MessageState.UNDELIVERABLE]),
    ],
)
async def test_receipts_that_come_twice_are_both_acknowledged(how, states):
    with node_smsc("--receipts", how) as smsc:
        async with bound(smsc.port) as esme:
            esme.submit()
            await esme.until(lambda: len(esme.delivered) == 2)
            assert [read_receipt(pdu).state for pdu in esme.delivered] == states
            await smsc_gets(smsc, "deliver_sm_resp", 2)


async def test_throttling_and_refusals_are_told_as_they_are():
    with node_smsc("--throttle", "2") as smsc:
        async with bound(smsc.port) as esme:
            for _ in range(3):
                esme.submit()
            await esme.until(lambda: len(esme.statuses) == 3)
            assert esme.statuses == [CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RTHROTTLED, 0]
    with node_smsc("--refuse", "0x0b") as smsc:
        async with bound(smsc.port) as esme:
            esme.submit()
            await esme.until(lambda: esme.statuses)
            assert esme.statuses == [CommandStatus.ESME_RINVDSTADR]


async def test_an_answer_that_is_late_is_told_to_be_none():
    with node_smsc("--answer-after", "60000") as smsc:
        async with bound(smsc.port, response_timeout_s=3) as esme:
            esme.submit()
            await esme.until(lambda: esme.of(Unanswered))
            assert not esme.of(Unanswered)[0].link_ended


async def test_a_connection_that_closes_leaves_its_messages_unanswered():
    with node_smsc("--close-on", "2") as smsc:
        async with bound(smsc.port) as esme:
            esme.submit()
            await esme.until(lambda: esme.statuses)
            for _ in range(2):
                esme.submit()
            await esme.until(lambda: len(esme.of(Unanswered)) == 2)
            assert all(event.link_ended for event in esme.of(Unanswered))


async def test_a_peer_that_is_deaf_is_given_up():
    with node_smsc("--deaf") as smsc:
        async with bound(smsc.port, enquire_after_s=0.1, give_up_after_s=0.2) as esme:
            await esme.until(lambda: esme.of(LinkLost))


async def test_an_inbound_sms_is_no_receipt():
    with node_smsc("--inbound", "Stop id:1 please") as smsc:
        async with bound(smsc.port) as esme:
            await esme.until(lambda: esme.delivered)
            [pdu] = esme.delivered
            assert (pdu.source_addr, pdu.short_message) == (b"4917600000001", b"Stop id:1 please")
            assert read_receipt(pdu) is None
