"""What goes back to a client."""

from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec


@dataclass(slots=True)
class Answer:
    """One HTTP answer; its body is JSON unless `media_type` says otherwise."""

    status: HTTPStatus
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    media_type: str = "application/json"


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK, *headers: tuple[str, str]) -> Answer:
    """A value as JSON."""
    return Answer(status, msgspec.json.encode(value), list(headers))
