"""wire/bodies.py: bytes of a body → JSON values."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.errors import RequestInvalid
from heliograph.wire.bodies import decode_body, fingerprint


def fields_refused(body: bytes) -> list[str]:
    with pytest.raises(RequestInvalid) as refused:
        decode_body(body)
    return [fault.field for fault in refused.value.faults]


def test_a_byte_order_mark_is_passed_over():
    assert decode_body(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"  \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_told_as_such(body):
    with pytest.raises(RequestInvalid, match="the body is empty; send a JobRequest as JSON"):
        decode_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b"NaN",
        b"1 2",
        b'{"a": 1,}',
        b"text",
        b"\x00",
        b'{"a": 1e999',
        b"[1e999, NaN]",
        b"01e999",
        b"1e999,",
    ],
)
def test_what_is_no_json_is_told_as_such(body):
    with pytest.raises(RequestInvalid, match="the body is not JSON"):
        decode_body(body)


@pytest.mark.parametrize("number", ["1E400", "-1e999", "1" * 5000, "-" + "9" * 5000, "123.5e400"])
def test_a_number_beyond_a_double_is_a_number(number):
    value = decode_body(f'{{"a": [{{"b": {number}}}, "\\n", 1.5, 2, true, null]}}'.encode())
    beyond = value["a"][0].pop("b")
    assert value == {"a": [{}, "\n", 1.5, 2, True, None]}
    assert abs(beyond) > 1e308
    assert (beyond < 0) == number.startswith("-")
    fingerprint(decode_body(number.encode()))


def test_beside_a_number_beyond_a_double_lone_surrogates_are_told():
    assert fields_refused(rb'{"a": 1E400, "b": "\ud800"}') == ["b"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'"\xff"', 1),
        (b'"\xed\xa0\x80"', 1),
        ('"Grüße"'.encode("latin-1"), 3),
        (b'{"a": "b\xff"}', 8),
        (b'\xef\xbb\xbf{"a": "b\xff"}', 11),
    ],
)
def test_what_is_not_utf_8_is_told_with_its_place(body, place):
    with pytest.raises(RequestInvalid, match=f"the body is not UTF-8: byte {place} can't be read; send JSON in UTF-8"):
        decode_body(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_a_body_that_is_nested_too_deeply_is_told_as_such(body):
    with pytest.raises(RequestInvalid, match="nested too deeply"):
        decode_body(body)


def test_lone_surrogates_are_told_with_their_paths():
    body = rb"""{"options": {"src": "\ud800"}, "messages": [
        {"text": "\udc00", "recipients": [{"dst": "+49"}, {"dst": "\ud83d\ude00"}, {"dst": "a\ud83d"}]}]}"""
    assert fields_refused(body) == ["options.src", "messages[0].text", "messages[0].recipients[2].dst"]


def test_a_lone_surrogate_in_a_name_is_told_with_what_can_be_shown_of_it():
    assert fields_refused(rb'{"a\ud800": {"b": 1}}') == ["a?"]


def test_a_lone_surrogate_deep_down_is_refused_too():
    with pytest.raises(RequestInvalid):
        decode_body(b"[" * 900 + rb'"\ud800"' + b"]" * 900)


def test_a_pair_of_surrogates_is_the_character_it_means():
    assert decode_body(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":[2]}', b'{ "b" : [2],\n"a" : 1 }'),
        (rb'{"a":"\u00e9"}', '{"a":"é"}'.encode()),
        (b'{"a":{"x":1,"y":2}}', b'{"a":{"y":2,"x":1}}'),
        (b'{"a":[5,-0.0,{"b":60}]}', b'{"a":[5.0,0,{"b":6e1}]}'),
        (b'{"a":{"x":1}}', b'{"a":{"x":1,"y":null},"b":null}'),
    ],
)
def test_the_same_json_value_has_the_same_fingerprint(one, other):
    assert fingerprint(decode_body(one)) == fingerprint(decode_body(other))


@pytest.mark.parametrize(
    "other", [b'{"a":[2,1]}', b'{"a":["1","2"]}', b'{"a":[1,2.5]}', b'{"a":[1,2,null]}', b"[1,2]", b'{"a":[true,2]}']
)
def test_another_json_value_has_another_fingerprint(other):
    assert fingerprint(decode_body(b'{"a":[1,2]}')) != fingerprint(decode_body(other))


def test_a_value_nested_too_deeply_for_a_fingerprint_is_told_as_such():
    value: object = 5
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RequestInvalid, match="nested too deeply"):
        fingerprint(value)


def test_a_number_of_any_size_has_a_fingerprint():
    assert len(fingerprint(decode_body(b"123456789012345678901234567890"))) == 16


@given(st.binary() | st.text().map(lambda text: json.dumps(text).encode()))
def test_any_bytes_give_a_value_or_an_invalid_request(body):
    try:
        decode_body(body)
    except RequestInvalid as refused:
        str(refused).encode()
