"""Contract: section 1, "Status of one SMS", `reason`."""

import pytest

from heliograph.jobs.carriage import MessageState, Permanence, Receipt, answer_reason, receipt_reason
from tests.fakes.builders import NOW

FINAL = {
    MessageState.DELIVERED,
    MessageState.EXPIRED,
    MessageState.DELETED,
    MessageState.UNDELIVERABLE,
    MessageState.REJECTED,
    MessageState.SKIPPED,
    MessageState.SKIPPED,
}


def test_a_receipt_in_the_carrier_s_own_words():
    reason = receipt_reason(Receipt("1", MessageState.DELIVERED, NOW))
    assert reason == "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)"


def test_what_else_the_carrier_said_is_added():
    assert receipt_reason(Receipt("1", MessageState.UNDELIVERABLE, NOW, "err:042")).endswith(") err:042")


def test_a_receipt_that_could_not_be_read_says_so():
    reason = receipt_reason(Receipt("1", None, NOW))
    assert "(Intermediate)" in reason
    assert "could not be read" in reason


@pytest.mark.parametrize("state", MessageState)
def test_accepted_enroute_and_unknown_are_not_final(state):  # SMPP 3.4, 5.2.28
    word = "Final" if state in FINAL else "Intermediate"
    assert f"message_state:{state.name} [{state.value:08x}] ({word}) (" in receipt_reason(Receipt("1", state, NOW))


@pytest.mark.parametrize(
    ("permanence", "word"),
    [
        (Permanence.THROTTLED, "Temporary"),
        (Permanence.PASSING, "Temporary"),
        (Permanence.DOUBTFUL, "Temporary"),
        (Permanence.LASTING, "Permanent"),
        (Permanence.BAD_NUMBER, "Permanent"),
    ],
)
def test_an_answer_in_the_carrier_s_own_words(permanence, word):
    reason = answer_reason("ESME_RTHROTTLED", 0x58, permanence, "Throttling error.")
    assert reason == f"command_status:ESME_RTHROTTLED [00000058] ({word}) (Throttling error.)"
