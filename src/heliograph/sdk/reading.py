"""JSON values → models."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from heliograph.jobs.options import camel_case
from heliograph.wire.times import parse_instant

T = TypeVar("T")

Reader = Callable[[Any], Any]


def read(kind: type[T], value: object) -> T:
    """A model from the JSON object that tells of it; fields that the model hasn't are passed over.

    Raises ValueError, naming the field, where the object can't be told as one.
    """
    if not isinstance(value, dict):
        raise ValueError(f"it is no object: {type(value).__name__}")
    told = cast("dict[str, object]", value)
    values: dict[str, Any] = {}
    for name, wire_name, reader, required in _fields(kind):
        raw = told.get(wire_name)
        if raw is not None:
            try:
                values[name] = reader(raw)
            except ValueError as error:
                raise ValueError(f"{wire_name}: {error}") from error
        elif required:
            raise ValueError(f"{wire_name} is missing")
    return kind(**values)


def read_list(kind: type[T], value: object) -> list[T]:
    """Models from a JSON array. Raises ValueError as `read` does."""
    if not isinstance(value, list):
        raise ValueError(f"it is no array: {type(value).__name__}")
    return [read(kind, each) for each in cast("list[object]", value)]


@cache
def _fields(kind: Any) -> list[tuple[str, str, Reader, bool]]:
    hints = get_type_hints(kind)
    return [
        (field.name, camel_case(field.name), _reader(hints[field.name]), field.default is MISSING)
        for field in fields(kind)
    ]


def _reader(hint: Any) -> Reader:
    if get_origin(hint) is tuple:
        element = _reader(get_args(hint)[0])
        return lambda value: tuple(element(each) for each in _exactly(list[object], value))
    if isinstance(hint, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        enums = [kind for kind in kinds if issubclass(kind, StrEnum)]
        return _member_of(enums[0]) if enums else _reader(kinds[0])
    if hint is datetime:
        return lambda value: parse_instant(_exactly(str, value), UTC)
    if hint in (str, int, bool):
        return lambda value: _exactly(hint, value)
    return lambda value: read(hint, value)


def _member_of(kind: type[StrEnum]) -> Reader:
    members = {member.value.upper(): member for member in kind}
    return lambda value: members.get(_exactly(str, value).upper(), value)


def _exactly(kind: type[T], value: object) -> T:
    if type(value) is not (get_origin(kind) or kind):
        raise ValueError(f"it is no {kind.__name__}: {type(value).__name__}")
    return cast("T", value)
