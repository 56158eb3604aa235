"""Bytes of a request body → plain JSON values, with what clients in the wild send."""

import json
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from math import isfinite
from typing import cast

import msgspec

from heliograph.jobs.errors import FieldFault, RequestInvalid

MAX_TOLD = 10_000
"""How many fields at fault, or ignored, are told: more than a request made in good faith can have."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decode_body(body: bytes, faults: list[FieldFault] | None = None) -> object:
    """The JSON value of a body in UTF-8, with or without a byte order mark.

    faults: gets the fields whose text is not valid Unicode, so that the others can be looked at too; in the value a
    question mark stands for what is wrong. Without it RequestInvalid is raised for them. It is for any other body
    that can't be read.
    """
    whole, body = body, body.removeprefix(_BYTE_ORDER_MARK)
    if not body.strip():
        raise RequestInvalid("the body is empty; send a JobRequest as JSON")
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        wrong = f"the body is not UTF-8: byte {_first_not_utf_8(whole, error)} can't be read; send JSON in UTF-8"
        raise RequestInvalid(wrong) from error
    except RecursionError as error:
        raise RequestInvalid("the body is nested too deeply; send a JobRequest as JSON") from error
    except msgspec.MsgspecError as error:
        found, readable = _read_again(body)
        if not found and readable is not None and isinstance(error, msgspec.ValidationError):
            return readable  # That is a number beyond its reach, which JSON knows (RFC 8259, 6).
        if found and faults is not None:
            faults += found
            return readable
        if found:
            raise RequestInvalid.of(*found) from error
        raise RequestInvalid(f"the body is not JSON: {error}; send a JobRequest as JSON") from error


def _first_not_utf_8(body: bytes, error: UnicodeDecodeError) -> int:
    """Its place in the body; an error of the JSON decoder counts from where a string begins."""
    try:
        body.decode()
    except UnicodeDecodeError as of_body:
        return of_body.start
    return error.start


def fingerprint(raw: object) -> bytes:
    """The same 16 bytes for the same JSON value, whatever its spacing, key order and spelling of numbers.

    A field that is null is the same as none. Raises RequestInvalid if the value is nested too deeply.
    """
    try:
        return blake2b(msgspec.json.encode(_plain(raw), order="sorted"), digest_size=16).digest()
    except RecursionError as error:
        raise RequestInvalid("the body is nested too deeply; send a JobRequest as JSON") from error


def _plain(value: object) -> object:
    match value:
        case dict():
            fields = cast("dict[str, object]", value)
            return {name: _plain(field) for name, field in fields.items() if field is not None}
        case list():
            return [_plain(item) for item in cast("list[object]", value)]
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case _:
            return value


_EXACT = 2.0**53
"""Up to here, a float that is an integer is that one and no other."""


def _read_again(body: bytes) -> tuple[tuple[FieldFault, ...], object]:
    """Where lone surrogates are, and the value without them; None if it is no JSON."""
    # The standard library's decoder lets lone surrogates pass, so it can tell where they are, and leaves numbers to us.
    wrong = "is not valid Unicode: it has half of a surrogate pair; send both halves, or the character"
    try:
        value = json.loads(body.decode(), parse_int=_integer, parse_float=_float, parse_constant=_no_constant)
        paths = islice(_paths_of_broken_text(value, ""), MAX_TOLD)
        return tuple(FieldFault(_printable(path), wrong) for path in paths), _readable(value)
    except (ValueError, RecursionError):
        return (), None


def _integer(digits: str) -> int:
    if len(digits) <= _READ_DIGITS:
        return int(digits)
    return -_BEYOND if digits.startswith("-") else _BEYOND


def _float(number: str) -> float | int:
    value = float(number)
    if isfinite(value):
        return value
    return _BEYOND if value > 0 else -_BEYOND


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_READ_DIGITS = 400
_BEYOND = 10**_READ_DIGITS
"""What stands for numbers beyond a double: whatever is asked for, it is out of range."""


def _readable(value: object) -> object:
    match value:
        case str():
            return _printable(value)
        case list():
            return [_readable(item) for item in cast("list[object]", value)]
        case dict():
            fields = cast("dict[str, object]", value)
            return {_printable(name): _readable(item) for name, item in fields.items()}
        case _:
            return value


def _paths_of_broken_text(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if _printable(value) != value:
            yield path
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _paths_of_broken_text(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            inner = f"{path}.{name}" if path else name
            if _printable(name) != name:
                yield inner
            yield from _paths_of_broken_text(item, inner)


def _printable(path: str) -> str:
    return path.encode("utf-8", "replace").decode()
