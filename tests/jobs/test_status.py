"""Contract: section 1, "Status of one SMS"."""

import pytest

from heliograph.jobs.status import FINAL, MEANINGS, PartProgress, PartState, ProcessStatus, SmsProgress, Status, roll_up
from tests.fakes.builders import after

WAITING, LEASED, SUBMITTED, DONE = PartState


def a_part(state, status=Status.NONE, reason="", sent_at=None):
    return PartProgress(state, status, reason, sent_at)


def test_final_are_done_canceled_and_kill():
    assert {ProcessStatus.DONE, ProcessStatus.CANCELED, ProcessStatus.KILL} == FINAL


def test_every_status_has_a_meaning():
    assert {status for _, status in MEANINGS} == set(Status)
    assert {process_status for process_status, _ in MEANINGS} == set(ProcessStatus)


@pytest.mark.parametrize("state", [WAITING, LEASED])
def test_what_waits_is_open(state):
    assert roll_up([a_part(state)]) == SmsProgress(ProcessStatus.OPEN)


def test_what_is_to_be_tried_again_shows_its_last_error():
    assert roll_up([a_part(WAITING, Status.CON_ERR, "no")]) == SmsProgress(ProcessStatus.OPEN, Status.CON_ERR, "no")


def test_of_several_errors_the_first_part_s_is_told():
    parts = [a_part(SUBMITTED), a_part(WAITING, Status.NOT_ACC_REC, "b"), a_part(WAITING, Status.CON_ERR, "c")]
    assert roll_up(parts) == SmsProgress(ProcessStatus.OPEN, Status.NOT_ACC_REC, "b")


def test_what_waits_for_something_else_than_another_try_says_for_what():
    parts = [a_part(DONE, reason="a"), a_part(WAITING), a_part(WAITING, reason="no such carrier")]
    assert roll_up(parts) == SmsProgress(ProcessStatus.OPEN, Status.NONE, "no such carrier")


def test_an_sms_runs_once_every_part_has_been_handed_over():
    sent = [a_part(SUBMITTED, sent_at=after(1)), a_part(DONE, sent_at=after(2))]
    assert roll_up([*sent, a_part(LEASED)]) == SmsProgress(ProcessStatus.OPEN)
    one_is_through = "the carrier is done with 1 of 2 parts"
    assert roll_up(sent) == SmsProgress(ProcessStatus.RUNNING, reason=one_is_through, sent_at=after(2))


def test_a_running_sms_shows_what_an_intermediate_receipt_said():
    part = a_part(SUBMITTED, reason="message_state:ENROUTE", sent_at=after(1))
    assert roll_up([part]).reason == "message_state:ENROUTE"


def test_a_running_sms_says_of_how_many_parts_there_was_a_last_word_and_not_which():
    through = a_part(DONE, reason="message_state:DELIVERED [00000002] (Final)", sent_at=after(1))
    waiting = a_part(SUBMITTED, sent_at=after(1))
    assert roll_up([through, waiting]).reason == "the carrier is done with 1 of 2 parts"
    assert roll_up([through, waiting, through]).reason == "the carrier is done with 2 of 3 parts"
    assert roll_up([waiting, waiting]).reason == ""


def test_a_running_sms_says_what_was_heard_of_parts_that_are_not_done():
    through = a_part(DONE, reason="message_state:DELIVERED [00000002] (Final)", sent_at=after(1))
    heard = a_part(SUBMITTED, reason="message_state:ENROUTE", sent_at=after(1))
    assert roll_up([through, heard]).reason == "message_state:ENROUTE"


def test_an_sms_runs_on_while_its_overdue_receipt_is_settled():
    assert roll_up([a_part(LEASED, sent_at=after(1))]).process_status is ProcessStatus.RUNNING
