"""SMPP checklist, section 1: how ids are written is learnt where nobody declared it."""

import pytest

from heliograph.carriers.smpp.habits import LEARNT_AFTER, MOST_REMEMBERED, IdHabits
from heliograph.smpp.receipts import IdBase

UNKNOWN, DECIMAL, HEXADECIMAL = IdBase.UNKNOWN, IdBase.DECIMAL, IdBase.HEXADECIMAL
DST = "+4917612345678"
PHONES = ("4917612345678", "12345")


def habits_after(answered, receipted, count, first=0xABC01, habits=None):
    """What is known after so many messages; answered and receipted: forms of a number."""
    habits = habits or IdHabits(UNKNOWN, UNKNOWN)
    news = []
    for number in range(first, first + count):
        habits.answered(answered % number, DST)
        news.append(habits.receipted(receipted % number, PHONES))
    return habits, news


@pytest.mark.parametrize(
    ("answered", "receipted", "bases"),
    [
        (b"%X", b"%d", (HEXADECIMAL, DECIMAL)),
        (b"%08x", b"%010d", (HEXADECIMAL, DECIMAL)),
        (b"%d", b"%x", (DECIMAL, HEXADECIMAL)),
        (b"%010d", b"%d", (DECIMAL, DECIMAL)),
        (b"%012d", b"%d", (DECIMAL, DECIMAL)),
        (b"%016X", b"%d", (HEXADECIMAL, DECIMAL)),
    ],
)
def test_the_way_of_writing_is_learnt_and_told_once(answered, receipted, bases):
    habits, news = habits_after(answered, receipted, 2 * LEARNT_AFTER)
    assert [place for place, is_news in enumerate(news) if is_news] == [LEARNT_AFTER - 1]
    assert (habits.learnt.spelt_in, habits.learnt.read_as) == bases
    number = 0xABCDE
    assert habits.likeliest_first((receipted % number,), receipted % number)[0] == answered % number


def test_what_is_written_alike_leaves_nothing_to_learn():
    habits, news = habits_after(b"%d", b"%d", 50)
    assert habits.learnt is None
    assert not any(news)
    assert habits.likeliest_first((b"1", b"a"), b"1") == (b"1", b"a")


def test_another_phone_s_receipt_teaches_nothing():
    habits = IdHabits(UNKNOWN, UNKNOWN)
    for number in range(0xABC00, 0xABC30):
        habits.answered(b"%X" % number, DST)
        assert not habits.receipted(b"%d" % number, ("4915555555555", "12345"))
    assert habits.learnt is None


def test_what_could_be_two_messages_teaches_nothing():
    habits = IdHabits(UNKNOWN, UNKNOWN)
    habits.answered(b"0000000010", DST)
    habits.answered(b"16", DST)
    for _ in range(2 * LEARNT_AFTER):
        assert not habits.receipted(b"10", PHONES)
    assert habits.learnt is None


def test_another_way_of_writing_makes_it_forget():
    habits, _ = habits_after(b"%X", b"%d", LEARNT_AFTER)
    assert habits.learnt is not None
    habits, _ = habits_after(b"%d", b"%X", 1, first=0xDEF01, habits=habits)
    assert habits.learnt is None


def test_all_other_spellings_are_tried_after_what_was_learnt():
    habits, _ = habits_after(b"%X", b"%d", LEARNT_AFTER)
    assert habits.likeliest_first((b"10", b"a", b"A"), b"10") == (b"A", b"10", b"a")
    assert habits.likeliest_first((b"x-1",), b"x-1") == (b"x-1",)


def test_no_more_is_remembered_than_there_is_room_for():
    habits = IdHabits(UNKNOWN, UNKNOWN)
    for number in range(MOST_REMEMBERED + 100):
        habits.answered(b"%d" % number, DST)
    assert len(habits._dsts) == MOST_REMEMBERED
