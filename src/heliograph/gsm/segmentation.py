"""A text as the parts it travels in, each of at most 140 octets with its header.

Standard: 3GPP TS 23.040, 9.2.3.24.1.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import regex

from heliograph.gsm import alphabet
from heliograph.gsm.carrying import Encoding


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A text cut into parts.

    parts: the text of each; together the whole text, unless it was `truncated`.
    """

    encoding: Encoding
    parts: tuple[str, ...]
    truncated: bool


def segment(text: str, encoding: Encoding, max_parts: int, *, wide: bool = False) -> Segmentation:
    """Cut a text into as few parts as can be, and into `max_parts` at most, dropping the rest.

    One part holds 160 septets or 70 UTF-16 units, each of several 153 or 67: that leaves room for a
    concatenation header with an 8-bit reference. With a `wide` one of 16 bits they hold 152 or 66.

    No cut falls inside an escape or surrogate pair, nor inside a grapheme cluster where that costs no part.
    Each part in turn ends with a whole cluster if what follows still fits into the parts left; where the rest
    is dropped anyway, every part does. So if any split into so few parts spares all clusters, this one does.
    A cluster longer than a part must be cut anyway, and counts as its single characters.

    max_parts: at least 1.
    Raises UncarriableCharacter with STANDARD, UnicodeEncodeError for a lone surrogate with UTF_16.
    """
    assert max_parts >= 1, "a text takes at least one part"
    data = payload(text, encoding)
    if len(data) <= _SINGLE_OCTETS[encoding]:
        return Segmentation(encoding, (text,), truncated=False)

    capacity = (_SINGLE_OCTETS if max_parts == 1 else _WIDE_OCTETS if wide else _CONCATENATED_OCTETS)[encoding]
    cutter = _Cutter(data, encoding, capacity)
    needed_count = cutter.part_count(at_most=max_parts)
    truncated = needed_count is None
    part_count = max_parts if needed_count is None else needed_count
    if encoding is Encoding.UTF_16:
        # No character is shorter than a unit. One part more shows if the last cluster is longer than a part.
        window = text[: (part_count + 1) * capacity // 2 + 1]
        cutter = replace(cutter, cluster_ends=_cluster_ends(window, capacity))

    parts: list[str] = []
    start = 0
    for parts_left in reversed(range(part_count)):
        end = cutter.end(start)
        cluster_end = cutter.cluster_end(end)
        if cluster_end < end and (truncated or cutter.part_count(cluster_end, at_most=parts_left) is not None):
            end = cluster_end
        parts.append(_text(data[start:end], encoding))
        start = end
    return Segmentation(encoding, tuple(parts), truncated)


def payload(part: str, encoding: Encoding) -> bytes:
    """The user data of one part, without header: unpacked septets for STANDARD, big-endian UTF-16.

    Raises as `segment` does.
    """
    return alphabet.encode(part) if encoding is Encoding.STANDARD else part.encode("utf-16-be")


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts between characters. Lengths and positions are octets of payload."""

    data: bytes
    encoding: Encoding
    capacity: int
    cluster_ends: Sequence[int] = ()
    """Where cuts spare the grapheme clusters of UTF-16, ascending; empty if all cuts do."""

    def end(self, start: int) -> int:
        """Where the longest part from `start` ends."""
        end = start + self.capacity
        if end >= len(self.data):
            return len(self.data)
        if self.encoding is Encoding.STANDARD:
            # An escaped character stays whole (TS 23.040, 9.2.3.24.1).
            return end - 1 if self.data[end - 1] == alphabet.ESCAPE else end
        high_surrogate = 0xD8 <= self.data[end - 2] <= 0xDB
        return end - 2 if high_surrogate else end

    def part_count(self, start: int = 0, *, at_most: int) -> int | None:
        """How many parts the data from `start` on needs; None for more than `at_most`."""
        count = 0
        while start < len(self.data):
            if count == at_most:
                return None
            start = self.end(start)
            count += 1
        return count

    def cluster_end(self, end: int) -> int:
        """The last place up to `end` where a cut spares all grapheme clusters."""
        if self.encoding is Encoding.STANDARD:
            # The one cluster that the GSM alphabet can spell.
            return end - 1 if self.data[end - 1 : end + 1] == b"\r\n" else end
        return self.cluster_ends[bisect_right(self.cluster_ends, end) - 1] if self.cluster_ends else end


def _cluster_ends(text: str, capacity: int) -> Sequence[int]:
    if not _JOINING.search(text):
        return ()
    lengths: list[int] = []
    for cluster in _CLUSTER.findall(text):
        length = len(cluster.encode("utf-16-be"))
        lengths += (length,) if length <= capacity else (len(c.encode("utf-16-be")) for c in cluster)
    return tuple(accumulate(lengths))


def _text(data: bytes, encoding: Encoding) -> str:
    return alphabet.decode(data) if encoding is Encoding.STANDARD else data.decode("utf-16-be")


_SINGLE_OCTETS: Final = {Encoding.STANDARD: 160, Encoding.UTF_16: 2 * 70}
_CONCATENATED_OCTETS: Final = {Encoding.STANDARD: 153, Encoding.UTF_16: 2 * 67}
_WIDE_OCTETS: Final = {Encoding.STANDARD: 152, Encoding.UTF_16: 2 * 66}

# Flags are spelt out because \X looks back to the first of a row of them, each time again.
_CLUSTER: Final = regex.compile(r"\p{RI}{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*|\X")

_JOINING: Final = regex.compile(
    r"""(?x)
      \r\n
    | [\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{RI}]
    """
)
"""Matches in every cluster of more than one character (Unicode Standard Annex 29, 3.1.1)."""
