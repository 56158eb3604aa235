"""SMPP 3.4, 3.2.2 and 5.1.1."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.smpp.errors import RemoteProtocolError
from heliograph.smpp.framing import LONGEST_PDU, Framer

frames = st.binary(max_size=30).map(lambda body: (16 + len(body)).to_bytes(4, "big") + bytes(12) + body)


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 300), max_size=10))
def test_any_chunking_of_a_stream_gives_the_same_pdus(pdus, cuts):
    stream, framer = b"".join(pdus), Framer()
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert [frame for chunk in chunks for frame in framer.feed(chunk)] == pdus


def test_octet_by_octet_is_a_chunking_too():
    pdu = bytes.fromhex("00000011 00000004 00000000 00000001 FF")
    framer = Framer()
    assert [frame for octet in pdu + pdu for frame in framer.feed(bytes((octet,)))] == [pdu, pdu]


@pytest.mark.parametrize("length_octets", [0, 1, 15, LONGEST_PDU + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_refused_as_soon_as_it_is_read(length_octets):  # 5.1.1
    with pytest.raises(RemoteProtocolError, match=f"announced with {length_octets} octets"):
        list(Framer().feed(length_octets.to_bytes(4, "big")))


@pytest.mark.parametrize("length_octets", [16, LONGEST_PDU])
def test_the_shortest_and_the_longest_pdu_are_read(length_octets):
    pdu = length_octets.to_bytes(4, "big") + bytes(length_octets - 4)
    assert list(Framer().feed(pdu)) == [pdu]


def test_pdus_before_a_bad_length_are_given_first():
    pdu = bytes.fromhex("00000010 00000015 00000000 00000001")
    frames = Framer().feed(pdu + bytes(4))
    assert next(frames) == pdu
    with pytest.raises(RemoteProtocolError):
        next(frames)


def test_nothing_is_set_aside_for_what_was_only_announced():
    framer = Framer()
    assert list(framer.feed(LONGEST_PDU.to_bytes(4, "big"))) == []
    assert len(framer._held) == 4
