"""Which phones are remembered, so that an id that an SMSC gave twice brings nobody else's receipt."""

from heliograph.carriers.smpp.sent_to import MOST_REMEMBERED, SentTo


def sent_to(*dsts, src="12345"):
    made = SentTo()
    for dst in dsts:
        made.add(dst, src)
    return made


def test_a_phone_is_known_however_the_carrier_writes_it():
    made = sent_to("+4917612345678")
    assert [made.knows(phone) for phone in ("4917612345678", "017612345678", "17612345678")] == [True] * 3
    assert [made.knows(phone) for phone in ("4917612345679", "345678", "")] == [False] * 3


def test_a_phone_that_is_a_sender_too_says_nothing():
    assert not sent_to("+4917612345678", "+4917612345679", src="+4917612345678").knows("4917612345678")


def test_the_latest_are_remembered():
    made = sent_to(*(f"+49176{number:08}" for number in range(MOST_REMEMBERED)))
    made.add("+4917600000000", "12345")
    made.add("+4917699999999", "12345")
    assert [made.knows(f"4917600{number:06}") for number in range(3)] == [True, False, True]
