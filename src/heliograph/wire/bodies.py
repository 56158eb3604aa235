"""Bytes of a request body → plain JSON values, with what clients in the wild send."""

import json
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from heliograph.jobs.errors import FieldFault, RequestInvalid

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
        raise RequestInvalid(f"the body is not UTF-8: byte {error.start} can't be read; send JSON in UTF-8") from error
    except RecursionError as error:
        raise RequestInvalid("the body is nested too deeply; send a JobRequest as JSON") from error
    except msgspec.MsgspecError as error:
        faults = _lone_surrogates_in(body)
        if faults:
            raise RequestInvalid.of(*faults) from error
        raise RequestInvalid(f"the body is not JSON: {error}; send a JobRequest as JSON") from error


def fingerprint(raw: object) -> bytes:
    """The same 16 bytes for the same JSON value, whatever its spacing and key order."""
    return blake2b(msgspec.json.encode(raw, order="sorted"), digest_size=16).digest()


def _lone_surrogates_in(body: bytes) -> tuple[FieldFault, ...]:
    # The standard library's decoder lets lone surrogates pass, so it can tell where they are.
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return tuple(
        FieldFault(path, "is not valid Unicode: it has half of a surrogate pair; send both halves, or the character")
        for path in _paths_of_broken_text(raw, "")
    )


def _paths_of_broken_text(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _paths_of_broken_text(item, f"{path}[{index}]")  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, dict):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _paths_of_broken_text(item, f"{path}.{key}" if path else str(key))  # pyright: ignore[reportUnknownArgumentType]
