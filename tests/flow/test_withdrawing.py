"""SMPP checklist, 2.2: one part refused, so the others are called back."""

from msgspec.structs import replace

from heliograph.flow.dispatch.withdrawing import MOST_REMEMBERED, Taken, Withdrawals
from heliograph.store.interface import PART_BITS
from tests.carriers.conformance import a_segment


def part_of(number, part, parts=3):
    return replace(a_segment(parts=parts, part=part), id=number << PART_BITS | part - 1)


def test_what_was_taken_of_an_sms_that_fails_is_called_back():
    withdrawals = Withdrawals()
    assert withdrawals.taken(part_of(1, 1), "m1") == []
    assert withdrawals.taken(part_of(2, 1), "other") == []
    assert withdrawals.failed(part_of(1, 2)) == [Taken("m1", part_of(1, 1).src)]


def test_what_is_taken_after_the_sms_failed_is_called_back_at_once():
    withdrawals = Withdrawals()
    assert withdrawals.failed(part_of(1, 2)) == []
    assert withdrawals.taken(part_of(1, 3), "m3") == [Taken("m3", part_of(1, 3).src)]


def test_each_part_is_called_back_once():
    withdrawals = Withdrawals()
    withdrawals.taken(part_of(1, 1), "m1")
    assert len(withdrawals.failed(part_of(1, 2))) == 1
    assert withdrawals.failed(part_of(1, 3)) == []


def test_a_part_that_was_taken_at_an_earlier_try_is_no_failure_when_a_later_one_is_refused():
    withdrawals = Withdrawals()
    withdrawals.taken(part_of(1, 1), "m1")
    withdrawals.taken(part_of(1, 2), "m2")
    assert withdrawals.failed(part_of(1, 1)) == []
    assert len(withdrawals.failed(part_of(1, 3))) == 2


def test_an_sms_in_one_part_and_one_without_an_id_leave_nothing_to_call_back():
    withdrawals = Withdrawals()
    withdrawals.taken(a_segment(), "m1")
    withdrawals.taken(part_of(1, 1), "")
    assert not withdrawals.has_taken(part_of(1, 2))
    assert withdrawals.failed(part_of(1, 2)) == []


def test_of_too_many_the_oldest_are_forgotten():
    withdrawals = Withdrawals()
    for number in range(MOST_REMEMBERED + 1):
        withdrawals.taken(part_of(number, 1), f"m{number}")
    assert not withdrawals.has_taken(part_of(0, 2))
    assert withdrawals.has_taken(part_of(1, 2))
