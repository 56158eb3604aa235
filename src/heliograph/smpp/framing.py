"""A stream of bytes, cut anywhere, as whole PDUs.

Standard: SMPP 3.4, 3.2.2 and 5.1.1 (command_length).
"""

import struct
from collections.abc import Iterator
from typing import Final

from heliograph.smpp.errors import RemoteProtocolError
from heliograph.smpp.pdus import HEADER_OCTETS

LONGEST_PDU: Final = 128 * 1024
"""A message_payload of 64 KiB and all else fits twice. Who announces more sends no SMPP."""


class Framer:
    """Holds what came of a PDU until the rest has come: never more than one PDU and one piece of the stream."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted_octets = _LENGTH.size

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The PDUs that are whole with `data`; to be iterated to its end.

        Raises RemoteProtocolError after the last good PDU where a length can't be; nothing can be read after that.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._wanted_octets:
                return
            data = bytes(self._held)
            self._held.clear()
        start, end = 0, len(data)
        self._wanted_octets = _LENGTH.size
        while end - start >= _LENGTH.size:
            (length_octets,) = _LENGTH.unpack_from(data, start)
            if not HEADER_OCTETS <= length_octets <= LONGEST_PDU:
                raise RemoteProtocolError(f"a PDU announced with {length_octets} octets")
            if end - start < length_octets:
                self._wanted_octets = length_octets
                break
            yield data[start : start + length_octets]
            start += length_octets
        self._held += data[start:]


_LENGTH: Final = struct.Struct(">I")
