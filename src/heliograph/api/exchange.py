"""A request whose body is all here: the application needn't wait for it, and answers it in one write."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import copy_context
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_EXTENSION = "heliograph.exchange"


class Exchange:
    """What a server of ours gives the application beyond ASGI. body: all of the request's."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.body = bytes(cycle.body)
        self._cycle = cycle
        scope: Scope = cast("Scope", cycle.scope)
        scope.setdefault("extensions", {})[_EXTENSION] = self

    @property
    def is_writable(self) -> bool:
        """Whether the client takes what it is sent. If not, ASGI's `send` waits until it does."""
        return not self._cycle.flow.write_paused

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Write a whole answer, instead of calling ASGI's `send`.

        headers: their names in lower case, the content's length among them. Raises ValueError for a line break in one.
        """
        cycle = self._cycle
        if cycle.disconnected:
            return
        lines = [name + b": " + value for name, value in (*cycle.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if cycle.keep_alive and b"\r\nconnection: close" in (b"\r\n" + head).lower():
            cycle.keep_alive = False
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header can't have a line break in it")
        cycle.response_started = True
        content = b"" if cycle.scope["method"] == "HEAD" else body
        cycle.transport.write(b"".join((STATUS_LINE[status], head, b"\r\n\r\n", content)))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def exchange_of(scope: Scope) -> Exchange | None:
    """None where more of the body is to come, or where another server runs the application."""
    return scope.get("extensions", {}).get(_EXTENSION)


def begin_task(coroutine: Coroutine[Any, None, None], loop: asyncio.AbstractEventLoop) -> "asyncio.Task[None]":
    """Run a coroutine at once as far as it goes without waiting, and the rest of it as any task.

    Whoever reads while a backlog is dispatched so has the answer before the dispatcher's next turn, not after it.
    (Tasks that begin so by themselves came with Python 3.12.) Within another task it is a task like any, for one can't
    begin in the middle of another.
    """
    if asyncio.current_task(loop) is not None:
        # Owner: the server, which keeps the tasks of its requests and sees to their end when it stops.
        return loop.create_task(coroutine)
    context = copy_context()
    rest = _Rest(coroutine)
    # Owner: likewise.
    task = loop.create_task(rest.run(), context=context)
    asyncio.tasks._enter_task(loop, task)  # As other implementations of tasks are to do ("Extending" asyncio).
    try:
        rest.proceed(lambda: context.run(coroutine.send, None))
    finally:
        asyncio.tasks._leave_task(loop, task)
    return task


class _Rest:
    """What is left of a coroutine that has begun."""

    def __init__(self, coroutine: Coroutine[Any, None, None]) -> None:
        self._coroutine = coroutine
        self._awaited: Any = None
        self._is_through = False
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Go on with it to its end."""
        await self
        if self._error is not None:
            raise self._error

    def __await__(self) -> Generator[Any]:
        coroutine = self._coroutine
        while not self._is_through:
            try:
                yield self._awaited
            except BaseException as error:  # noqa: BLE001 # The coroutine's affair, cancellation too.
                self.proceed(lambda error=error: coroutine.throw(error))
            else:
                self.proceed(lambda: coroutine.send(None))

    def proceed(self, step: Callable[[], Any]) -> None:
        """Take it to the next point at which it waits, or to its end."""
        try:
            self._awaited = step()
        except StopIteration:
            self._is_through = True
        except BaseException as error:  # noqa: BLE001 # Raised by the task, whose error it is.
            self._is_through, self._error = True, error
