"""SMPP 3.4, 5.1.3; smpp.md, 2.5."""

import pytest

from heliograph.smpp.statuses import CommandStatus, StatusKind, status_kind, status_meaning, status_name

K = StatusKind
CHECKLIST = {  # smpp.md, 2.5
    K.OK: [0x00],
    K.FLOW_CONTROL: [0x58, 0x14],
    K.SESSION: [0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x53],
    K.TEMPORARY: [0x08, 0x64, 0x102],
    K.DOUBTFUL: [0x45, 0xFF, 0xFE, 0x400, 0x4FF, 0x9999],
    K.BAD_NUMBER: [0x0B],
    K.SENDER: [0x0A, 0x48, 0x49],
    K.CONFIGURATION: [
        *(0x01, 0x02, 0x03, 0x06, 0x07, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x50, 0x51, 0x54, 0x55),
        *(0x61, 0x62, 0x63, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x104, 0x105, 0x106),
    ],
    K.POLICY: [0x65, 0x66, 0x100, 0x101, 0x103],
    K.OTHER_OPERATION: [0x0C, 0x11, 0x13, 0x67],
}


@pytest.mark.parametrize(("kind", "status"), [(k, s) for k, statuses in CHECKLIST.items() for s in statuses])
def test_each_status_is_of_its_kind(kind, status):
    assert status_kind(status) is kind


def test_every_status_is_in_the_checklist():
    assert {int(status) for status in CommandStatus} <= {s for statuses in CHECKLIST.values() for s in statuses}


@pytest.mark.parametrize("status", CommandStatus)
def test_every_status_has_a_meaning_in_a_sentence(status):
    assert status_name(status) == status.name
    assert status_meaning(status)[0].isupper()
    assert status_meaning(status).endswith(".")


def test_an_smsc_may_mean_something_else():
    assert status_kind(0x400, {0x400: K.FLOW_CONTROL}) is K.FLOW_CONTROL
    assert status_kind(0x0B, {0x0B: K.TEMPORARY}) is K.TEMPORARY
    assert status_kind(0x58, {0x400: K.FLOW_CONTROL}) is K.FLOW_CONTROL


def test_a_vendors_own_status_has_its_number_for_a_name():  # 5.1.3, 0x0400 to 0x04FF
    assert (status_name(0x401), status_meaning(0x401)) == ("0x00000401", "The carrier's own error.")
    assert status_meaning(0x9999) == "An error without a name in SMPP 3.4."
