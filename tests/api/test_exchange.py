"""Requests that are begun at once, and answered in one write."""

import asyncio
import contextvars

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from heliograph.api.exchange import Exchange, begin_task, exchange_of

WHO = contextvars.ContextVar("who", default="nobody")


async def turn():
    """Let the loop come round once."""
    await asyncio.sleep(0)  # noqa: TID251 # no time passes


class Transport:
    def __init__(self):
        self.written = []
        self.is_closed = False

    def write(self, data):
        self.written.append(bytes(data))

    def close(self):
        self.is_closed = True

    def pause_reading(self):
        pass


class Steps:
    """What a coroutine did, and where it waits."""

    def __init__(self):
        self.done = []
        self.event = asyncio.Event()

    async def run(self):
        self.done.append("begun")
        try:
            async with asyncio.timeout(60):
                await self.event.wait()
                await turn()
        except asyncio.CancelledError:
            self.done.append("cancelled")
            raise
        self.done.append("ended")


async def begin(coroutine):
    """As a protocol does it: in a callback of the loop."""
    loop = asyncio.get_running_loop()
    begun = loop.create_future()
    loop.call_soon(lambda: begun.set_result(begin_task(coroutine, loop)))
    return await begun


async def test_what_need_not_wait_is_done_at_once():
    done = []

    async def answer():
        done.append(asyncio.current_task())

    task = await begin(answer())

    assert done == [task]
    assert asyncio.current_task() is not task
    await task


async def test_in_another_task_it_begins_after_that():
    steps = Steps()
    task = begin_task(steps.run(), asyncio.get_running_loop())
    assert not steps.done
    steps.event.set()

    await task

    assert steps.done == ["begun", "ended"]


async def test_what_waits_goes_on_as_a_task():
    steps = Steps()
    task = await begin(steps.run())
    assert steps.done == ["begun"]
    steps.event.set()

    await task

    assert steps.done == ["begun", "ended"]


async def test_a_cancelled_one_hears_of_it():
    steps = Steps()
    task = await begin(steps.run())
    await turn()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps.done == ["begun", "cancelled"]


async def test_a_timeout_begun_at_once_holds():
    async def wait():
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await (await begin(wait()))


@pytest.mark.parametrize("waits", [False, True])
async def test_its_error_is_the_tasks(waits):
    async def fail():
        if waits:
            await turn()
        raise LookupError("nothing there")

    task = await begin(fail())

    with pytest.raises(LookupError, match="nothing there"):
        await task


async def test_its_context_is_its_own_from_beginning_to_end():
    seen = []

    async def answer():
        WHO.set("reader")
        await turn()
        seen.append(WHO.get())

    await (await begin(answer()))

    assert (seen, WHO.get()) == (["reader"], "nobody")


def cycle(method="GET", *, keep_alive=True):
    transport = Transport()
    begun = RequestResponseCycle(
        scope={"type": "http", "method": method, "headers": []},
        transport=transport,
        flow=FlowControl(transport),
        logger=None,
        access_logger=None,
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: transport.written.append("done"),
    )
    begun.body += b"{}"
    return begun, transport


async def test_an_answer_is_one_write():
    begun, transport = cycle()
    Exchange(begun)
    exchange = exchange_of(begun.scope)

    assert exchange.body == b"{}"
    exchange.answer(200, [(b"content-type", b"application/json"), (b"content-length", b"2")], b"[]")

    assert transport.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
        "done",
    ]
    assert begun.response_complete
    assert not transport.is_closed


async def test_an_answer_to_head_has_the_length_and_no_content():
    begun, transport = cycle("HEAD")
    Exchange(begun).answer(200, [(b"content-length", b"2")], b"[]")
    assert transport.written[0] == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize(("keep_alive", "headers"), [(False, []), (True, [(b"connection", b"Close")])])
async def test_the_connection_ends_where_either_side_wants_it(keep_alive, headers):
    begun, transport = cycle(keep_alive=keep_alive)
    Exchange(begun).answer(408, [(b"content-length", b"0"), *headers], b"")
    assert transport.written[0].lower().count(b"connection: close") == 1
    assert transport.is_closed


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb: c", b"a\rb"])
async def test_a_header_never_holds_a_line_break(value):
    begun, transport = cycle()
    with pytest.raises(ValueError, match="line break"):
        Exchange(begun).answer(200, [(b"content-length", b"0"), (b"location", value)], b"")
    assert not transport.written


async def test_nothing_is_written_to_who_has_gone():
    begun, transport = cycle()
    begun.disconnected = True
    Exchange(begun).answer(200, [(b"content-length", b"0")], b"")
    assert not transport.written


async def test_a_client_that_does_not_read_is_waited_for():
    begun, _ = cycle()
    exchange = Exchange(begun)
    assert exchange.is_writable
    begun.flow.pause_writing()
    assert not exchange.is_writable


async def test_elsewhere_there_is_none():
    assert exchange_of({"type": "http"}) is None
