"""Contract: section 1, JobRequest: the one table of options."""

import pytest

from heliograph.gsm.segmentation import Encoding
from heliograph.gsm.transliteration import InvalidCharacters
from heliograph.jobs.options import OPTIONS, JobOptions, Qos, camel_case

BY_NAME = {option.wire_name: option for option in OPTIONS}

CONTRACT_DEFAULTS = {
    "src": "",
    "encoding": Encoding.STANDARD,
    "billcode": "",
    "statusRequested": False,
    "flash": False,
    "customerRef": "",
    "validityMin": 0,
    "maxParts": 20,
    "invalidCharacters": InvalidCharacters.TO_UTF16,
    "qos": Qos.NORMAL,
    "jobPeriod": None,
    "duplicateDetection": False,
    "blackoutPeriods": (),
}


def test_the_options_and_their_defaults_are_the_contract_s():
    assert {option.wire_name: option.default for option in OPTIONS} == CONTRACT_DEFAULTS


def test_every_option_is_described_in_one_sentence_at_least():
    assert all(option.rule.description.endswith(".") for option in OPTIONS)


@pytest.mark.parametrize(("name", "minimum", "maximum"), [("validityMin", 5, 2880), ("maxParts", 1, 20)])
def test_numbers_have_their_ranges(name, minimum, maximum):
    assert (BY_NAME[name].rule.minimum, BY_NAME[name].rule.maximum) == (minimum, maximum)


def test_a_validity_of_0_is_the_carrier_s_default():
    assert BY_NAME["validityMin"].rule.zero
    assert BY_NAME["maxParts"].rule.zero is None


@pytest.mark.parametrize(("name", "length"), [("billcode", 70), ("customerRef", 255)])
def test_texts_have_their_lengths(name, length):
    assert BY_NAME[name].rule.max_length == length


def test_kinds_are_without_none():
    assert BY_NAME["jobPeriod"].kind.__name__ == "datetime"


def test_wire_names_are_in_camel_case():
    assert camel_case("duplicate_detection") == "duplicateDetection"
    assert camel_case("src") == "src"


def test_a_sender_id_knows_what_is_wrong_with_it():
    assert BY_NAME["src"].rule.fault("x" * 12)
    assert BY_NAME["src"].rule.fault("heliograph") is None


def test_options_are_values():
    assert JobOptions(billcode="a") == JobOptions(billcode="a")
