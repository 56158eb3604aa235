"""Contract: section 4. The simulated SMSC decides by the last four digits, and behaves, or misbehaves, as told."""

from datetime import timedelta

import pytest

from heliograph.simulator.behaviour import IdFormat, Inbound, ReceiptFormat, ReceiptOrder
from heliograph.smpp.fields import Tag, Tlv, find
from heliograph.smpp.pdus import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    QuerySm,
    Unbind,
    encode,
)
from heliograph.smpp.profiles import Part, Profile, submission
from heliograph.smpp.session import LinkLost, Rejected, Unbound
from heliograph.smpp.statuses import CommandStatus
from heliograph.smpp.times import relative_time
from tests.fakes.builders import NOW
from tests.simulator.world import World, a_message, payload_of


@pytest.mark.parametrize(
    ("ending", "answer", "states"),
    [
        ("0001", "ESME_ROK", ["UNDELIVERABLE"]),
        ("0002", "ESME_ROK", ["EXPIRED"]),
        ("0003", "ESME_RX_P_APPN", []),
        ("0004", "ESME_RSYSERR", []),
        ("0005", "ESME_ROK", []),
        ("0006", "ESME_RTHROTTLED", []),
        ("1234", "ESME_ROK", ["DELIVERED"]),
    ],
)
def test_the_last_four_digits_decide(ending, answer, states):
    world = World()
    client = world.client()
    assert client.sends(f"4917612{ending}") == answer
    world.advance(3600)
    assert client.states == states


def test_0004_is_not_taken_on_any_try():
    client = World().client()
    assert {client.sends("49176120004") for _ in range(10)} == {"ESME_RSYSERR"}


def test_0006_is_throttled_twice_and_then_delivered():
    world = World()
    client = world.client()
    assert [client.sends("49176120006") for _ in range(3)] == ["ESME_RTHROTTLED", "ESME_RTHROTTLED", "ESME_ROK"]
    world.advance(1)
    assert client.states == ["DELIVERED"]


def test_of_0006_each_part_is_throttled_on_its_own_whatever_validity_is_left():
    client = World().client()
    parts = [{"esm_class": 0x40, "short_message": b"\5\0\3\7\2%c" % n + b"part"} for n in (1, 2)]
    for left_s in (3600, 3599):
        validity = relative_time(timedelta(seconds=left_s))
        for part in parts:
            assert client.sends("49176120006", validity_period=validity, **part) == "ESME_RTHROTTLED"
    assert [client.sends("49176120006", **part) for part in parts] == ["ESME_ROK", "ESME_ROK"]


def test_a_receipt_comes_after_the_delay():
    world = World(delay_s=5)
    client = world.client()
    client.sends()
    world.advance(4.9)
    assert client.receipts == []
    world.advance(0.2)
    assert client.states == ["DELIVERED"]


@pytest.mark.parametrize(
    ("registered_delivery", "states"),
    [(0, [[], []]), (1, [["DELIVERED"], ["UNDELIVERABLE"]]), (2, [[], ["UNDELIVERABLE"]]), (3, [["DELIVERED"], []])],
)
def test_only_the_receipts_that_are_asked_for_come(registered_delivery, states):  # SMPP 3.4, 5.2.17
    for dst, expected in zip(("4917612345678", "49176120001"), states, strict=True):
        world = World()
        client = world.client()
        client.sends(dst, registered_delivery=registered_delivery)
        world.advance(1)
        assert client.states == expected


def test_an_intermediate_notification_comes_halfway_if_asked_for():
    world = World(delay_s=2)
    client = world.client()
    client.sends(registered_delivery=0x11)
    world.advance(1)
    assert [receipt.intermediate for receipt in client.receipts] == [True]
    world.advance(1)
    assert client.states == ["ENROUTE", "DELIVERED"]


def test_a_validity_that_ends_first_makes_the_receipt_say_expired():
    world = World(delay_s=3600)
    client = world.client()
    client.sends(validity_period=relative_time(timedelta(minutes=5)))
    world.advance(299)
    assert client.states == []
    world.advance(2)
    assert client.states == ["EXPIRED"]


