"""docs/how-to/webhooks.md: the receiver there receives what the service posts, and nothing else."""

import re
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from heliograph.clock import SystemClock
from heliograph.webhooks.interface import Answered, NotAnswered
from heliograph.webhooks.poster import HttpPoster
from heliograph.webhooks.resolving import SystemResolver
from heliograph.webhooks.signing import signed_headers
from tests.fakes.builders import a_webhook

GUIDE = (Path(__file__).parents[2] / "docs/how-to/webhooks.md").read_text("utf-8")
CLOCK = SystemClock()
BODY = b'{"type":"sms.received","timestamp":"2026-03-01T12:00:00.000Z","data":{"text":"Hello"}}'


@pytest.fixture
def receiver():
    """The program, its secret set and its events kept; the port it listens at."""
    program = re.search(r"<!-- receiver: .*?```python\n(.*?)```", GUIDE, re.DOTALL)[1]
    names = {"__name__": "receiver"}
    exec(compile(program, "webhooks.md", "exec"), names)
    names["SECRET"] = a_webhook().secret
    names["events"] = []
    names["Receiver"].handle_event = lambda self, event: names["events"].append(event)
    names["Receiver"].log_message = lambda *arguments: None
    with ThreadingHTTPServer(("127.0.0.1", 0), names["Receiver"]) as server:
        server.daemon_threads = True
        server.handle_error = lambda *arguments: None  # It would print what a test makes go wrong.
        names["port"] = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield names
        server.shutdown()
        thread.join()


async def posted(receiver, **event) -> int:
    answer = await post(receiver, **event)
    assert isinstance(answer, Answered)
    return answer.status


async def post(receiver, *, number: str = "evt_1", secret: str = "", ago_s: int = 0, body: bytes = BODY):
    poster = HttpPoster(CLOCK, SystemResolver(), timeout_s=5, allow_private=True, user_agent="test")
    now = CLOCK.now()
    headers = signed_headers(
        number, secret or receiver["SECRET"], BODY, now.fromtimestamp(now.timestamp() - ago_s, now.tzinfo)
    )
    answer = await poster.post(f"http://127.0.0.1:{receiver['port']}/", headers, body)
    poster.close()
    return answer


async def test_what_is_posted_is_received_once(receiver):
    for number in ("evt_1", "evt_1", "evt_2"):
        assert await posted(receiver, number=number) == 204
    assert [event["data"] for event in receiver["events"]] == [{"text": "Hello"}] * 2


async def test_what_could_not_be_handled_is_handled_when_it_comes_again(receiver):
    def full(self, event):
        raise ConnectionAbortedError("the disk is full")

    handle_event, receiver["Receiver"].handle_event = receiver["Receiver"].handle_event, full
    assert isinstance(await post(receiver), NotAnswered)
    receiver["Receiver"].handle_event = handle_event
    assert await posted(receiver) == 204
    assert len(receiver["events"]) == 1


async def test_what_somebody_else_posts_is_not(receiver):
    assert await posted(receiver, secret=a_webhook().secret) == 401
    assert await posted(receiver, body=BODY + b" ") == 401
    assert await posted(receiver, ago_s=400) == 401
    assert receiver["events"] == []
