"""What is new to somebody who asks again and again."""

from datetime import timedelta

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.arrivals import MAX_REMEMBERED, OVERLAP, heard_in_part, heard_until, unheard
from heliograph.jobs.records import InboundSms
from tests.fakes.builders import NOW, after

LONG_AGO = NOW - timedelta(days=1)


def an_sms(number: int, at: float) -> InboundSms:
    return InboundSms(
        sms_id=f"I.{number}",
        account=AccountId(1),
        src="+4917612345678",
        dst="+4915735982222",
        text="Hello",
        received_at=after(at),
    )


def test_what_has_been_told_is_not_new():
    first, second = an_sms(1, at=1), an_sms(2, at=2)
    heard = heard_until([first], LONG_AGO, after(2))
    assert unheard([first, second], heard) == [second]


def test_the_last_quarter_of_an_hour_is_looked_at_again():
    heard = heard_until([an_sms(1, at=1)], LONG_AGO, after(3600))
    assert heard.since == after(3600) - OVERLAP
    assert heard.marks == frozenset(), "what came before that is told by its time"
    stored_late = an_sms(2, at=3000)
    assert unheard([stored_late], heard) == [stored_late]


def test_asking_never_goes_back_in_time():
    assert heard_until([], after(100), after(200)).since == after(100)


def test_where_much_comes_less_is_looked_at_again_and_nothing_lost():
    sms = [an_sms(number, at=number) for number in range(MAX_REMEMBERED + 50)]
    heard = heard_until(sms, LONG_AGO, after(MAX_REMEMBERED + 50))
    assert heard.since == sms[50].received_at
    assert len(heard.marks) == MAX_REMEMBERED
    assert unheard(sms[50:], heard) == []


def test_what_was_told_beyond_a_part_stays_told():
    told, late = an_sms(1, at=600), an_sms(2, at=10)
    before = heard_until([told], LONG_AGO, after(700))
    heard = heard_in_part([late], before, after(300))
    assert unheard([late, told], heard) == []


def test_what_is_remembered_has_a_bound():
    before = msgspec.structs.replace(
        heard_until([], LONG_AGO, NOW), marks=frozenset(bytes([number] * 6) for number in range(MAX_REMEMBERED + 1))
    )
    assert heard_in_part([], before, NOW).marks == frozenset()
