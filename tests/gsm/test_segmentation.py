"""3GPP TS 23.040, 9.2.3.24.1; contract, section 1, `options.maxParts`."""

import itertools

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm.alphabet import CARRIABLE, UncarriableCharacter
from heliograph.gsm.segmentation import Encoding, Segmentation, payload, segment

STANDARD, UTF_16 = Encoding.STANDARD, Encoding.UTF_16
FAMILY = "👨‍👩‍👧‍👦"  # 11 UTF-16 units
FACE = "😀"  # a surrogate pair

alphabets = {
    STANDARD: st.one_of(st.sampled_from(sorted(CARRIABLE)), st.sampled_from(["a", "€", "\r\n"])),
    UTF_16: st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from(["a", "é", FACE, FAMILY, "e\u0301", "\r\n", "🇩🇪", "한", "\u1112\u1161\u11ab", "\u200d", "🇩"]),
    ),
}


@st.composite
def encoded_texts(draw):
    encoding = draw(st.sampled_from(Encoding))
    pieces = draw(st.lists(alphabets[encoding], min_size=1, max_size=60))
    return "".join(pieces) * draw(st.integers(1, 12)), encoding


def split(text, encoding, max_parts=20):
    return list(segment(text, encoding, max_parts).parts)


def lengths(text, encoding, max_parts=20):
    unit_octets = 1 if encoding is STANDARD else 2
    return [len(payload(part, encoding)) // unit_octets for part in split(text, encoding, max_parts)]


def ends(pieces):
    return set(itertools.accumulate(map(len, pieces)))


def cluster_ends(text):
    return ends(regex.findall(r"\X", text))


def fewest_parts(pieces, encoding):
    """How many parts it takes to carry these pieces whole."""
    capacity = 153 if encoding is STANDARD else 134
    count, free = 1, capacity
    for piece in pieces:
        length = len(payload(piece, encoding))
        if length > free:
            count, free = count + 1, capacity
        free -= length
    return count


def test_the_payload_of_standard_is_unpacked_septets():
    assert payload("@€", STANDARD) == b"\x00\x1b\x65"


def test_the_payload_of_utf_16_is_big_endian_without_a_byte_order_mark():
    assert payload("aé😀", UTF_16) == bytes.fromhex("0061 00E9 D83D DE00")


@pytest.mark.parametrize(
    ("encoding", "length", "parts"),
    [
        (STANDARD, 1, [1]),
        (STANDARD, 160, [160]),
        (STANDARD, 161, [153, 8]),
        (STANDARD, 2 * 153, [153, 153]),
        (STANDARD, 2 * 153 + 1, [153, 153, 1]),
        (UTF_16, 70, [70]),
        (UTF_16, 71, [67, 4]),
        (UTF_16, 2 * 67, [67, 67]),
        (UTF_16, 2 * 67 + 1, [67, 67, 1]),
    ],
)
def test_one_part_holds_160_septets_or_70_units_and_each_of_several_153_or_67(encoding, length, parts):
    assert lengths("a" * length, encoding) == parts


@pytest.mark.parametrize(
    ("encoding", "length", "parts"),
    [
        (STANDARD, 160, [160]),
        (STANDARD, 161, [152, 9]),
        (STANDARD, 2 * 152, [152, 152]),
        (STANDARD, 2 * 152 + 1, [152, 152, 1]),
        (UTF_16, 70, [70]),
        (UTF_16, 2 * 66, [66, 66]),
        (UTF_16, 2 * 66 + 1, [66, 66, 1]),
    ],
)
def test_with_a_reference_of_16_bits_each_of_several_holds_152_or_66(encoding, length, parts):  # 9.2.3.24.8
    cut = segment("a" * length, encoding, 20, wide=True)
    assert [len(part) for part in cut.parts] == parts


def test_an_escaped_character_and_a_surrogate_pair_stay_whole_with_16_bits_as_well():
    assert segment("a" * 151 + "€" + "b" * 20, STANDARD, 20, wide=True).parts[0] == "a" * 151
    assert segment("a" * 65 + FACE + "b" * 20, UTF_16, 20, wide=True).parts[0] == "a" * 65


def test_an_extension_character_counts_two_septets():
    assert lengths("€" * 80, STANDARD) == [160]
    assert lengths("€" * 81, STANDARD) == [152, 10]


def test_an_escaped_character_stays_whole():  # 9.2.3.24.1
    assert split("a" * 152 + "€" + "b" * 20, STANDARD) == ["a" * 152, "€" + "b" * 20]


def test_a_surrogate_pair_stays_whole():
    assert split("a" * 66 + FACE + "b" * 20, UTF_16) == ["a" * 66, FACE + "b" * 20]


@pytest.mark.parametrize("cluster", [FAMILY, "e\u0301", "\r\n", "🇩🇪", "👍🏽", "क्षि", "\u1112\u1161\u11ab"])
def test_a_grapheme_cluster_stays_whole(cluster):  # Unicode Standard Annex 29
    assert split("a" * 66 + cluster + "b" * 20, UTF_16) == ["a" * 66, cluster + "b" * 20]


def test_a_line_end_of_two_characters_stays_whole():
    assert split("a" * 152 + "\r\n" + "b" * 20, STANDARD) == ["a" * 152, "\r\n" + "b" * 20]


def test_a_grapheme_cluster_is_cut_where_keeping_it_whole_costs_a_part():
    text = "a" * 66 + "e\u0301" + "b" * 66
    assert split(text, UTF_16) == ["a" * 66 + "e", "\u0301" + "b" * 66]


def test_as_many_grapheme_clusters_stay_whole_as_there_is_room_for():
    text = "a" * 66 + "e\u0301" + "b" * 65 + "e\u0301" + "c" * 66  # 201 units, one for each end of a part
    assert split(text, UTF_16) == ["a" * 66 + "e", "\u0301" + "b" * 65 + "e", "\u0301" + "c" * 66]
    assert split(text[:-1], UTF_16) == ["a" * 66, "e\u0301" + "b" * 65, "e\u0301" + "c" * 65]


def test_a_grapheme_cluster_longer_than_a_part_is_cut_like_any_text():
    assert lengths("a" * 60 + "e" + "\u0301" * 100, UTF_16) == [67, 67, 27]


def test_an_empty_text_is_one_empty_part():
    assert segment("", STANDARD, 1) == Segmentation(STANDARD, ("",), truncated=False)


def test_a_longer_text_is_cut_to_the_parts_allowed():
    assert segment("a" * 500, STANDARD, 2) == Segmentation(STANDARD, ("a" * 153, "a" * 153), truncated=True)
    assert segment("a" * 306, STANDARD, 2).truncated is False


@pytest.mark.parametrize(("encoding", "length"), [(STANDARD, 160), (UTF_16, 70)])
def test_a_text_cut_to_one_part_fills_a_whole_one(encoding, length):
    assert segment("a" * 500, encoding, 1) == Segmentation(encoding, ("a" * length,), truncated=True)


@pytest.mark.parametrize(
    ("text", "encoding", "kept"),
    [
        ("a" * 159 + "€", STANDARD, 159),
        ("a" * 159 + "\r\n", STANDARD, 159),
        ("a" * 69 + FACE, UTF_16, 69),
        ("a" * 60 + FAMILY, UTF_16, 60),
        ("a" * 69 + "e\u0301", UTF_16, 69),
        ("e" + "\u0301" * 100, UTF_16, 70),  # longer than a part: cut anyway
    ],
)
def test_a_text_is_dropped_from_the_start_of_a_pair_or_cluster_on(text, encoding, kept):
    assert segment(text, encoding, 1) == Segmentation(encoding, (text[:kept],), truncated=True)


def test_where_the_rest_is_dropped_anyway_every_part_ends_with_a_whole_cluster():
    assert split("a" * 66 + "e\u0301" * 100, UTF_16, 2) == ["a" * 66, "e\u0301" * 33]


def test_a_character_outside_the_alphabet_is_refused():
    with pytest.raises(UncarriableCharacter):
        segment("日", STANDARD, 1)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(UnicodeEncodeError):
        segment("\ud83d", UTF_16, 1)


def test_a_row_of_flags_takes_no_longer_than_other_text():  # it would, with \X alone: seconds
    assert len(split("🇩🇪" * 100_000, UTF_16, 2000)) == 2000


@given(encoded_texts(), st.integers(1, 20))
def test_parts_rejoin_to_the_text_or_if_truncated_to_its_beginning(encoded_text, max_parts):
    text, encoding = encoded_text
    cut = segment(text, encoding, max_parts)
    whole = "".join(cut.parts)
    assert text.startswith(whole)
    assert cut.truncated == (whole != text)
    assert 1 <= len(cut.parts) <= max_parts
    assert all(cut.parts)


@given(encoded_texts(), st.integers(1, 20))
def test_no_part_is_over_capacity(encoded_text, max_parts):
    text, encoding = encoded_text
    cut = lengths(text, encoding, max_parts)
    single, concatenated = (160, 153) if encoding is STANDARD else (70, 67)
    assert max(cut) <= (single if len(cut) == 1 else concatenated)


@given(encoded_texts())
def test_parts_are_as_few_as_can_be(encoded_text):
    text, encoding = encoded_text
    cut = segment(text, encoding, 10_000)
    assert len(cut.parts) == 1 or len(cut.parts) == fewest_parts(text, encoding)


@given(encoded_texts())
def test_no_grapheme_cluster_is_cut_where_that_costs_no_part(encoded_text):
    text, encoding = encoded_text
    parts = segment(text, encoding, 10_000).parts
    clusters = regex.findall(r"\X", text)
    if len(parts) == fewest_parts(clusters, encoding) and all(len(cluster) <= 67 for cluster in clusters):
        assert ends(parts) <= cluster_ends(text)


@given(encoded_texts(), st.integers(1, 3))
def test_no_grapheme_cluster_is_cut_in_a_truncated_text(encoded_text, max_parts):
    text, encoding = encoded_text
    cut = segment(text, encoding, max_parts)
    if cut.truncated and all(len(payload(c, encoding)) <= 134 for c in regex.findall(r"\X", text)):
        assert ends(cut.parts) <= cluster_ends(text)