def test_a_scheduled_message_is_delivered_after_its_time():
    world = World()
    client = world.client()
    client.sends(schedule_delivery_time=relative_time(timedelta(minutes=1)))
    world.advance(60)
    assert client.states == []
    world.advance(1)
    assert client.states == ["DELIVERED"]


def test_a_data_sm_is_a_message_like_others():
    world = World()
    client = world.client()
    payload = Tlv(Tag.MESSAGE_PAYLOAD, b"Hello")
    client.asks(DataSm(destination_addr=b"49176120001", registered_delivery=1, tlvs=(payload,)))
    world.advance(1)
    assert client.states == ["UNDELIVERABLE"]
    assert client.receipts[0].text == b"Hello"


# ---- who may bind


def test_whoever_binds_is_welcome_unless_names_are_demanded():
    assert World().client(system_id=b"anybody", password=b"at all").is_bound


@pytest.mark.parametrize(
    ("system_id", "password", "refusal"),
    [
        (b"helio", b"secret", None),
        (b"other", b"secret", "ESME_RINVSYSID"),
        (b"helio", b"wrong", "ESME_RINVPASWD"),
    ],
)
def test_who_has_not_the_name_and_password_demanded_may_not_bind(system_id, password, refusal):
    world = World(system_id="helio", password="secret")
    client = world.client(system_id=system_id, password=password)
    assert client.refusal == refusal
    assert client.is_bound == (refusal is None)
    assert world.smsc.summary.binds_refused == (refusal is not None)


def test_a_receiver_may_not_submit_and_a_transmitter_gets_no_receipts():
    world = World()
    transmitter = world.client(BindTransmitter)
    transmitter.sends()
    world.advance(1)
    assert transmitter.delivered == []
    receiver = world.client(BindReceiver)
    assert receiver.states == ["DELIVERED"]
    receiver.link.receive(encode(a_message(), 77), world.now)
    assert world.smsc.summary.submissions == 1


def test_the_version_is_told_to_those_who_know_optional_parameters():  # SMPP 3.4, 4.1.2 and 5.3.2.25
    def told(version):
        world = World()
        client = world.client(lambda **fields: BindTransceiver(interface_version=version, **fields))
        return client.events[0].interface_version

    assert told(0x34) == 0x34
    assert told(0x33) is None


# ---- receipts find their way


def test_receipts_come_over_each_of_the_account_s_binds_in_turn():
    world = World()
    first, second = world.client(), world.client()
    for _ in range(4):
        first.sends()
    world.advance(1)
    assert len(first.receipts) == len(second.receipts) == 2


def test_receipts_of_another_account_never_come():
    world = World()
    mine, other = world.client(), world.client(system_id=b"other")
    mine.sends()
    world.advance(1)
    assert (len(mine.receipts), len(other.receipts)) == (1, 0)


def test_receipts_wait_for_an_account_that_is_not_bound():
    world = World()
    client = world.client()
    client.sends()
    client.unbind()
    world.advance(3600)
    assert world.smsc.summary.receipts.waiting == 1
    assert world.client().states == ["DELIVERED"]
    assert world.smsc.summary.receipts.waiting == 0


def test_of_waiting_receipts_the_oldest_are_forgotten_when_there_are_too_many():
    world = World(kept_receipts=2)
    client = world.client(BindTransmitter)
    for _ in range(3):
        client.sends()
    world.advance(1)
    assert world.client(BindReceiver).receipted_ids == client.message_ids[1:]
    assert world.smsc.summary.receipts.forgotten == 1


def test_a_receipt_that_is_not_acknowledged_is_sent_again():
    world = World(resend_after_s=10)
    client = world.client(acknowledging=None)
    client.sends()
    world.advance(10.5)
    assert client.states == ["DELIVERED"] * 2
    client.acknowledging = 0
    world.advance(10)
    assert client.states == ["DELIVERED"] * 3
    world.advance(3600)
    assert client.states == ["DELIVERED"] * 3
    assert world.smsc.summary.receipts.acknowledged == 1


