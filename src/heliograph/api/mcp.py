"""The door for agents: who asks, from where, and whether it is a request at all; what it means, the MCP server says.

Errors are JSON-RPC errors, so that an agent's client shows them. Specification: Model Context Protocol, "Transports",
Streamable HTTP.
"""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from types import NoneType
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from starlette.types import Message, Receive, Scope, Send

from heliograph.api.answers import Answer
from heliograph.api.auth import Authenticator, CredentialsWrong
from heliograph.api.problems import HttpProblem, answer_to
from heliograph.api.requests import HttpRequest
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import RequestInvalid
from heliograph.wire.bodies import decode_body
from heliograph.wire.tools import MCP_PATH

MAX_MESSAGE_OCTETS = 1024 * 1024
"""Of one message: 3000 recipients and a long text are less than a tenth of it, and it is read on the event loop."""
SERVER_ERROR = -32000
"""JSON-RPC's code for whatever the protocol has no other for; the HTTP status is in its data."""

_JSON_BOTH_WAYS = [(b"accept", b"application/json, text/event-stream"), (b"content-type", b"application/json")]

Serve = Callable[[Account, Scope, Receive, Send], Awaitable[None]]
"""Answers one request of an account. An error that it raises comes before any of its answer."""


class McpDoor:
    """Lets agents in by their keys."""

    def __init__(
        self,
        authenticator: Authenticator,
        serve: Serve,
        *,
        allowed_hosts: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
    ) -> None:
        """allowed_hosts: what a Host header may be; none means anything. allowed_origins: of pages that may ask."""
        self._authenticator = authenticator
        self._serve = serve
        self._hosts = {host.lower() for host in allowed_hosts}
        self._origins = {origin.lower().rstrip("/") for origin in allowed_origins}

    @staticmethod
    def is_at(scope: Scope) -> bool:
        """Whether a request is for the door. A trailing slash is forgiven, and not redirected."""
        return scope["path"].rstrip("/") == MCP_PATH

    async def admit(self, request: HttpRequest) -> Account:
        """Whose agent asks. Raises HttpProblem, or as `Authenticator.authenticate_agent` does."""
        if request.method != "POST":
            # No stream and no session: each request has its one answer, so there is nothing to GET or to DELETE.
            allow = ("Allow", "POST")
            raise HttpProblem(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not possible here; POST is", allow)
        self._check_origin(request)
        client: tuple[str, int] | None = request.scope.get("client")
        return await self._authenticator.authenticate_agent(_key_in(request), client[0] if client else "")

    def _check_origin(self, request: HttpRequest) -> None:
        """Against pages that a browser shows, which reach us by a name that they point at us (DNS rebinding)."""
        host = (request.header("host") or "").lower()
        if self._hosts and host not in self._hosts:
            message = "this service is not known by the host that was asked for; add it to mcp.allowed_hosts"
            raise HttpProblem(HTTPStatus.MISDIRECTED_REQUEST, message)
        origin = request.header("origin")
        if origin is None or origin.lower() in self._origins:
            return
        address = urlsplit(origin.lower())
        if _is_loopback(address.hostname) or (self._hosts and address.netloc in self._hosts):
            return
        message = "requests from pages of that origin are not taken; add it to mcp.allowed_origins if it is yours"
        raise HttpProblem(HTTPStatus.FORBIDDEN, message)

    async def serve(
        self, account: Account, request: HttpRequest, body: bytes, headers: Sequence[tuple[str, str]], send: Send
    ) -> int:
        """Answer a request that was let in; the status of the answer. headers: to go along with it.

        Raises RequestInvalid, or HttpProblem, before anything is answered.
        """
        _check_message(body)
        status = 0
        more = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

        async def receive() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await request.receive()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        unread = True
        # There is nothing but JSON to ask for and to send, and clients are not tidy about saying so.
        others = [header for header in request.scope["headers"] if header[0] not in (b"accept", b"content-type")]
        scope = {**request.scope, "headers": [*others, *_JSON_BOTH_WAYS]}
        await self._serve(account, scope, receive, send_with_headers)
        return status


def mcp_answer_to(error: Exception) -> Answer:
    """The answer that tells an error to an agent's client."""
    told = answer_to(error)
    data = cast("dict[str, Any]", msgspec.json.decode(told.body))
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": SERVER_ERROR, "message": data["message"], "data": data}}
    headers = [(name, 'Bearer realm="heliograph"' if name == "WWW-Authenticate" else at) for name, at in told.headers]
    return Answer(told.status, msgspec.json.encode(body), headers)


def _key_in(request: HttpRequest) -> str:
    key = request.header("x-api-key")
    if key is not None:
        return key.strip()
    scheme, _, token = (request.header("authorization") or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    raise CredentialsWrong(
        "agents need a key, not a password: send it as `X-API-Key: hgk_…` or `Authorization: Bearer hgk_…`. "
        "heliograph account mcp NAME --enable switches MCP on for an account, and prints its key"
    )


def _is_loopback(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _check_message(body: bytes) -> None:
    """Whether it is one JSON-RPC message. What is none would be told with all that it holds further on."""
    if len(body) > MAX_MESSAGE_OCTETS:
        message = f"the message is over {MAX_MESSAGE_OCTETS} octets (1 MiB); send less at a time"
        raise HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    expected = "the body must be one JSON-RPC 2.0 request or notification, in UTF-8"
    try:
        message = decode_body(body)
    except RequestInvalid as error:
        raise error if error.faults else RequestInvalid(expected) from error
    if isinstance(message, list):
        raise RequestInvalid(f"{expected}; batches are not taken")
    fields = cast("dict[str, object]", message) if isinstance(message, dict) else {}
    if (
        fields.get("jsonrpc") != "2.0"
        or not isinstance(fields.get("method"), str)
        or type(fields.get("id", 0)) not in (int, str)
        or not isinstance(fields.get("params"), (dict, NoneType))
    ):
        raise RequestInvalid(expected)
