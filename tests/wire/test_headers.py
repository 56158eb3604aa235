"""wire/headers.py: the Idempotency-Key (contract, section 2)."""

import re

import pytest

from heliograph.jobs.errors import RequestInvalid
from heliograph.wire.headers import KEY_PATTERN, parse_idempotency_key


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        ("  abc ", "abc"),
        ("x", "x"),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
        (r'"a\"b\\c"', 'a"b\\c'),
        ('a"b', 'a"b'),
        ("a\\b", "a\\b"),
        ("abc;d=1,e", "abc;d=1,e"),
    ],
)
def test_a_key_may_be_quoted_or_not(sent, key):
    assert parse_idempotency_key([sent]) == key
    assert re.match(KEY_PATTERN, sent.strip())


@pytest.mark.parametrize("sent", [[], [""], [" "], ["", ""]])
def test_without_the_header_or_with_nothing_in_it_there_is_no_key(sent):
    assert parse_idempotency_key(sent) is None


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (['""'], "it is empty"),
        (["k" * 256], "it has 256"),
        ([f'"{"k" * 256}"'], "it has 256"),
        (["a b"], "visible ASCII"),
        (['"a b"'], "visible ASCII"),
        (["Schlüssel"], "visible ASCII"),
        (["a\tb"], "visible ASCII"),
        (['"abc'], "don't match"),
        (['"abc";d=1'], "don't match"),
        (['"a"b"'], "don't match"),
        ([r'"a\b"'], "don't match"),
        (["one", "two"], "it is given 2 times"),
    ],
)
def test_what_is_no_key_is_told_as_a_fault_of_the_header(sent, told):
    assert len(sent) > 1 or not re.match(KEY_PATTERN, sent[0])
    with pytest.raises(RequestInvalid, match=told) as refused:
        parse_idempotency_key(sent)
    assert [fault.field for fault in refused.value.faults] == ["Idempotency-Key"]