def test_a_receipt_that_is_refused_for_now_comes_after_a_pause():
    world = World(resend_after_s=10)
    client = world.client(acknowledging=CommandStatus.ESME_RX_T_APPN)
    client.sends()
    world.advance(9)
    assert client.states == ["DELIVERED"]
    client.acknowledging = 0
    world.advance(3600)
    assert client.states == ["DELIVERED"] * 2


@pytest.mark.parametrize("status", [CommandStatus.ESME_RX_P_APPN, CommandStatus.ESME_RX_R_APPN])
def test_a_receipt_that_is_refused_for_good_is_forgotten(status):
    world = World()
    client = world.client(acknowledging=status)
    client.sends()
    world.advance(3600)
    assert client.states == ["DELIVERED"]
    assert world.smsc.summary.receipts.forgotten == 1


def test_a_receipt_that_nobody_ever_acknowledges_is_given_up():
    world = World(resend_after_s=1)
    client = world.client(acknowledging=CommandStatus.ESME_RSYSERR)
    client.sends()
    world.advance(3600)
    assert len(client.receipts) == 10
    assert (world.smsc.summary.receipts.forgotten, world.smsc.summary.receipts.waiting) == (1, 0)


def test_receipts_that_a_lost_connection_left_unacknowledged_come_over_the_next_in_their_order():
    world = World()
    client = world.client(acknowledging=None)
    for _ in range(3):
        client.sends()
    world.advance(1)
    client.hang_up()
    again = world.client()
    assert again.receipted_ids == client.message_ids
    assert world.smsc.summary.receipts.sent_again == 3


def test_what_is_acknowledged_in_one_breath_with_an_unbind_is_not_sent_again():
    world = World()
    client = world.client(acknowledging=None)
    client.sends()
    world.advance(1)
    [sequence] = client.link.delivering
    client.session.acknowledge(sequence)
    client.link.receive(client.session.data_to_send() + encode(Unbind(), 99), world.now)
    assert (world.smsc.summary.receipts.acknowledged, world.smsc.summary.receipts.waiting) == (1, 0)


def test_no_more_receipts_are_unacknowledged_than_the_window_allows():
    world = World(receipt_window=2)
    client = world.client(acknowledging=None)
    for _ in range(5):
        client.sends()
    world.advance(1)
    assert len(client.delivered) == 2


def test_a_message_without_a_receiver_of_receipts_can_be_asked_about():  # SMPP 3.4, 4.8
    world = World()
    client = world.client(BindTransmitter)
    client.sends("49176120001")
    [message_id] = client.message_ids
    client.asks(QuerySm(message_id))
    world.advance(1)
    client.asks(QuerySm(message_id))
    client.asks(QuerySm(b"unknown"))
    world.client(BindTransmitter, system_id=b"other").asks(QuerySm(message_id))
    enroute, undelivered, unknown = client.responses[1:]
    assert (enroute.message_state, enroute.final_date) == (1, b"")
    assert (undelivered.message_state, undelivered.final_date[-4:]) == (5, b"000+")
    assert client.answers[-1] == "ESME_RQUERYFAIL"
    assert unknown.message_id == b""
    assert world.clients[1].answers == ["ESME_RQUERYFAIL"]


def test_a_message_can_be_cancelled_until_it_is_delivered():  # SMPP 3.4, 4.9
    world = World(delay_s=10)
    client = world.client()
    client.sends()
    client.asks(CancelSm(message_id=client.message_ids[0]))
    client.asks(CancelSm(message_id=client.message_ids[0]))
    world.advance(60)
    assert client.answers[1:] == ["ESME_ROK", "ESME_RCANCELFAIL"]
    assert client.states == ["DELETED"]


# ---- how receipts and ids are written


