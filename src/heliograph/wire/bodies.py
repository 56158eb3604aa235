"""Bytes of a request body → plain JSON values, with what clients in the wild send."""

import json
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import cast

import msgspec

from heliograph.jobs.errors import FieldFault, RequestInvalid

MAX_TOLD = 10_000
"""How many fields at fault, or ignored, are told: more than a request made in good faith can have."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decode_body(body: bytes) -> object:
    """The JSON value of a body in UTF-8, with or without a byte order mark.

    Raises RequestInvalid, naming the fields at fault where it is text that is not valid Unicode.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body.strip():
        raise RequestInvalid("the body is empty; send a JobRequest as JSON")
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        wrong = f"the body is not UTF-8: byte {error.start} can't be read; send JSON in UTF-8"
        raise RequestInvalid(wrong) from error
    except RecursionError as error:
        raise RequestInvalid("the body is nested too deeply; send a JobRequest as JSON") from error
    except msgspec.MsgspecError as error:
        faults = _lone_surrogates_in(body)
        if faults:
            raise RequestInvalid.of(*faults) from error
        raise RequestInvalid(f"the body is not JSON: {error}; send a JobRequest as JSON") from error


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


def _lone_surrogates_in(body: bytes) -> tuple[FieldFault, ...]:
    # The standard library's decoder lets lone surrogates pass, so it can tell where they are.
    wrong = "is not valid Unicode: it has half of a surrogate pair; send both halves, or the character"
    try:
        paths = islice(_paths_of_broken_text(json.loads(body), ""), MAX_TOLD)
        return tuple(FieldFault(_printable(path), wrong) for path in paths)
    except (ValueError, RecursionError):
        return ()


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
