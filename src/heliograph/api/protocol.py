"""uvicorn's HTTP protocol, with a cap on the time and size of what comes before a body.

The application is begun when a request is all here, and at once where it only reads. What comes of a body after its
answer is dropped, within bounds. Of requests that come before the answers to those before them, few are taken in; the
rest wait in the socket.
"""

import re
import socket
from asyncio import AbstractEventLoop, Task, TimerHandle, Transport
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from heliograph.api.app import BODY_TIMEOUT_S, MAX_DROPPED_OCTETS
from heliograph.api.exchange import Exchange, begin_task
from heliograph.wire.shapes import ErrorResponse

MAX_HEAD_OCTETS = 64 * 1024
HEAD_SLICE_OCTETS = 2048
"""So much is parsed in one turn of the event loop: a usual request, or a hundred of the smallest."""
BODY_SLICE_OCTETS = 16 * 1024
"""The same within a body, of which more follows at once."""
LAST_ANSWER_WITHIN_S = 3.0
"""How long a peer that takes no more of an answer is waited for when the service stops."""
_NOTHING = memoryview(b"")
_STAND_IN = b"PROPFIND"
_PARSED = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", _STAND_IN}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}(?= )")


class HttpProtocol(HttpToolsProtocol):
    """One connection. A request's line and headers must come within `header_timeout_s` of the first octet.

    What is left of a body once it has been answered must come within `body_timeout_s`, and be no more than
    `max_dropped_octets`: then the connection is closed.
    """

    header_timeout_s: float = 10.0
    body_timeout_s: float = BODY_TIMEOUT_S
    max_dropped_octets: int = MAX_DROPPED_OCTETS
    _head_timer: TimerHandle | None = None
    _is_head_awaited = False
    _head_octets = 0
    _unread_octets = 0
    _drop_timer: TimerHandle | None = None
    _dropped_octets = 0
    _method: str | None = None
    _in_message = False
    _in_body = False
    _unbegun: tuple[RequestResponseCycle, Any] | None = None
    _unparsed: memoryview = _NOTHING
    _is_parsing = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio does it only for some listeners; without it an answer in two writes waits 40 ms in between.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_head()
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._body_dropped()
        self._unparsed = _NOTHING
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) <= HEAD_SLICE_OCTETS and not self._unparsed:
            self._parse(data)
            return
        self._unparsed = memoryview(bytes(self._unparsed) + data if self._unparsed else data)
        self.flow.pause_reading()
        if not self._is_parsing:
            self._parse_on()

    @property
    def has_enough(self) -> bool:
        """Whether no more is to be read for now: there are requests that wait for others' answers."""
        return bool(self.pipeline or self._unparsed)

    def _parse_on(self) -> None:
        """Parse some of what has been read, and go on in another turn, or once those requests are being answered."""
        self._is_parsing = False
        while self._unparsed and not self.pipeline and not self.transport.is_closing():
            size = BODY_SLICE_OCTETS if self._in_body else HEAD_SLICE_OCTETS
            data, self._unparsed = bytes(self._unparsed[:size]), self._unparsed[size:]
            self._is_parsing = True
            self._parse(data)
            if self._unparsed and not self._in_body:
                self.loop.call_soon(self._parse_on)
                return
            self._is_parsing = False
        if not self.has_enough:
            self.flow.resume_reading()

    def _parse(self, data: bytes) -> None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_dropping = self._drop_timer is not None
        if not self._is_head_awaited and not self._in_body and (cycle is None or cycle.response_complete):
            self._await_head()
        if not self._in_message:  # Else it is more of a body, though that may have been answered already.
            data = self._parsable(data)
        super().data_received(data)
        self._begin_waiting()
        if is_dropping and self._drop_timer is None and self.cycle is cycle and not self.transport.is_closing():
            # The last of a dropped body has come: from here on the connection rests, as after an answer.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._is_head_awaited and not self.transport.is_closing():
            # The parser tells of a header only when it is whole, and keeps what came of it until then.
            self._unread_octets += len(data)
            if self._unread_octets > MAX_HEAD_OCTETS:
                self._refuse_head()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_late)

    def _parsable(self, data: bytes) -> bytes:
        """The parser knows a list of methods only; any other is one too (RFC 9110, 9.1), and gets its 405."""
        method = _TOKEN.match(data)
        if method is None or method[0] in _PARSED:
            return data
        self._method = method[0].decode("ascii")
        return _STAND_IN + data[method.end() :]

    def on_message_begin(self) -> None:
        self._head_octets = 0
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = self._in_body = False
        self._body_dropped()
        super().on_message_complete()
        self._begin_waiting()

    def on_url(self, url: bytes) -> None:
        self._head_octets += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_octets += len(name) + len(value) + 4  # A colon, a space and the line's end.
        if self._head_octets > MAX_HEAD_OCTETS:
            raise ValueError("the head is too large")  # The parser stops, and `send_400_response` tells why.
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_came()
        self._in_body = True
        super().on_headers_complete()
        if self._method is not None:
            self.scope["method"], self._method = self._method, None

    def on_body(self, body: bytes) -> None:
        if self._drop_timer is not None:
            self._dropped_octets += len(body)
            if self._dropped_octets > self.max_dropped_octets:
                self.transport.close()
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.flow.read_paused and not self.pipeline and not self._is_parsing and not self.transport.is_closing():
            self._is_parsing = True
            self.loop.call_soon(self._parse_on)
        if self._in_body and self.cycle.response_complete and not self.transport.is_closing():
            # Refused before its body was read; a client that is still sending is to see why.
            self._unset_keepalive_if_required()
            self._dropped_octets = 0
            self._drop_timer = self.loop.call_later(self.body_timeout_s, self.transport.close)

    def shutdown(self) -> None:
        """Answer what has been taken in, and close; a peer that takes no answers is not waited for."""
        self._unparsed = _NOTHING
        super().shutdown()
        if self.flow.write_paused:
            self.loop.call_later(LAST_ANSWER_WITHIN_S, self._give_up_answering)

    def _give_up_answering(self) -> None:
        if self.flow.write_paused:
            self.transport.abort()

    def _body_dropped(self) -> None:
        if self._drop_timer is not None:
            self._drop_timer.cancel()
            self._drop_timer = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._unbegun = cycle, app
        if not cycle.more_body:  # It came while another request was being answered.
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        """Have the application answer the request whose head has come, with its body or before that."""
        if self._unbegun is None or self.transport.is_closing():
            return
        (cycle, app), self._unbegun = self._unbegun, None
        if cycle.more_body:
            super()._start_asgi_task(cycle, app)
            return
        Exchange(cycle)
        begin = begin_task if cycle.scope["method"] in ("GET", "HEAD") else _create_task
        task = begin(cycle.run_asgi(app), self.loop)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def send_400_response(self, msg: str) -> None:
        if self._drop_timer is not None:
            self.transport.close()  # The request has its answer.
        elif self._head_octets > MAX_HEAD_OCTETS:
            self._refuse_head()
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is not an HTTP request that can be read")

    def _refuse_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, f"the request line and headers are over {MAX_HEAD_OCTETS} octets; send fewer")

    def _await_head(self) -> None:
        self._is_head_awaited = True
        self._unread_octets = 0

    def _head_came(self) -> None:
        self._is_head_awaited = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._is_head_awaited, self._head_timer = False, None
        message = f"the headers did not come within {self.header_timeout_s:g} s; send the request again"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        body = msgspec.json.encode(ErrorResponse(int(status), message))
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()


class _Flow(FlowControl):
    """The flow of one connection, which reads on only where there isn't enough to do."""

    def __init__(self, transport: Transport, protocol: HttpProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if self.read_paused and not self._protocol.has_enough:
            super().resume_reading()


def _create_task(coroutine: Coroutine[Any, None, None], loop: AbstractEventLoop) -> "Task[None]":
    # Owner: the server, which keeps the tasks of its requests and sees to their end when it stops.
    return loop.create_task(coroutine)


def http_protocol(header_timeout_s: float) -> type[Any]:
    """The protocol with a timeout of its own."""
    return type("HttpProtocol", (HttpProtocol,), {"header_timeout_s": header_timeout_s})