@pytest.mark.parametrize(
    ("form", "has_text", "has_tlvs", "data_coding"),
    [
        (ReceiptFormat.TEXT, True, False, 0),
        (ReceiptFormat.TLV, False, True, 0),
        (ReceiptFormat.BOTH, True, True, 0),
        (ReceiptFormat.UCS2, True, False, 8),
    ],
)
def test_a_receipt_says_the_same_in_each_format(form, has_text, has_tlvs, data_coding):
    world = World(receipt_format=form)
    client = world.client()
    client.sends("49176120001")
    world.advance(1)
    [pdu], [receipt] = client.delivered, client.receipts
    assert receipt.message_ids == tuple(client.message_ids)
    assert receipt.state.name == "UNDELIVERABLE"
    assert bool(pdu.short_message) == has_text
    assert (find(pdu.tlvs, Tag.RECEIPTED_MESSAGE_ID) is not None) == has_tlvs
    assert (pdu.esm_class, pdu.data_coding) == (4, data_coding)
    assert (pdu.source_addr, pdu.destination_addr) == (b"49176120001", b"heliograph")
    assert (pdu.source_addr_ton, pdu.dest_addr_ton) == (1, 5)


def test_the_text_of_a_receipt_is_that_of_appendix_b():
    world = World(receipt_format=ReceiptFormat.TEXT)
    client = world.client()
    client.sends(short_message=b"Thirty characters, or so, here")
    world.advance(1)
    date = NOW.strftime("%y%m%d%H%M").encode()
    assert client.delivered[0].short_message == (
        b"id:%b sub:001 dlvrd:001 submit date:%b done date:%b stat:DELIVRD err:000 text:Thirty characters, o"
        % (client.message_ids[0], date, date)
    )


def test_a_ucs_2_receipt_that_is_too_long_for_a_short_message_is_a_payload():
    world = World(receipt_format=ReceiptFormat.UCS2, ids=IdFormat.UUID)
    client = world.client()
    client.sends(data_coding=8, short_message="Съешь ещё этих мягких булок".encode("utf-16-be"))
    world.advance(1)
    assert client.delivered[0].short_message == b""
    assert b"\0i\0d\0:" in payload_of(client.delivered[0])
    assert client.receipted_ids == client.message_ids


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        (IdFormat.DECIMAL, r"[0-9]{10}"),
        (IdFormat.HEX, r"[1-9A-F][0-9A-F]*"),
        (IdFormat.UUID, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}"),
    ],
)
def test_ids_are_written_as_told_and_none_comes_twice(form, pattern):
    import re

    world = World(ids=form)
    client = world.client()
    for _ in range(200):
        client.sends()
    assert len(set(client.message_ids)) == 200
    assert all(re.fullmatch(pattern, message_id.decode()) for message_id in client.message_ids)


def test_receipts_may_write_ids_otherwise_than_answers():
    world = World(ids=IdFormat.HEX, receipt_ids=IdFormat.DECIMAL)
    client = world.client()
    client.sends()
    world.advance(1)
    assert int(client.receipted_ids[0]) == int(client.message_ids[0], 16)


def test_another_run_gives_other_ids_unless_the_seed_is_the_same():
    def first_id(seed):
        client = World(seed=seed).client()
        client.sends()
        return client.message_ids[0]

    assert first_id(1) == first_id(1) != first_id(2)


@pytest.mark.parametrize("order", ReceiptOrder)
def test_receipts_come_in_the_order_asked_for(order):
    world = World(receipt_order=order, delay_s=1)
    client = world.client()
    for _ in range(10):
        client.sends()
        world.advance(0.05)
    world.advance(5)
    sent, came = client.message_ids, client.receipted_ids
    assert sorted(came) == sorted(sent)
    assert (came == sent) == (order is ReceiptOrder.IN_ORDER)
    assert (came == sent[::-1]) == (order is ReceiptOrder.REVERSED)


def test_receipts_of_one_instant_are_reversed_too():
    world = World(receipt_order=ReceiptOrder.REVERSED)
    client = world.client()
    for _ in range(5):
        client.session.submit(a_message(), world.now)
    world.settle()
    world.advance(1)
    assert client.receipted_ids == client.message_ids[::-1]


