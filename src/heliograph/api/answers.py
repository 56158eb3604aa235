"""What goes back to a client."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer; its body is JSON unless `media_type` says otherwise."""

    status: HTTPStatus
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    media_type: str = "application/json"


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK, *headers: tuple[str, str]) -> Answer:
    """A value as JSON."""
    return Answer(status, msgspec.json.encode(value), headers)
