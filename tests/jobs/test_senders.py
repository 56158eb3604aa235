"""Contract: section 1, `options.src`."""

import pytest

from heliograph.jobs.senders import sender_doubt, sender_fault


@pytest.mark.parametrize(
    "src", ["+4917612345678", "1", "12345678901234567890", "+" + "1" * 20, "Heliograph", "A & B, Ltd.", "~"]
)
def test_a_good_sender_id_has_no_fault(src):
    assert sender_fault(src) is None


@pytest.mark.parametrize(
    ("src", "fault"),
    [
        ("", "it is empty"),
        ("Heliographica", "it has 13 characters"),
        ("1" * 21, "it has 21 characters"),
        ("Müller", "it contains 'ü'"),
        ("a\nb", r"it contains '\n'"),
        ("Heliograph\n", r"it contains '\n'"),
        ("١٢٣٤", "it contains '١'"),
    ],
)
def test_a_bad_sender_id_is_told_what_is_wrong_and_what_would_be_right(src, fault):
    assert sender_fault(src) == (
        f"{fault}; a sender ID is 1 to 20 digits after an optional '+', "
        "or 1 to 11 characters of A-Z, a-z, 0-9, space and ASCII punctuation"
    )


@pytest.mark.parametrize("src", ["", "+4917612345678", "12345678901234567890", "Heliograph", "A & B, Ltd.", "~~~~~"])
def test_a_sender_id_that_phones_show_is_in_no_doubt(src):
    assert sender_doubt(src) == ""


def test_a_sender_id_that_no_phone_shows_is_told_beforehand():  # TS 23.040, 9.1.2.5
    assert sender_doubt("a`b") == "by SMPP it would be refused: no phone shows '`' in a sender"
    assert sender_doubt("{{{{{{") == ("by SMPP it would be refused: the sender '{{{{{{' takes 12 places, more than 11")