def test_random_receipts_come_within_twice_the_delay():
    world = World(receipt_order=ReceiptOrder.RANDOM, delay_s=1)
    client = world.client()
    for _ in range(50):
        client.sends()
    world.advance(1)
    assert 10 < len(client.receipts) < 40
    world.advance(1)
    assert len(client.receipts) == 50


# ---- inbound


def test_an_sms_from_a_phone_comes_once_to_each_account_that_can_receive():
    world = World(inbound=(Inbound("+4917612345678", "12345", "Hello"),))
    first, second, other = world.client(), world.client(), world.client(system_id=b"other")
    transmitter = world.client(BindTransmitter, system_id=b"third")
    world.advance(60)
    assert [len(client.delivered) for client in (first, second, other, transmitter)] == [1, 0, 1, 0]
    [pdu] = first.delivered
    assert (pdu.source_addr_ton, pdu.source_addr) == (1, b"4917612345678")
    assert (pdu.destination_addr, pdu.short_message, pdu.esm_class) == (b"12345", b"Hello", 0)
    assert world.smsc.summary.inbound.acknowledged == 2


def test_a_long_sms_from_a_phone_comes_in_parts_and_in_ucs_2_where_need_be():
    world = World(inbound=(Inbound("BANK", "12345", "ж" * 100),))
    parts = world.client().delivered
    assert [part.short_message[:6] for part in parts] == [b"\5\0\3\1\2\1", b"\5\0\3\1\2\2"]
    assert b"".join(part.short_message[6:] for part in parts).decode("utf-16-be") == "ж" * 100
    assert {(part.esm_class, part.data_coding, part.source_addr_ton) for part in parts} == {(0x40, 8, 5)}


# ---- limits


def test_more_than_the_rate_in_any_second_is_throttled():
    world = World(rate=3)
    first, second = world.client(), world.client()
    other = world.client(system_id=b"other")
    answers = []
    for client in (first, second, first, second):
        answers.append(client.sends())
        world.advance(0.1)
    assert answers == ["ESME_ROK"] * 3 + ["ESME_RTHROTTLED"]
    assert other.sends() == "ESME_ROK"
    world.advance(0.65)
    assert [first.sends(), first.sends()] == ["ESME_ROK", "ESME_RTHROTTLED"]


def test_more_unanswered_messages_than_the_window_are_throttled():
    world = World(max_window=2, latency_s=1)
    client = world.client()
    for _ in range(3):
        client.sends()
    assert client.answers == ["ESME_RTHROTTLED"]
    world.advance(1)
    assert client.answers == ["ESME_RTHROTTLED", "ESME_ROK", "ESME_ROK"]
    assert world.smsc.summary.throttled == 1


def test_answers_come_after_the_latency_and_may_be_overtaken_by_receipts():
    world = World(latency_s=2, delay_s=1)
    client = world.client()
    assert client.sends() is None
    world.advance(1.5)
    assert (client.answers, client.states) == ([], ["DELIVERED"])
    world.advance(0.5)
    assert client.answers == ["ESME_ROK"]


# ---- faults


def test_a_dropped_answer_s_message_is_taken_all_the_same():
    world = World(drop_answers=1)
    client = world.client(response_timeout_s=5)
    client.sends()
    world.advance(6)
    assert (client.answers, client.unanswered_count, client.states) == ([], 1, ["DELIVERED"])
    assert world.smsc.summary.answers_withheld == 1


def test_dropped_answers_fill_no_window():
    world = World(drop_answers=1, max_window=5)
    client = world.client()
    for _ in range(20):
        client.sends()
    assert client.answers == []


def test_answers_are_dropped_as_often_as_told_and_with_a_seed_the_same_ones():
    def answered(seed):
        client = World(seed=seed, drop_answers=0.3).client()
        for _ in range(200):
            client.sends()
        return [event.sequence for event in client.events[1:]]

    assert 110 < len(answered(1)) < 170
    assert answered(1) == answered(1) != answered(2)


