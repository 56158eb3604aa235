"""The ASGI application: from the bytes of a request to its operation and back."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from heliograph.api.answers import Answer
from heliograph.api.auth import Authenticator
from heliograph.api.handlers import Call, Handlers
from heliograph.api.problems import HttpProblem, TooManyCalls, answer_to
from heliograph.clock import Clock
from heliograph.jobs.accounts import Account
from heliograph.metrics import Metrics
from heliograph.store.interface import Store
from heliograph.wire.operations import BASE_PATH, MAX_BODY_OCTETS, OPERATIONS, Credentials, Operation
from heliograph.wire.shapes import parse_query, strictly

BODY_TIMEOUT_S = 30.0
"""How long a client may take to send its body."""
MAX_DROPPED_OCTETS = 4 * MAX_BODY_OCTETS
"""Of a body that is too large anyway; then the connection is closed."""
MAX_IGNORED_OCTETS = 2000
"""Of the Heliograph-Ignored header: proxies refuse answers with long ones."""

Page = Callable[[], Awaitable[Answer]]


class Api:
    """The API of one process."""

    def __init__(
        self,
        handlers: Handlers,
        authenticator: Authenticator,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        pages: dict[str, Page],
    ) -> None:
        """pages: what is answered to GET at the root and below the base path without credentials, by path."""
        self._handlers = handlers.by_operation
        self._authenticator = authenticator
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._pages = pages
        self._paths: dict[tuple[str, ...], dict[str, Operation]] = {}
        for operation in OPERATIONS:
            segments = tuple((BASE_PATH + operation.path).strip("/").split("/"))
            self._paths.setdefault(segments, {})[operation.method] = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']}")
        request = Request(scope, receive)
        headers: list[tuple[str, str]] = []
        name = "none"
        try:
            found = self._route(request)
            if isinstance(found, tuple):
                operation, path_values = found
                name = operation.name
                answer = await self._operate(operation, path_values, request, headers)
            else:
                name = "page"
                answer = await found()
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 # total by construction: every error has its answer
            answer = answer_to(error)
        self._metrics.requests.labels(name, int(answer.status)).inc()
        await _send(answer, headers, scope, receive, send)

    def _route(self, request: Request) -> tuple[Operation, dict[str, str]] | Page:
        raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        path = raw_path.decode("latin-1")
        segments = [unquote(segment) for segment in path.strip("/").split("/")]
        page = self._pages.get("/" + "/".join(segments))
        if page is not None:
            if request.method not in ("GET", "HEAD"):
                raise _not_allowed(request.method, ["GET", "HEAD"])
            return page
        for pattern, operations in self._paths.items():
            values = _match(pattern, segments)
            if values is not None:
                operation = operations.get(request.method)
                if operation is None:
                    raise _not_allowed(request.method, list(operations))
                return operation, values
        raise HttpProblem(HTTPStatus.NOT_FOUND, f"there is nothing here; {BASE_PATH}/docs describes what there is")

    async def _operate(
        self, operation: Operation, path_values: dict[str, str], request: Request, headers: list[tuple[str, str]]
    ) -> Answer:
        account = await self._authenticate(operation, request)
        if account is not None:
            await self._take_call(account, headers)
        body = b""
        if operation.body:
            _check_media_type(request)
            body = await _read_body(request)
        zone = _ANYBODY.zone if account is None else account.zone
        query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        values, ignored = parse_query(operation.query_parameters, query, zone)
        values.update(path_values)
        strict = "handling=strict" in request.headers.get("prefer", "").lower().replace(" ", "")
        call = Call(account or _ANYBODY, values, body, ignored, lambda: strictly(ignored) if strict else None)
        if not operation.body:
            call.check_ignored()
        answer = await self._handlers[operation](call)
        if ignored:
            answer.headers.append(("Heliograph-Ignored", _listed(ignored)))
        if strict:
            answer.headers.append(("Preference-Applied", "handling=strict"))
        return answer

    async def _authenticate(self, operation: Operation, request: Request) -> Account | None:
        header = request.headers.get("authorization")
        if header is None and operation.credentials is Credentials.OPTIONAL:
            return None
        client: Any = request.scope.get("client")
        return await self._authenticator.authenticate(header, client[0] if client else "")

    async def _take_call(self, account: Account, headers: list[tuple[str, str]]) -> None:
        limit = account.rate_limit
        if limit is None:
            return
        quota = await self._store.take_call(account.id, limit, self._clock.now())
        headers += [
            ("RateLimit-Limit", str(limit.calls)),
            ("RateLimit-Remaining", str(quota.remaining)),
            ("RateLimit-Reset", str(_seconds_up(quota.reset_s))),
        ]
        if not quota.allowed:
            raise TooManyCalls(f"{limit.calls} in {limit.period_s} s", quota.reset_s)


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values: dict[str, str] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            values[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return values


def _not_allowed(method: str, allowed: list[str]) -> HttpProblem:
    methods = ", ".join(sorted(allowed))
    return HttpProblem(
        HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not possible here; {methods} is", ("Allow", methods)
    )


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = "the body must be JSON; send it with `Content-Type: application/json`"
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


async def _read_body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= MAX_BODY_OCTETS:
                    chunks.append(chunk)
                else:
                    # The rest is read and dropped, as a client that is still sending doesn't see an answer.
                    chunks.clear()
                    if size > MAX_DROPPED_OCTETS:
                        break
    except TimeoutError as error:
        message = f"the body did not come within {BODY_TIMEOUT_S:.0f} s; nothing was accepted, send it again"
        raise HttpProblem(HTTPStatus.REQUEST_TIMEOUT, message, ("Connection", "close")) from error
    if size > MAX_BODY_OCTETS:
        message = f"the body is over {MAX_BODY_OCTETS} octets (8 MiB); send several jobs"
        raise HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, ("Connection", "close"))
    return b"".join(chunks)


def _listed(ignored: list[str]) -> str:
    listed = ""
    for path in ignored:
        # Names are the client's own, so they may hold anything; a header may not.
        more = quote(path, safe="[]._-$@!*'()+:/ ")
        if len(listed) + len(more) > MAX_IGNORED_OCTETS:
            return listed + ", ..."
        listed += f", {more}" if listed else more
    return listed


def _seconds_up(seconds: float) -> int:
    return -int(-seconds // 1)


async def _send(
    answer: Answer, headers: list[tuple[str, str]], scope: Scope, receive: Receive, send: Send
) -> None:
    response = Response(answer.body, int(answer.status), media_type=answer.media_type)
    for name, value in (*headers, *answer.headers):
        response.headers[name] = value
    await response(scope, receive, send)


_ANYBODY = Account(id=0, name="", password_hash="")  # type: ignore
"""Whom `GET /version` without credentials is answered to: nobody's account, which owns nothing."""
