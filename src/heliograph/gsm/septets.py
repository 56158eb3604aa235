"""Septets packed into octets, and back.

Standard: 3GPP TS 23.038, 6.1.2.1 (SMS) and 6.1.2.3.1 (padding where the length is told in octets).
"""

from typing import Final


def pack(septets: bytes, *, fill_bits: int = 0, cr_padding: bool = False) -> bytes:
    """Pack septets, the first into the lowest bits.

    fill_bits: 0 to 6 zero bits before the first septet; see `fill_bits_after`.
    cr_padding: for a reader that is told the length in octets alone. A carriage return stands where seven
    spare bits would read as "@"; one of the text is doubled where it would pass for such padding.
    Raises ValueError for an octet over 0x7F.
    """
    if not septets.isascii():
        raise ValueError("an octet over 0x7F is no septet")
    if cr_padding:
        spare_bits = -(fill_bits + 7 * len(septets)) % 8
        if spare_bits == _SEPTET_BITS or (spare_bits == 0 and septets.endswith(_CR)):
            septets += _CR
    octets = bytearray()
    window, bit_count = 0, fill_bits
    for septet in septets:
        window |= septet << bit_count
        bit_count += 7
        if bit_count >= _OCTET_BITS:
            octets.append(window & 0xFF)
            window >>= 8
            bit_count -= 8
    if bit_count:
        octets.append(window)
    return bytes(octets)


def unpack(octets: bytes, count: int | None = None, *, fill_bits: int = 0) -> bytes:
    """Unpack septets.

    count: how many there are; None where only the octets tell: then all that fit, less a carriage return that
    ends on the last octet's boundary, as it is padding.
    Raises ValueError when there are fewer than `count`.
    """
    septets = bytearray()
    window = int.from_bytes(octets[:1], "little") >> fill_bits
    bit_count = 8 - fill_bits if octets else 0
    for octet in octets[1:]:
        if bit_count >= _SEPTET_BITS:
            septets.append(window & 0x7F)
            window >>= 7
            bit_count -= 7
        window |= octet << bit_count
        bit_count += 8
    while bit_count >= _SEPTET_BITS:
        septets.append(window & 0x7F)
        window >>= 7
        bit_count -= 7
    if count is None:
        ends_on_boundary = bit_count == 0
        return bytes(septets.removesuffix(_CR) if ends_on_boundary else septets)
    if count > len(septets):
        raise ValueError(f"{len(octets)} octets hold {len(septets)} septets, not {count}")
    return bytes(septets[:count])


def fill_bits_after(header_octets: int) -> int:
    """How many fill bits let the text begin on a septet boundary after a user data header.

    header_octets: the whole header, its length octet included.
    Standard: 3GPP TS 23.040, 9.2.3.24.
    """
    return -8 * header_octets % 7


_SEPTET_BITS: Final = 7
_OCTET_BITS: Final = 8
_CR: Final = b"\r"