def test_a_connection_is_closed_in_place_of_each_nth_answer():
    world = World(close_every=3)
    client = world.client()
    for _ in range(5):
        client.session.submit(a_message(), world.now)
    world.settle()
    assert client.answers == ["ESME_ROK"] * 2
    assert (client.connected, client.unanswered_count) == (False, 3)
    assert world.smsc.summary.submissions == 3
    again = world.client()
    world.advance(1)
    assert len(again.receipts) == 3
    assert [again.sends() for _ in range(2)] == ["ESME_ROK"] * 2


def test_each_tenth_answer_is_late():
    world = World(late_answers_s=5)
    client = world.client()
    for _ in range(20):
        client.sends()
    assert len(client.answers) == 18
    world.advance(5)
    assert len(client.answers) == 20


def test_receipts_come_twice_if_so_told():
    world = World(duplicate_receipts=True)
    client = world.client()
    client.sends()
    world.advance(1)
    assert client.receipted_ids == client.message_ids * 2


def test_enquiries_stay_unanswered_if_so_told():
    world = World(ignore_enquire_link=True, delay_s=25)
    client = world.client(enquire_after_s=20, give_up_after_s=10)
    client.sends()
    world.advance(29)
    assert client.states == ["DELIVERED"], "all else goes on"
    world.advance(26)
    assert any(isinstance(event, LinkLost) for event in client.events)


# ---- what no SMSC takes


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"destination_addr": b""}, "ESME_RINVDSTADR"),
        ({"destination_addr": b"not a number"}, "ESME_RINVDSTADR"),
        ({"source_addr_ton": 1}, "ESME_RINVSRCTON"),
        ({"source_addr": b"twelve chars"}, "ESME_RINVSRCADR"),
        ({"priority_flag": 9}, "ESME_RINVPRTFLG"),
        ({"validity_period": b"tomorrow"}, "ESME_RINVEXPIRY"),
        ({"schedule_delivery_time": b"tomorrow"}, "ESME_RINVSCHED"),
        ({"esm_class": 0x40, "short_message": b"\x20too short"}, "ESME_RINVESMCLASS"),
        ({"short_message": b"x" * 161}, "ESME_RINVMSGLEN"),
        ({"data_coding": 8, "short_message": b"odd"}, "ESME_RINVMSGLEN"),
        ({"data_coding": 8, "short_message": b"xx" * 71}, "ESME_RINVMSGLEN"),
        ({"tlvs": (Tlv(Tag.MESSAGE_PAYLOAD, b"twice"),)}, "ESME_ROPTPARNOTALLWD"),
    ],
)
def test_a_message_that_no_smsc_would_take_is_refused(fields, answer):
    world = World()
    assert world.client().sends(**fields) == answer
    assert world.smsc.summary.refused == 1


def test_what_our_own_profiles_send_is_taken():
    client = World().client()
    for text, parts, septets in (("a" * 160, 1, b"a" * 160), ("a" * 153, 2, b"a" * 153), ("ж" * 67, 2, None)):
        part = Part(text=text, septets=septets, src="heliograph", dst="+4917612345678", parts=parts)
        client.asks(submission(Profile(), part, NOW))
    assert client.answers == ["ESME_ROK"] * 3


# ---- ends


def test_what_is_no_smpp_ends_the_connection():
    world = World()
    client = world.client()
    client.link.receive(b"GET / HTTP/1.1\r\n\r\n", world.now)
    world.settle()
    assert client.link.closing
    assert world.client().link.room, "who comes after is served"


def test_who_does_not_bind_is_sent_away():
    world = World()
    link = world.smsc.connect(world.now)
    link.expire(world.now + 10)
    assert link.closing


def test_taking_leave_unbinds_whoever_is_bound():
    world = World()
    client, stranger = world.client(), world.smsc.connect(world.now)
    for link in (client.link, stranger):
        link.unbind(world.now)
    world.settle()
    assert any(isinstance(event, Unbound) for event in client.events)
    assert client.link.closing
    assert stranger.closing


def test_nothing_is_left_of_a_client_that_has_gone():
    world = World()
    client = world.client()
    client.sends()
    client.hang_up()
    assert world.smsc.links == set()
    assert not any(isinstance(event, Rejected) for event in client.events)
