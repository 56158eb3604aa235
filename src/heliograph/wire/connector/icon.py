"""`icon.png`: a heliograph, drawn here: a mirror on its stand that flashes a letter in Morse code.

The platform's rules: square, 100 to 230 pixels, opaque, the background as `iconBrandColor`, the drawing on at most 70 %
of the side.
"""

from functools import cache
from math import hypot
from struct import pack
from typing import NamedTuple
from zlib import adler32, crc32

SIDE = 200
"""Pixels."""


class _Stroke(NamedTuple):
    """A line with round ends, or a dot where it ends as it begins. All in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    bright: bool

    def distance(self, x: float, y: float) -> float:
        """From a point to the stroke's edge; negative inside."""
        along_x, along_y = self.x2 - self.x1, self.y2 - self.y1
        length = along_x * along_x + along_y * along_y
        along = ((x - self.x1) * along_x + (y - self.y1) * along_y) / length if length else 0.0
        along = min(max(along, 0.0), 1.0)
        return hypot(x - self.x1 - along * along_x, y - self.y1 - along * along_y) - self.width / 2


_MIRROR_X, _MIRROR_Y, _MIRROR_RADIUS = 80.0, 104.0, 34.0
_DIAGONAL = 0.5**0.5
_FLASH = ((50.0, 50.0), (64.0, 80.0), (94.0, 94.0))
"""From where to where, along the flash: dot, dash, dot, the letter R for "received"."""


def icon(background: str) -> bytes:
    """The icon as a PNG file. background: `#rrggbb`.

    It is not compressed, because what a compressor makes depends on its version, and this must not.
    """
    colours = _palette(background)
    rows = b"".join(b"\x00" + row for row in _rows())
    header = pack(">IIBBBBB", SIDE, SIDE, 8, 3, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"PLTE", colours), _chunk(b"IDAT", _stored(rows)), _chunk(b"IEND", b""))
    )


_SHADES = 32
"""Of each of the two colours, from the background to the colour itself."""
_WHITE = (255, 255, 255)
_SUN = (255, 196, 64)


def _palette(background: str) -> bytes:
    ground = bytes.fromhex(background.removeprefix("#"))
    return bytes(
        round(below + (above - below) * shade / (_SHADES - 1))
        for colour in (_WHITE, _SUN)
        for shade in range(_SHADES)
        for below, above in zip(ground, colour, strict=True)
    )


@cache
def _rows() -> tuple[bytes, ...]:
    """Places in the palette, row by row."""
    strokes = _strokes()
    return tuple(bytes(_shade(x + 0.5, y + 0.5, strokes) for x in range(SIDE)) for y in range(SIDE))


def _strokes() -> tuple[_Stroke, ...]:
    foot_y = _MIRROR_Y + 60
    flash = (
        _Stroke(_MIRROR_X + begin, _MIRROR_Y - begin, _MIRROR_X + end, _MIRROR_Y - end, 13, bright=True)
        for begin, end in ((begin * _DIAGONAL, end * _DIAGONAL) for begin, end in _FLASH)
    )
    return (
        _Stroke(_MIRROR_X, _MIRROR_Y + _MIRROR_RADIUS, _MIRROR_X, foot_y - 16, 11, bright=False),
        _Stroke(_MIRROR_X, foot_y - 16, _MIRROR_X - 30, foot_y, 11, bright=False),
        _Stroke(_MIRROR_X, foot_y - 16, _MIRROR_X + 30, foot_y, 11, bright=False),
        *flash,
    )


def _shade(x: float, y: float, strokes: tuple[_Stroke, ...]) -> int:
    from_mirror = hypot(x - _MIRROR_X, y - _MIRROR_Y)
    white = abs(from_mirror - _MIRROR_RADIUS) - 5.5  # the mirror's frame
    sun = from_mirror - _MIRROR_RADIUS + 13  # what it mirrors
    for stroke in strokes:
        distance = stroke.distance(x, y)
        if stroke.bright:
            sun = min(sun, distance)
        else:
            white = min(white, distance)
    distance, first = (sun, _SHADES) if sun < white else (white, 0)
    covered = min(max(0.5 - distance, 0.0), 1.0)  # how much of the pixel, on an edge
    return first + round(covered * (_SHADES - 1))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + kind + content + pack(">I", crc32(kind + content))


_LARGEST_BLOCK = 65535


def _stored(content: bytes) -> bytes:
    """A zlib stream of blocks that are stored as they are (RFC 1950, RFC 1951)."""
    blocks = [content[start : start + _LARGEST_BLOCK] for start in range(0, len(content), _LARGEST_BLOCK)]
    stream = b"".join(pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks)
    return b"\x78\x01" + stream + pack(">I", adler32(content))
