"""The ASGI application: from the bytes of a request to its operation and back."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from heliograph.api.answers import Answer
from heliograph.api.auth import Authenticator
from heliograph.api.exchange import exchange_of
from heliograph.api.handlers import Call, Handlers
from heliograph.api.mcp import McpDoor, mcp_answer_to
from heliograph.api.problems import HttpProblem, TooManyCalls, answer_to
from heliograph.api.requests import HttpRequest
from heliograph.clock import Clock
from heliograph.jobs.accounts import Account, AccountId, RateLimit
from heliograph.jobs.errors import FieldFault, StoreUnavailable
from heliograph.metrics import Metrics
from heliograph.store.interface import Quota, Store
from heliograph.wire.operations import BASE_PATH, MAX_BODY_OCTETS, OPERATIONS, Credentials, Operation
from heliograph.wire.shapes import parse_query

BODY_TIMEOUT_S = 30.0
"""How long a client may take to send its body."""
MAX_DROPPED_OCTETS = 4 * MAX_BODY_OCTETS
"""Of a body that is too large anyway; then the connection is closed."""
MAX_IGNORED_OCTETS = 2000
"""Of the Heliograph-Ignored header: proxies refuse answers with long ones."""

log = structlog.get_logger()

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")

Page = Callable[[], Awaitable[Answer]]
Headers = list[tuple[str, str]]
"""What an answer carries, whether it tells a success or an error."""


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
        *,
        serves_operations: bool = True,
        log_requests: bool = False,
        mcp: McpDoor | None = None,
    ) -> None:
        """pages: what is answered to GET at the root and below the base path without credentials, by path.

        mcp: what is answered to agents.
        serves_operations: or only the pages, where another process has the role `api`.
        """
        self._handlers = handlers.by_operation
        self._refuse = handlers.refuse
        self._authenticator = authenticator
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._pages = pages
        self._log_requests = log_requests
        self._mcp = mcp
        self._quotas: dict[AccountId, tuple[Quota, float]] = {}
        self._paths: dict[tuple[str, ...], dict[str, Operation]] = {}
        self._exact: dict[tuple[str, str], _Found] = {}
        for operation in OPERATIONS if serves_operations else ():
            segments = tuple((BASE_PATH + operation.path).strip("/").split("/"))
            self._paths.setdefault(segments, {})[operation.method] = operation
            if not operation.path_parameters:
                self._exact[operation.method, BASE_PATH + operation.path] = _Found(operation, {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']}")
        request = HttpRequest(scope, receive)
        if self._mcp is not None and self._mcp.is_at(scope):
            await self._serve_agent(self._mcp, scope, request, send)
            return
        started_s = self._clock.monotonic()
        headers: Headers = []
        name = "none"
        try:
            try:
                found = self._route(request)
            except HttpProblem:
                await self._admit(Credentials.OPTIONAL, request, headers)
                raise
            if isinstance(found, _Found):
                name = found.operation.name
                answer = await self._operate(found, request, headers)
            else:
                name = "page"
                answer = await found()
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 # total by construction: every error has its answer
            answer = answer_to(error, request.method)
        self._metrics.requested(name, int(answer.status))
        await _send(answer, headers, scope, send)
        self._log_request(name, int(answer.status), started_s)

    async def _serve_agent(self, mcp: McpDoor, scope: Scope, request: HttpRequest, send: Send) -> None:
        started_s = self._clock.monotonic()
        headers: Headers = []
        try:
            account = await mcp.admit(request)
            if account.rate_limit is not None:
                await self._take_call(account, account.rate_limit, headers)
            _check_media_type(request)
            code = await mcp.serve(account, request, await _read_body(request), headers, send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 # as above
            answer = mcp_answer_to(error)
            code = int(answer.status)
            await _send(answer, headers, scope, send)
        self._metrics.requested("mcp", code)
        self._log_request("mcp", code, started_s)

    def _log_request(self, name: str, code: int, started_s: float) -> None:
        if self._log_requests:
            duration_ms = round((self._clock.monotonic() - started_s) * 1000, 1)
            log.info("http.request", operation=name, code=code, duration_ms=duration_ms)

    def _route(self, request: HttpRequest) -> "_Found | Page":
        raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        path, method = raw_path.decode("latin-1"), request.method
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        segments = [unquote(segment) for segment in path.strip("/").split("/")]
        page = self._pages.get("/" + "/".join(segments))
        if page is not None:
            if method not in ("GET", "HEAD"):
                raise _not_allowed(method, ["GET", "HEAD"])
            return page
        for pattern, operations in self._paths.items():
            values = _match(pattern, segments)
            if values is not None:
                operation = operations.get(method)
                if operation is None:
                    raise _not_allowed(method, list(operations))
                return _Found(operation, values)
        message = f"there is nothing here; {BASE_PATH}/docs describes what there is"
        if not self._paths:
            message = "this process only dispatches: it hasn't the role `api`; send requests to one that has"
        raise HttpProblem(HTTPStatus.NOT_FOUND, message)

    async def _operate(self, found: "_Found", request: HttpRequest, headers: Headers) -> Answer:
        operation = found.operation
        account = await self._admit(operation.credentials, request, headers)
        body = b""
        if operation.body:
            _check_media_type(request)
            body = await _read_body(request)
        strict = _wants_strictness(request)
        asked: bytes = request.scope["query_string"]
        query = parse_qsl(asked.decode("latin-1"), keep_blank_values=True) if asked else []
        faults = list[FieldFault]()
        values, ignored = parse_query(operation.query_parameters, query, account.zone, strict=strict, faults=faults)
        values.update(found.path_values)
        for parameter in operation.header_parameters:
            values[parameter.name] = request.all_of(parameter.name.lower())
        call = Call(account, values, body, strict, ignored, lambda: _origin(request), faults)
        try:
            if faults:
                await self._refuse(operation, call)
            return await self._handlers[operation](call)
        finally:
            if ignored:
                headers.append(("Heliograph-Ignored", _listed(ignored)))
            if strict:
                headers.append(("Preference-Applied", "handling=strict"))

    async def _admit(self, credentials: Credentials, request: HttpRequest, headers: Headers) -> Account:
        """Who calls, with one call of theirs used up."""
        header = (request.header("authorization") or "").strip() or None  # One that is empty gives no credentials.
        if credentials is Credentials.IN_PATH or (header is None and credentials is Credentials.OPTIONAL):
            return _ANYBODY
        client: tuple[str, int] | None = request.scope.get("client")
        try:
            account = await self._authenticator.authenticate(header, client[0] if client else "")
        except StoreUnavailable:
            known = self._authenticator.last_known(header)
            if known is not None and known.rate_limit is not None:
                self._tell_last_quota(known, known.rate_limit, headers)
            raise
        if account.rate_limit is not None:
            await self._take_call(account, account.rate_limit, headers)
        return account

    async def _take_call(self, account: Account, limit: RateLimit, headers: Headers) -> None:
        try:
            quota = await self._store.take_call(account.id, limit, self._clock.now())
        except StoreUnavailable:
            self._tell_last_quota(account, limit, headers)
            raise
        self._quotas[account.id] = quota, self._clock.monotonic()
        headers += _rate_limit(limit, quota.remaining, quota.reset_s)
        if not quota.allowed:
            raise TooManyCalls(f"{limit.calls} calls in {limit.period_s} s", quota.reset_s)

    def _tell_last_quota(self, account: Account, limit: RateLimit, headers: Headers) -> None:
        """What this process was last told of an account's calls; the one that failed isn't counted."""
        quota, told_s = self._quotas.get(account.id, (None, 0.0))
        passed_s = self._clock.monotonic() - told_s
        if quota is None or passed_s >= limit.period_s:
            headers += _rate_limit(limit, limit.calls, 0)
        else:
            headers += _rate_limit(limit, quota.remaining, max(0, quota.reset_s - passed_s))


def _rate_limit(limit: RateLimit, remaining: int, reset_s: float) -> Headers:
    return [
        ("RateLimit-Limit", str(limit.calls)),
        ("RateLimit-Remaining", str(remaining)),
        ("RateLimit-Reset", str(math.ceil(reset_s))),
    ]


class _Found(NamedTuple):
    operation: Operation
    path_values: dict[str, str]


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


def _origin(request: HttpRequest) -> str:
    """Where the request came to, as its client sees it: what a proxy says of that goes back to the client alone."""
    host = request.header("x-forwarded-host") or request.header("host") or ""
    scheme = request.header("x-forwarded-proto") or request.scope.get("scheme", "http")
    host, scheme = host.partition(",")[0].strip(), scheme.partition(",")[0].strip().lower()
    return f"{scheme}://{host}" if scheme in ("http", "https") and _HOST.fullmatch(host) else ""


def _check_media_type(request: HttpRequest) -> None:
    media_type = request.header("content-type")
    if media_type is not None and media_type.partition(";")[0].strip().lower() != "application/json":
        message = "the body must be JSON; send it with `Content-Type: application/json`"
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
    if (request.header("content-encoding") or "").strip().lower() not in ("", "identity"):
        message = "the body must not be compressed; send it without Content-Encoding"
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, ("Accept-Encoding", "identity"))


def _wants_strictness(request: HttpRequest) -> bool:
    """Whether what would be ignored is to be refused (RFC 7240, 4.4); what is preferred first counts (2)."""
    preferences = request.all_of("prefer")
    for preference in ",".join(preferences).split(",") if preferences else ():
        name, _, value = preference.partition(";")[0].replace(" ", "").replace('"', "").lower().partition("=")
        if name == "handling":
            return value == "strict"
    return False


async def _read_body(request: HttpRequest) -> bytes:
    exchange = exchange_of(request.scope)
    if exchange is not None and len(exchange.body) <= MAX_BODY_OCTETS:
        return exchange.body
    announced = request.header("content-length") or "0"
    waits = (request.header("expect") or "").lower() == "100-continue"
    if announced.isdigit() and int(announced) > (MAX_BODY_OCTETS if waits else MAX_DROPPED_OCTETS):
        raise _too_large()
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
        raise _too_large()
    return b"".join(chunks)


def _too_large() -> HttpProblem:
    message = f"the body is over {MAX_BODY_OCTETS} octets (8 MiB); send several jobs"
    return HttpProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message, ("Connection", "close"))


def _listed(ignored: list[str]) -> str:
    listed = ""
    for path in dict.fromkeys(ignored):
        # Names are the client's own, so they may hold anything; a header may not.
        more = quote(path, safe="[]._-$@!*'()+:/ ")
        if len(listed) + len(more) > MAX_IGNORED_OCTETS:
            return listed + ", ..."
        listed += f", {more}" if listed else more
    return listed


async def _send(answer: Answer, headers: Headers, scope: Scope, send: Send) -> None:
    raw = [
        (b"content-type", answer.media_type.encode("latin-1")),
        (b"content-length", str(len(answer.body)).encode("latin-1")),
    ]
    for name, value in (*headers, *answer.headers):
        raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    exchange = exchange_of(scope)
    if exchange is not None and exchange.is_writable:
        exchange.answer(int(answer.status), raw, answer.body)
        return
    await send({"type": "http.response.start", "status": int(answer.status), "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


_ANYBODY = Account(id=AccountId(0), name="", password_hash="")
"""Whom is answered who needs no credentials: nobody's account, which owns nothing."""
