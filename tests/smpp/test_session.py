"""SMPP 3.4, 2.2, 2.3, 5.1.4, 7.2; smpp.md, 2.1."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.smpp.errors import LocalProtocolError, RemoteProtocolError
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import (
    ALL,
    LARGEST_SEQUENCE,
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
    encode,
)
from heliograph.smpp.session import (
    Answered,
    AnsweredLate,
    BindRefused,
    Bound,
    Inactive,
    LinkLost,
    NeverBound,
    Notified,
    Rejected,
    Requested,
    Role,
    State,
    StrayAnswer,
    Unanswered,
    Unbound,
)
from heliograph.smpp.statuses import ROK, CommandStatus
from tests.smpp.playbook import Playbook, bound_session, open_session, serving_session

HELLO = SubmitSm(destination_addr=b"4917612345678", short_message=b"Hello")
RECEIPT = DeliverSm(esm_class=4, short_message=b"id:1 stat:DELIVRD")
BIND = BindTransceiver(system_id=b"helio")


# ---- bind, 2.2 and 4.1


@pytest.mark.parametrize(
    ("bind", "response", "state"),
    [
        (BindTransmitter, BindTransmitterResp, State.BOUND_TX),
        (BindReceiver, BindReceiverResp, State.BOUND_RX),
        (BindTransceiver, BindTransceiverResp, State.BOUND_TRX),
    ],
)
def test_a_bind_accepted_opens_the_session_for_what_it_asked_for(bind, response, state):  # 2.2
    (
        Playbook(open_session())
        .binds(bind(system_id=b"helio"))
        .sends(bind(system_id=b"helio"))
        .receives(response(system_id=b"smsc", tlvs=(Tlv.octet(Tag.SC_INTERFACE_VERSION, 0x34),)))
        .emits(Bound(state, b"smsc", 0x34))
        .is_in(state)
    )


def test_a_peer_that_does_not_say_its_version_is_told_as_such():  # 4.1.2, 3.4
    Playbook(open_session()).binds(BIND).receives(BindTransceiverResp(b"smsc")).emits(
        Bound(State.BOUND_TRX, b"smsc", None)
    )


def test_a_bind_refused_leaves_the_session_open():
    status = CommandStatus.ESME_RINVPASWD
    Playbook(open_session()).binds(BIND).receives(BindTransceiverResp(), status=status).emits(
        BindRefused(status)
    ).is_in(State.OPEN)


def test_a_bind_that_is_not_answered_ends_the_session():  # 7.2
    (
        Playbook(open_session(response_timeout_s=30))
        .binds(BIND)
        .after_s(29)
        .emits()
        .after_s(1)
        .emits(LinkLost(unanswered_s=30))
        .is_in(State.CLOSED)
    )


def test_a_connection_without_a_bind_is_given_up():  # 7.2, session_init_timer
    (
        Playbook(open_session(Role.SMSC, session_init_s=10))
        .after_s(9)
        .emits()
        .after_s(1)
        .emits(NeverBound(waited_s=10))
        .is_in(State.CLOSED)
    )


def test_only_one_bind_at_a_time_is_asked_for():
    playbook = Playbook(open_session()).binds(BIND)
    with pytest.raises(LocalProtocolError):
        playbook.binds(BIND)


def test_the_smsc_decides_on_a_bind_and_then_the_session_is_open():
    (
        Playbook(open_session(Role.SMSC))
        .receives(BIND, sequence=7)
        .emits(Requested(7, BIND))
        .acknowledges(7, ROK, BindTransceiverResp(b"smsc"))
        .sends((BindTransceiverResp(b"smsc"), ROK, 7))
        .is_in(State.BOUND_TRX)
    )


def test_the_smsc_may_take_its_time_over_a_bind():
    Playbook(open_session(Role.SMSC, session_init_s=10)).receives(BIND, sequence=7).after_s(100).emits(
        Requested(7, BIND)
    ).is_in(State.OPEN)


def test_a_bind_refused_by_the_smsc_opens_nothing():
    status = CommandStatus.ESME_RINVPASWD
    Playbook(open_session(Role.SMSC)).receives(BIND, sequence=7).emits(Requested(7, BIND)).acknowledges(
        7, status
    ).sends((BindTransceiverResp(), status, 7)).is_in(State.OPEN)


def test_a_second_bind_is_refused_as_one_too_many():  # 5.1.3, ESME_RALYBND
    (
        Playbook(serving_session())
        .receives(BIND, sequence=2)
        .sends((BindTransceiverResp(), CommandStatus.ESME_RALYBND, 2))
        .emits(
            Rejected(
                2,
                BIND.command_id,
                CommandStatus.ESME_RALYBND,
                "BindTransceiver when bound as transceiver",
            )
        )
    )


def test_a_second_bind_is_refused_while_the_first_waits():
    status = CommandStatus.ESME_RALYBND
    Playbook(open_session(Role.SMSC)).receives(BIND, sequence=1).receives(BIND, sequence=2).sends(
        (BindTransceiverResp(), status, 2)
    ).emits(Requested(1, BIND), Rejected(2, BIND.command_id, status, "another bind is unanswered"))


# ---- states, 2.3


@pytest.mark.parametrize("pdu", [HELLO, DataSm(), QuerySm(), CancelSm()])
def test_a_receiver_submits_nothing(pdu):  # 2.3
    with pytest.raises(LocalProtocolError):
        Playbook(bound_session(BindReceiver, BindReceiverResp)).submits(pdu)


@pytest.mark.parametrize("pdu", [HELLO, DataSm(), QuerySm(), CancelSm()])
def test_nothing_is_submitted_before_the_bind(pdu):  # 2.3
    playbook = Playbook(open_session())
    with pytest.raises(LocalProtocolError):
        playbook.submits(pdu)
    playbook.sends()


def test_an_esme_delivers_nothing():  # 2.3
    with pytest.raises(LocalProtocolError):
        Playbook(bound_session()).submits(RECEIPT)


@pytest.mark.parametrize(("delivery", "answer"), [(RECEIPT, DeliverSmResp()), (DataSm(), DataSmResp())])
def test_a_delivery_to_a_transmitter_is_taken_all_the_same(delivery, answer):  # smpp.md, 2.1: receipts on any bind
    Playbook(bound_session(BindTransmitter, BindTransmitterResp)).receives(delivery, sequence=5).emits(
        Requested(5, delivery)
    ).acknowledges(5).sends((answer, ROK, 5))


def test_a_delivery_before_the_bind_is_refused():  # 2.3, ESME_RINVBNDSTS
    status = CommandStatus.ESME_RINVBNDSTS
    Playbook(open_session()).receives(RECEIPT, sequence=5).sends((DeliverSmResp(), status, 5)).emits(
        Rejected(5, RECEIPT.command_id, status, "DeliverSm when open")
    )


def test_a_submission_before_the_bind_is_refused():  # 2.3, ESME_RINVBNDSTS
    status = CommandStatus.ESME_RINVBNDSTS
    Playbook(open_session(Role.SMSC)).receives(HELLO, sequence=5).sends((SubmitSmResp(), status, 5)).emits(
        Rejected(5, HELLO.command_id, status, "SubmitSm when open")
    )


def test_an_unknown_command_is_nacked_with_its_own_sequence_number():  # 4.3, ESME_RINVCMDID
    submit_multi = bytes.fromhex("00000010 00000021 00000000 00000009")
    status = CommandStatus.ESME_RINVCMDID
    Playbook(bound_session()).receives_bytes(submit_multi).sends((GenericNack(), status, 9)).emits(
        Rejected(9, 0x21, status, "command 0x00000021 is unknown")
    ).is_in(State.BOUND_TRX)


def test_a_request_shorter_than_its_fields_is_refused_and_the_session_goes_on():  # 3.2.2
    cut = encode(RECEIPT, 5)[:-4]
    cut = len(cut).to_bytes(4, "big") + cut[4:]
    status = CommandStatus.ESME_RINVMSGLEN
    Playbook(bound_session()).receives_bytes(cut).sends((DeliverSmResp(), status, 5)).emits(
        Rejected(5, RECEIPT.command_id, status, "DeliverSm is shorter than its fields")
    ).is_in(State.BOUND_TRX)


@pytest.mark.parametrize("length_octets", [0, 15, 128 * 1024 + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_nacked_and_ends_the_session(length_octets):  # 5.1.1, ESME_RINVCMDLEN
    playbook = Playbook(bound_session()).submits(HELLO).sends(HELLO)
    with pytest.raises(RemoteProtocolError):
        playbook.receives_bytes(length_octets.to_bytes(4, "big"))
    playbook.sends((GenericNack(), CommandStatus.ESME_RINVCMDLEN, 0)).emits(
        Unanswered(2, HELLO, 0, link_ended=True)
    ).is_in(State.CLOSED)


def test_what_came_before_a_bad_length_still_counts():
    playbook = Playbook(bound_session())
    with pytest.raises(RemoteProtocolError):
        playbook.receives_bytes(encode(RECEIPT, 5) + bytes(16))
    playbook.emits(Requested(5, RECEIPT))


# ---- requests and answers


def test_an_answer_finds_its_request_whatever_the_order():  # 2.6, 5.1.4
    first, second = HELLO, SubmitSm(destination_addr=b"4366412345678")
    (
        Playbook(bound_session())
        .submits(first)
        .submits(second)
        .sends((first, ROK, 2), (second, ROK, 3))
        .after_s(1)
        .receives(SubmitSmResp(b"b"), sequence=3)
        .receives(SubmitSmResp(b"a"), sequence=2)
        .emits(
            Answered(3, second, ROK, SubmitSmResp(b"b"), waited_s=1),
            Answered(2, first, ROK, SubmitSmResp(b"a"), waited_s=1),
        )
    )


def test_a_refusal_is_an_answer():
    status = CommandStatus.ESME_RTHROTTLED
    Playbook(bound_session()).submits(HELLO).receives(SubmitSmResp(), status=status).emits(
        Answered(2, HELLO, status, SubmitSmResp(), waited_s=0)
    )


def test_a_generic_nack_answers_the_request_with_its_sequence_number():  # 4.3
    status = CommandStatus.ESME_RINVCMDID
    Playbook(bound_session()).submits(QuerySm(b"a")).receives(GenericNack(), status=status).emits(
        Answered(2, QuerySm(b"a"), status, GenericNack(), waited_s=0)
    )


def test_a_generic_nack_with_sequence_number_0_answers_nothing():  # 4.3
    status = CommandStatus.ESME_RINVCMDLEN
    playbook = Playbook(bound_session()).submits(HELLO).receives(GenericNack(), sequence=0, status=status)
    playbook.emits(StrayAnswer(0, status, GenericNack()))
    assert playbook.session.in_flight == 1


def test_an_answer_of_another_kind_answers_nothing():
    playbook = Playbook(bound_session()).submits(HELLO).receives(QuerySmResp(b"x"), sequence=2)
    playbook.emits(StrayAnswer(2, ROK, QuerySmResp(b"x")))
    assert playbook.session.in_flight == 1


def test_an_unknown_answer_is_not_nacked():  # 4.3: only requests are
    Playbook(bound_session()).receives_bytes(bytes.fromhex("00000010 80000021 00000000 00000009")).sends().emits(
        StrayAnswer(9, ROK, UnknownPdu(0x80000021, b""))
    )


def test_a_request_without_an_answer_is_told_and_leaves_the_window():  # 7.2, response_timer
    playbook = Playbook(bound_session(response_timeout_s=20, window=1)).submits(HELLO)
    assert playbook.session.room == 0
    playbook.after_s(19).emits().after_s(1).emits(Unanswered(2, HELLO, 20, link_ended=False))
    assert playbook.session.room == 1


def test_a_late_answer_is_told_as_late():
    (
        Playbook(bound_session(response_timeout_s=20))
        .submits(HELLO)
        .after_s(25)
        .emits(Unanswered(2, HELLO, 20, link_ended=False))
        .receives(SubmitSmResp(b"a"), sequence=2)
        .emits(AnsweredLate(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=25))
        .receives(SubmitSmResp(b"a"), sequence=2)
        .emits(StrayAnswer(2, ROK, SubmitSmResp(b"a")))
    )


def test_the_window_bounds_what_is_unanswered():
    playbook = Playbook(bound_session(window=2)).submits(HELLO).submits(HELLO)
    with pytest.raises(LocalProtocolError, match="window"):
        playbook.submits(HELLO)
    playbook.receives(SubmitSmResp(b"a"), sequence=2).submits(HELLO)


@pytest.mark.parametrize("pdu", [EnquireLink(), Unbind(), BIND, SubmitSmResp()])
def test_only_what_belongs_to_messages_goes_through_the_window(pdu):
    with pytest.raises(LocalProtocolError, match="window"):
        Playbook(bound_session()).submits(pdu)


def test_of_many_overdue_requests_the_oldest_are_forgotten():
    session = bound_session(window=1001, response_timeout_s=20)
    playbook = Playbook(session)
    for _ in range(1001):
        playbook.submits(HELLO)
    playbook.after_s(20)
    session.events()
    playbook.receives(SubmitSmResp(b"a"), sequence=2).receives(SubmitSmResp(b"b"), sequence=3).emits(
        StrayAnswer(2, ROK, SubmitSmResp(b"a")),
        AnsweredLate(3, HELLO, ROK, SubmitSmResp(b"b"), waited_s=20),
    )


def test_what_cannot_be_encoded_leaves_no_trace():
    playbook = Playbook(bound_session())
    with pytest.raises(LocalProtocolError):
        playbook.submits(SubmitSm(destination_addr=b"1\x002"))
    playbook.sends()
    assert playbook.session.in_flight == 0


def test_sequence_numbers_begin_anew_after_the_largest():  # 5.1.4
    (
        Playbook(bound_session(first_sequence=LARGEST_SEQUENCE - 1))
        .submits(HELLO)
        .submits(HELLO)
        .sends((HELLO, ROK, LARGEST_SEQUENCE), (HELLO, ROK, 1))
    )


def test_a_sequence_number_in_flight_or_overdue_is_not_used_again():  # 5.1.4
    session = bound_session(response_timeout_s=20, first_sequence=LARGEST_SEQUENCE)
    playbook = Playbook(session).submits(HELLO).after_s(20).submits(HELLO)
    playbook.sends((HELLO, ROK, 1), (HELLO, ROK, 2))
    session._next_sequence = LARGEST_SEQUENCE  # two thousand million requests later
    playbook.submits(HELLO).submits(HELLO).sends((HELLO, ROK, LARGEST_SEQUENCE), (HELLO, ROK, 3))


# ---- what the peer asks


def test_a_receipt_is_acknowledged_when_its_owner_says_so():  # 4.6.2
    (
        Playbook(bound_session())
        .receives(RECEIPT, sequence=5)
        .emits(Requested(5, RECEIPT))
        .sends()
        .acknowledges(5)
        .sends((DeliverSmResp(), ROK, 5))
    )


def test_what_could_not_be_stored_is_to_be_sent_again():  # 4.6.2, ESME_RX_T_APPN
    status = CommandStatus.ESME_RX_T_APPN
    Playbook(bound_session()).receives(RECEIPT, sequence=5).acknowledges(5, status).sends((DeliverSmResp(), status, 5))


def test_data_sm_is_acknowledged_alike():  # 4.7.2
    Playbook(bound_session()).receives(DataSm(), sequence=5).emits(Requested(5, DataSm())).acknowledges(5).sends(
        (DataSmResp(), ROK, 5)
    )


def test_the_smsc_answers_a_submission_with_its_message_id():  # 4.4.2
    Playbook(serving_session()).receives(HELLO, sequence=2).emits(Requested(2, HELLO)).acknowledges(
        2, ROK, SubmitSmResp(b"4711")
    ).sends((SubmitSmResp(b"4711"), ROK, 2))


def test_the_smsc_delivers_through_its_own_window():
    (
        Playbook(serving_session(window=1))
        .submits(RECEIPT)
        .sends((RECEIPT, ROK, 1))
        .receives(DeliverSmResp())
        .emits(Answered(1, RECEIPT, ROK, DeliverSmResp(), waited_s=0))
    )


def test_what_is_acknowledged_twice_is_a_bug_of_ours():
    playbook = Playbook(bound_session()).receives(RECEIPT, sequence=5).acknowledges(5)
    with pytest.raises(LocalProtocolError):
        playbook.acknowledges(5)


def test_an_answer_of_another_kind_is_a_bug_of_ours():
    playbook = Playbook(bound_session()).receives(RECEIPT, sequence=5)
    with pytest.raises(LocalProtocolError):
        playbook.acknowledges(5, ROK, SubmitSmResp())
    playbook.sends().acknowledges(5).sends(DeliverSmResp())


def test_what_is_acknowledged_after_the_end_goes_nowhere():
    Playbook(bound_session()).receives(RECEIPT, sequence=5).loses_the_connection().acknowledges(5).sends()


def test_the_same_request_again_before_its_answer_gets_that_answer():
    Playbook(bound_session()).receives(RECEIPT, sequence=5).receives(RECEIPT, sequence=5).emits(
        Requested(5, RECEIPT)
    ).acknowledges(5).sends((DeliverSmResp(), ROK, 5))


def test_another_request_of_the_same_number_is_to_be_sent_again():  # 5.1.4 is broken by the peer
    other, status = DeliverSm(esm_class=4, short_message=b"id:2 stat:DELIVRD"), CommandStatus.ESME_RX_T_APPN
    Playbook(bound_session()).receives(RECEIPT, sequence=5).receives(other, sequence=5).sends(
        (DeliverSmResp(), status, 5)
    ).emits(Requested(5, RECEIPT), Rejected(5, other.command_id, status, "another request 5 is unanswered"))


def test_more_than_the_smsc_keeps_is_to_be_sent_again():
    playbook = Playbook(serving_session(unacknowledged=1)).receives(HELLO, sequence=5).receives(HELLO, sequence=6)
    playbook.sends((SubmitSmResp(), CommandStatus.ESME_RTHROTTLED, 6))


def deliveries(*sequences):
    return b"".join(encode(RECEIPT, sequence) for sequence in sequences)


def told(*sequences):
    return [Requested(sequence, RECEIPT) for sequence in sequences]


def test_more_than_the_esme_has_room_for_waits_and_nothing_more_is_read_until_half_is_acknowledged():
    playbook = (
        Playbook(bound_session(unacknowledged=4))
        .receives_bytes(deliveries(11, 12, 13, 14))
        .emits(*told(*range(11, 15)))
    )
    assert not playbook.session.is_full
    playbook.receives_bytes(deliveries(15, 16)).emits().sends()
    assert playbook.session.is_full
    playbook.acknowledges(11).emits(*told(15)).acknowledges(12).emits(*told(16))
    playbook.acknowledges(13)
    assert playbook.session.is_full
    playbook.acknowledges(14)
    assert not playbook.session.is_full
    playbook.sends(*((DeliverSmResp(), ROK, sequence) for sequence in range(11, 15))).is_in(State.BOUND_TRX)


def test_answers_and_enquiries_that_come_with_what_there_is_no_room_for_are_taken_at_once():
    (
        Playbook(bound_session(unacknowledged=1))
        .submits(HELLO)
        .sends(HELLO)
        .receives_bytes(deliveries(11, 12) + encode(SubmitSmResp(b"a"), 2) + encode(EnquireLink(), 13))
        .emits(*told(11), Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=0))
        .sends((EnquireLinkResp(), ROK, 13))
    )


def test_what_waits_too_long_for_room_is_to_be_sent_again():
    status, reason = CommandStatus.ESME_RX_T_APPN, "1 requests are unanswered"
    playbook = Playbook(bound_session(unacknowledged=1, full_s=20, enquire_after_s=100))
    playbook.receives_bytes(deliveries(11, 12)).after_s(19).sends().emits(*told(11))
    playbook.after_s(1).sends((DeliverSmResp(), status, 12)).emits(Rejected(12, RECEIPT.command_id, status, reason))
    assert not playbook.session.is_full
    playbook.receives_bytes(deliveries(13)).sends((DeliverSmResp(), status, 13))
    playbook.acknowledges(11).sends(DeliverSmResp()).receives_bytes(deliveries(14))
    assert playbook.session.events()[-1:] == told(14)


def test_an_answer_that_may_wait_unread_is_not_missing():
    playbook = Playbook(
        bound_session(unacknowledged=1, full_s=20, response_timeout_s=5, enquire_after_s=8, give_up_after_s=2)
    )
    playbook.submits(HELLO).sends(HELLO).after_s(1).receives_bytes(deliveries(11, 12)).emits(*told(11))
    playbook.after_s(15).sends().emits().acknowledges(11).acknowledges(12).sends(DeliverSmResp(), DeliverSmResp())
    playbook.emits(*told(12)).after_s(3).emits().sends()
    playbook.receives(SubmitSmResp(b"a"), sequence=2).emits(Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=19))


def test_an_answer_is_missing_in_the_end_however_long_nothing_was_read():
    playbook = Playbook(bound_session(unacknowledged=1, full_s=20, response_timeout_s=5, enquire_after_s=100))
    playbook.submits(HELLO).sends(HELLO)
    for sequence in (11, 13):
        playbook.receives_bytes(deliveries(sequence, sequence + 1)).after_s(12)
        playbook.acknowledges(sequence).acknowledges(sequence + 1)
    playbook.emits(*told(11, 12, 13, 14)).after_s(1).emits(Unanswered(2, HELLO, 25, link_ended=False))


def test_silence_counts_from_when_it_is_listened_to_again():
    playbook = Playbook(bound_session(unacknowledged=1, full_s=20, enquire_after_s=8))
    playbook.receives_bytes(deliveries(11, 12)).after_s(15).sends().acknowledges(11).acknowledges(12)
    playbook.sends(DeliverSmResp(), DeliverSmResp()).after_s(7).sends().after_s(1).sends(EnquireLink())


def test_an_outbind_is_told_and_not_answered():  # 4.1.7
    outbind = Outbind(b"smsc", b"secret")
    Playbook(open_session()).receives(outbind).sends().emits(Notified(outbind)).is_in(State.OPEN)


def test_an_outbind_to_a_bound_session_is_ignored_but_told():  # 2.3
    Playbook(bound_session()).receives(Outbind()).sends().emits(
        Rejected(1, Outbind.command_id, CommandStatus.ESME_RINVBNDSTS, "Outbind when bound as transceiver")
    )


def test_an_alert_notification_is_told_and_not_answered():  # 4.12
    alert = AlertNotification(source_addr=b"4917612345678")
    Playbook(bound_session()).receives(alert).sends().emits(Notified(alert))


# ---- silence, 4.11 and 7.2


def test_an_enquiry_is_answered_in_every_state():  # 4.11
    Playbook(open_session(Role.SMSC)).receives(EnquireLink(), sequence=3).sends((EnquireLinkResp(), ROK, 3)).emits()
    Playbook(bound_session()).receives(EnquireLink(), sequence=3).sends((EnquireLinkResp(), ROK, 3)).emits()
    Playbook(bound_session()).unbinds().sends(Unbind()).receives(EnquireLink()).sends(EnquireLinkResp())


def test_a_silent_link_is_asked_once_and_then_given_up():  # 7.2, enquire_link_timer
    (
        Playbook(bound_session(enquire_after_s=30, give_up_after_s=10))
        .after_s(29)
        .sends()
        .after_s(1)
        .sends(EnquireLink())
        .after_s(10)
        .sends()
        .emits(LinkLost(unanswered_s=10))
        .is_in(State.CLOSED)
    )


def test_the_peer_can_be_asked_at_any_time_whether_it_is_there():  # 4.11
    playbook = Playbook(bound_session(give_up_after_s=10))
    playbook.session.enquire(playbook.now)
    playbook.session.enquire(playbook.now)
    playbook.sends(EnquireLink()).after_s(3).receives(EnquireLinkResp())
    assert (playbook.session.is_enquiring, playbook.session.enquiry_answers) == (False, 1)
    playbook.session.enquire(playbook.now)
    playbook.after_s(10).emits(LinkLost(unanswered_s=10))
    with pytest.raises(LocalProtocolError, match="closed"):
        playbook.session.enquire(playbook.now)


@pytest.mark.parametrize(("version", "knows"), [(None, False), (0, False), (0x33, False), (0x34, True), (0x50, True)])
def test_below_3_4_there_are_no_optional_parameters(version, knows):  # 5.2.4
    assert Bound(State.BOUND_TRX, b"", version).knows_parameters is knows


def test_a_link_that_answers_is_asked_again_after_the_next_silence():  # 7.2
    (
        Playbook(bound_session(enquire_after_s=30, give_up_after_s=10))
        .after_s(30)
        .sends(EnquireLink())
        .after_s(5)
        .receives(EnquireLinkResp())
        .after_s(29)
        .sends()
        .after_s(1)
        .sends(EnquireLink())
        .emits()
    )


def test_whatever_comes_from_the_peer_is_a_sign_of_life():
    (
        Playbook(bound_session(enquire_after_s=30, give_up_after_s=10))
        .after_s(30)
        .sends(EnquireLink())
        .after_s(9)
        .receives(RECEIPT, sequence=5)
        .after_s(29)
        .sends()
        .emits(Requested(5, RECEIPT))
        .receives(EnquireLinkResp())
        .emits()
        .is_in(State.BOUND_TRX)
    )


def test_half_a_pdu_is_no_sign_of_life():
    (
        Playbook(bound_session(enquire_after_s=30, give_up_after_s=10))
        .after_s(30)
        .sends(EnquireLink())
        .after_s(9)
        .receives_bytes(encode(RECEIPT, 5)[:-1])
        .after_s(1)
        .emits(LinkLost(unanswered_s=10))
    )


def test_a_lost_link_leaves_its_requests_unanswered():
    (
        Playbook(bound_session(enquire_after_s=30, give_up_after_s=10))
        .after_s(25)
        .submits(HELLO)
        .after_s(15)
        .emits(LinkLost(unanswered_s=10), Unanswered(2, HELLO, 15, link_ended=True))
    )


def test_a_lost_connection_leaves_its_requests_unanswered():
    Playbook(bound_session()).submits(HELLO).after_s(1).loses_the_connection().emits(
        Unanswered(2, HELLO, 1, link_ended=True)
    ).is_in(State.CLOSED)


def test_a_link_with_nothing_but_enquiries_is_unbound():  # 7.2, inactivity_timer
    playbook = Playbook(bound_session(enquire_after_s=30, inactivity_s=60)).after_s(30).sends(EnquireLink())
    playbook.receives(EnquireLinkResp()).after_s(29).sends().after_s(1).emits(Inactive(idle_s=60))
    playbook.sends(EnquireLink(), Unbind()).is_in(State.UNBINDING)


# ---- unbind, 4.2


def test_an_unbind_ends_the_session_when_it_is_answered():  # 4.2
    Playbook(bound_session()).unbinds().sends(Unbind()).is_in(State.UNBINDING).receives(UnbindResp()).emits(
        Unbound(by_peer=False)
    ).is_in(State.CLOSED)


def test_answers_and_receipts_that_cross_an_unbind_still_count():
    (
        Playbook(bound_session())
        .submits(HELLO)
        .unbinds()
        .receives(SubmitSmResp(b"a"), sequence=2)
        .receives(RECEIPT, sequence=5)
        .emits(Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=0), Requested(5, RECEIPT))
        .sends(HELLO, Unbind())
        .acknowledges(5)
        .sends(DeliverSmResp())
    )


def test_answers_behind_the_answer_to_our_unbind_count_and_end_the_session():
    (
        Playbook(bound_session())
        .submits(HELLO)
        .submits(HELLO)
        .unbinds()
        .sends(HELLO, HELLO, Unbind())
        .receives_bytes(encode(UnbindResp(), 4) + encode(SubmitSmResp(b"a"), 2) + encode(DeliverSm(), 9))
        .is_in(State.UNBINDING)
        .emits(
            Unbound(by_peer=False),
            Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=0),
            Requested(9, DeliverSm()),
        )
        .after_s(3)
        .receives(SubmitSmResp(b"b"), sequence=3)
        .emits(Answered(3, HELLO, ROK, SubmitSmResp(b"b"), waited_s=3))
        .sends()
        .acknowledges(9)
        .sends((DeliverSmResp(), ROK, 9))
        .is_in(State.CLOSED)
    )


@pytest.mark.parametrize(("response_timeout_s", "waited_s"), [(30, 5), (3, 3)])
def test_a_peer_that_answers_our_unbind_and_nothing_else_is_not_waited_for_long(response_timeout_s, waited_s):
    playbook = Playbook(bound_session(response_timeout_s=response_timeout_s, enquire_after_s=2))
    playbook.submits(HELLO).unbinds().receives(UnbindResp()).receives(Unbind(), sequence=9)
    playbook.sends(HELLO, Unbind(), (UnbindResp(), ROK, 9)).after_s(waited_s).sends()
    assert playbook.session.events() == [
        Unbound(by_peer=False),
        Unanswered(2, HELLO, waited_s=waited_s, link_ended=response_timeout_s > waited_s),
    ]
    playbook.is_in(State.CLOSED)


def test_an_smsc_waits_for_no_answers_behind_the_one_to_its_unbind():
    playbook = Playbook(serving_session())
    playbook.submits(DeliverSm()).unbinds().receives(UnbindResp()).is_in(State.CLOSED)


def test_nothing_is_submitted_while_unbinding():
    with pytest.raises(LocalProtocolError):
        Playbook(bound_session()).unbinds().submits(HELLO)


def test_an_unbind_that_is_not_answered_ends_the_session_all_the_same():
    Playbook(bound_session(response_timeout_s=5)).unbinds().after_s(5).emits(LinkLost(unanswered_s=5)).is_in(
        State.CLOSED
    )


def test_the_peers_unbind_is_answered_and_ends_the_session():  # 4.2
    (
        Playbook(bound_session())
        .receives(Unbind(), sequence=8)
        .sends((UnbindResp(), ROK, 8))
        .emits(Unbound(by_peer=True))
        .is_in(State.CLOSED)
    )


def test_answers_behind_the_peers_unbind_count_and_then_it_is_answered():
    (
        Playbook(bound_session())
        .submits(HELLO)
        .submits(HELLO)
        .sends(HELLO, HELLO)
        .receives_bytes(
            encode(Unbind(), 8) + encode(SubmitSmResp(b"a"), 2) + encode(DeliverSm(), 9) + encode(SubmitSmResp(b"b"), 3)
        )
        .emits(
            Unbound(by_peer=True),
            Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=0),
            Requested(9, DeliverSm()),
            Answered(3, HELLO, ROK, SubmitSmResp(b"b"), waited_s=0),
        )
        .sends()
        .acknowledges(9)
        .sends((DeliverSmResp(), ROK, 9), (UnbindResp(), ROK, 8))
        .is_in(State.CLOSED)
    )


def test_what_is_not_stored_in_time_for_the_farewell_comes_again():  # The SMSC has no answer to it.
    (
        Playbook(bound_session())
        .receives_bytes(encode(RECEIPT, 9) + encode(Unbind(), 10))
        .emits(Requested(9, RECEIPT), Unbound(by_peer=True))
        .sends()
        .after_s(1)
        .sends((UnbindResp(), ROK, 10))
        .after_s(4)
        .is_in(State.CLOSED)
        .acknowledges(9)
        .sends()
    )


def test_answers_may_come_for_a_moment_after_the_peers_unbind_was_answered():
    (
        Playbook(bound_session())
        .submits(HELLO)
        .receives(Unbind(), sequence=8)
        .is_in(State.UNBINDING)
        .sends(HELLO)
        .after_s(1)
        .sends((UnbindResp(), ROK, 8))
        .after_s(3)
        .receives(SubmitSmResp(b"a"), sequence=2)
        .emits(Unbound(by_peer=True), Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=4))
        .is_in(State.CLOSED)
    )


@pytest.mark.parametrize(("response_timeout_s", "waited_s"), [(30, 5), (3, 3)])
def test_a_peer_that_unbinds_and_never_answers_is_not_waited_for_long(response_timeout_s, waited_s):
    playbook = Playbook(bound_session(response_timeout_s=response_timeout_s, enquire_after_s=2))
    playbook.after_s(1).submits(HELLO).receives(Unbind(), sequence=8).receives(Unbind(), sequence=9)
    playbook.sends(HELLO, (UnbindResp(), ROK, 9)).after_s(waited_s).sends((UnbindResp(), ROK, 8))
    [farewell, unanswered] = playbook.session.events()
    assert farewell == Unbound(by_peer=True)
    assert (unanswered.sequence, unanswered.waited_s) == (2, waited_s)
    playbook.is_in(State.CLOSED)


def test_nothing_is_submitted_after_the_peers_unbind():
    playbook = Playbook(bound_session()).submits(HELLO).receives(Unbind(), sequence=8)
    assert playbook.session.room == 0
    with pytest.raises(LocalProtocolError):
        playbook.submits(HELLO)


def test_when_both_unbind_at_once_answers_are_waited_for_all_the_same():
    (
        Playbook(bound_session())
        .submits(HELLO)
        .unbinds()
        .receives(Unbind(), sequence=8)
        .receives(UnbindResp())
        .receives(SubmitSmResp(b"a"), sequence=2)
        .emits(Unbound(by_peer=True), Answered(2, HELLO, ROK, SubmitSmResp(b"a"), waited_s=0))
        .sends(HELLO, Unbind(), (UnbindResp(), ROK, 8))
        .is_in(State.CLOSED)
    )


def test_nothing_happens_after_the_end():
    playbook = Playbook(bound_session()).loses_the_connection().receives(RECEIPT).after_s(1000)
    playbook.loses_the_connection().sends().emits()
    assert playbook.session.next_deadline() is None


# ---- any peer whatsoever


two_ends = st.sampled_from([bound_session, serving_session, open_session, lambda: open_session(Role.SMSC)])
frames = st.builds(
    lambda pdu, sequence, status, cut: encode(pdu, sequence, status)[: cut or None],
    st.sampled_from([*(pdu() for pdu in ALL), HELLO, RECEIPT]),
    st.integers(0, 3),
    st.sampled_from([0, 8]),
    st.sampled_from([0, 0, 0, 17]),
)


@settings(max_examples=150)
@given(two_ends, st.lists(st.one_of(frames, st.binary(max_size=40)), max_size=8))
def test_any_bytes_give_events_or_one_remote_protocol_error(make_session, chunks):
    session = make_session()
    if session.room:
        session.submit(HELLO if session._role is Role.ESME else RECEIPT, 0.0)
    now = 0.0
    for chunk in chunks:
        now += 7
        session.expire(now)
        assert session.next_deadline() is None or session.next_deadline() > now
        try:
            session.receive(chunk, now)
        except RemoteProtocolError:
            assert session.state is State.CLOSED
        for event in session.events():
            if isinstance(event, Requested):
                session.acknowledge(event.sequence)
        session.data_to_send()


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["submit", "answer", "wait"]), max_size=60))
def test_every_request_is_accounted_for_exactly_once(steps):
    session = bound_session(window=5, response_timeout_s=10, enquire_after_s=10**6)
    now, asked, told = 0.0, [], []
    for step in steps:
        if step == "submit" and session.room:
            asked.append(session.submit(HELLO, now))
        elif step == "answer" and asked:
            session.receive(encode(SubmitSmResp(b"a"), asked[len(asked) // 2]), now)
        else:
            now += 3
            session.expire(now)
        told += [e.sequence for e in session.events() if isinstance(e, Answered | Unanswered)]
    session.disconnected(now)
    told += [e.sequence for e in session.events() if isinstance(e, Answered | Unanswered)]
    assert sorted(told) == asked


@settings(max_examples=50)
@given(
    st.floats(0, 1e7),
    st.floats(0.1, 100),
    st.floats(0.1, 100),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 20), max_size=5),
)
def test_what_is_due_at_a_deadline_is_done_then(start, timeout_s, enquire_s, inactivity_s, pauses):
    settings = {"response_timeout_s": timeout_s, "enquire_after_s": enquire_s, "inactivity_s": inactivity_s}
    session = bound_session(now=start, **settings)
    playbook = Playbook(session, start)  # whose `after_s` wants every deadline to go when it comes
    for pause in pauses:
        if session.room:
            playbook.submits(HELLO)
        playbook.after_s(pause)
    playbook.after_s(1000).is_in(State.CLOSED)
