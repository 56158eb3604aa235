"""User data headers: information elements before the text, concatenation among them.

Standard: 3GPP TS 23.040, 9.2.3.24.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


class MalformedHeader(ValueError):
    """Octets that claim to be a user data header and are none."""


@dataclass(frozen=True, slots=True)
class InformationElement:
    """One element, known to us or not.

    identifier: 0 to 255.
    data: at most 255 octets.
    """

    identifier: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Which part of which concatenated message this is.

    reference: equal in all parts; 0 to 255, or to 65535 if `wide`.
    part_count: 1 to 255.
    part_number: 1 to `part_count`.
    wide: the reference takes 16 bits instead of 8.
    Raises ValueError outside these ranges.
    Standard: 9.2.3.24.1 (8 bits), 9.2.3.24.8 (16 bits).
    """

    reference: int
    part_count: int
    part_number: int
    wide: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.reference <= (0xFFFF if self.wide else 0xFF):
            raise ValueError(f"concatenation reference {self.reference} is out of range")
        if not 1 <= self.part_number <= self.part_count <= 0xFF:
            raise ValueError(f"part {self.part_number} of {self.part_count} cannot be")

    def element(self) -> InformationElement:
        """The information element that says so."""
        reference = self.reference.to_bytes(2 if self.wide else 1, "big")
        identifier = _CONCATENATION_16_BIT if self.wide else _CONCATENATION_8_BIT
        return InformationElement(identifier, reference + bytes((self.part_count, self.part_number)))


def build(elements: Iterable[InformationElement]) -> bytes:
    """A user data header, its length octet first.

    Raises ValueError when elements are too long for it.
    """
    body = b"".join(bytes((e.identifier, len(e.data))) + e.data for e in elements)
    return bytes((len(body),)) + body


def parse(user_data: bytes) -> tuple[tuple[InformationElement, ...], bytes]:
    """Split user data that begins with a header into the header's elements and the octets after it.

    Packed septets after it begin with fill bits: see `septets.fill_bits_after`.
    Raises MalformedHeader when lengths do not add up; the standard then ignores the whole header.
    """
    if not user_data:
        raise MalformedHeader("no user data header: there are no octets")
    end = 1 + user_data[0]
    if end > len(user_data):
        raise MalformedHeader(f"a header of {end} octets in user data of {len(user_data)}")
    elements: list[InformationElement] = []
    start = 1
    while start < end:
        data_start = start + 2
        data_end = data_start + user_data[start + 1] if data_start <= end else data_start
        if data_end > end:
            raise MalformedHeader(f"the element at octet {start} reaches beyond the header's {end} octets")
        elements.append(InformationElement(user_data[start], user_data[data_start:data_end]))
        start = data_end
    return tuple(elements), user_data[end:]


def concatenation(elements: Iterable[InformationElement]) -> Concatenation | None:
    """What the elements say of concatenation; None when nothing, or nothing possible.

    Raises MalformedHeader when a concatenation element has the wrong length.
    """
    found = None
    for element in elements:
        length_octets = _CONCATENATION_OCTETS.get(element.identifier)
        if length_octets is None:
            continue
        if len(element.data) != length_octets:
            raise MalformedHeader(
                f"concatenation element 0x{element.identifier:02X} has {len(element.data)} octets, not {length_octets}"
            )
        *reference, part_count, part_number = element.data
        if 1 <= part_number <= part_count:  # Otherwise the element is to be ignored (9.2.3.24.1).
            wide = element.identifier == _CONCATENATION_16_BIT
            # Of several, also of both kinds, the last one counts (9.2.3.24).
            found = Concatenation(int.from_bytes(reference, "big"), part_count, part_number, wide)
    return found


_CONCATENATION_8_BIT: Final = 0x00
_CONCATENATION_16_BIT: Final = 0x08
_CONCATENATION_OCTETS: Final = {_CONCATENATION_8_BIT: 3, _CONCATENATION_16_BIT: 4}
