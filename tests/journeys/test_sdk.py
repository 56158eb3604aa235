"""Both clients against a whole server, over sockets."""

import asyncio
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from heliograph import (
    AsyncClient,
    BlocklistEntry,
    Client,
    Duplicate,
    Encoding,
    EventType,
    InvalidRequest,
    Message,
    NotFound,
    Period,
    ProcessStatus,
    Qos,
    RateLimited,
    Recipient,
    RefusedCharacters,
    Status,
    Unauthorized,
    Unavailable,
)
from heliograph.clock import SystemClock
from heliograph.jobs.accounts import RateLimit
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, password_hash, running_server

MOBILE = "+4917612345678"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = [
        an_account("müller?>", password_hash=password_hash(), rate_limit=None),
        an_account("once", password_hash=password_hash(), rate_limit=None),
        an_account("limited", password_hash=password_hash(), rate_limit=RateLimit(2, 60)),
    ]
    with running_server(tmp_path_factory.mktemp("server"), *accounts) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def client(server):
    with Client(server.url, "müller?>", PASSWORD) as client:
        yield client


def test_a_code_is_sent_in_three_lines(server):
    with Client(server.url, "müller?>", PASSWORD) as client:
        job_id = client.send("Your code is 1234", to="+4917612345678")
        (sms,) = client.wait(job_id)
    assert (sms.dst, sms.status, sms.succeeded) == (MOBILE, Status.SUC_ACC, True)


async def test_and_so_without_blocking(server):
    async with AsyncClient(server.url, "müller?>", PASSWORD) as client:
        ids = await asyncio.gather(*(client.send(f"Your code is {code}", to=MOBILE) for code in range(20)))
        waited = await asyncio.gather(*(client.wait(job_id) for job_id in ids))
        assert all(sms.succeeded for (sms,) in waited)
        listed = [job.job_id async for job in client.jobs(limit=20)]
        assert sorted(listed) == sorted(ids)


def test_every_recipient_of_every_message_has_a_result(client):
    (job_id,) = client.send_messages(
        [
            Message("Grüße", to=[MOBILE, Recipient("+447700900001", customer_ref="Jo")]),
            Message("Hello", to="12"),
        ],
        status_requested=True,
        src="Acme",
        qos=Qos.EXPRESS,
    )
    assert [(sms.customer_ref, sms.status) for sms in client.wait(job_id)] == [
        (MOBILE, Status.SUC_FIN),
        ("Jo", Status.FAILED_FIN),
        ("12", Status.INVALID_DST),
    ]
    job = client.job(job_id)
    assert (job.src, job.qos, job.status_requested, job.finished) == ("Acme", Qos.EXPRESS, True, True)
    assert job.receipt_ts.tzinfo is not None


def test_what_is_to_wait_waits(client):
    now = datetime.now(UTC)  # noqa: TID251 # a server in real time
    night = Period(now - timedelta(hours=1), now + timedelta(hours=8))
    job_id = client.send("Good morning", to=MOBILE, blackout_periods=[night])
    (sms,) = client.sms(job_id)
    assert (sms.process_status, sms.final, sms.sent_ts) == (ProcessStatus.OPEN, False, None)
    assert job_id in client.job_ids(open_only=True)
    assert job_id in client.job_ids(from_ts=now - timedelta(days=1), to_ts=now + timedelta(days=1))
    assert job_id not in client.job_ids(to_ts=now - timedelta(days=1))


def test_errors_say_what_to_mend(client):
    with pytest.raises(InvalidRequest) as invalid:
        client.send("", to=MOBILE, validity_min=3)
    assert [fault.field for fault in invalid.value.fields] == ["options.validityMin", "messages[0].text"]
    with pytest.raises(RefusedCharacters):
        client.send("日", to=MOBILE, invalid_characters="REFUSE")
    with pytest.raises(NotFound):
        client.job("J.20221116-102407.583-0lajfsfmoXIZJO93PQ")


def test_a_wrong_password_is_told(server):
    with Client(server.url, "müller?>", "wrong") as client, pytest.raises(Unauthorized):
        client.version()


def test_a_limit_that_takes_too_long_is_told(server):
    with Client(server.url, "limited", PASSWORD) as client:
        client.version()
        client.version()
        with pytest.raises(RateLimited) as limited:
            client.version()
    assert 30 < limited.value.retry_after_s <= 60


def test_the_blocklist_is_kept(client):
    entry = client.block("+44 7700 900123")
    assert isinstance(entry, BlocklistEntry)
    assert client.block("+44 7700 900123") == client.blocklist_entry("+447700900123") == entry
    assert list(client.blocklist()) == [entry]
    assert client.unblock("+447700900123") == entry
    with pytest.raises(NotFound):
        client.unblock("+447700900123")


def test_the_version_and_what_phones_sent(client):
    assert client.version().version_info.startswith("heliograph ")
    assert list(client.inbound()) == []


def test_webhooks_are_kept(client):
    made = client.add_webhook("https://hooks.example.com/sms", [EventType.SMS_FINISHED])
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert [(kept.id, kept.events, kept.secret) for kept in client.webhooks()] == [
        (made.id, (EventType.SMS_FINISHED,), None)
    ]
    assert list(client.webhook_failures(made.id)) == []
    assert client.replay_webhook(made.id) == 0
    assert client.remove_webhook(made.id).id == made.id
    with pytest.raises(NotFound):
        client.remove_webhook(made.id)
    with pytest.raises(InvalidRequest, match="url"):
        client.add_webhook("ftp://hooks.example.com")


class Losing(httpx2.BaseTransport):
    """A network that loses the first answer to each job: the service has taken it, and the client doesn't know."""

    def __init__(self) -> None:
        self._inner = httpx2.HTTPTransport()
        self._known: set[bytes] = set()
        self.lost_count = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        if request.method == "POST" and request.content not in self._known:
            response.read()
            self._known.add(request.content)
            self.lost_count += 1
            raise httpx2.ReadError("the answer was lost", request=request)
        return response

    def close(self) -> None:
        self._inner.close()


def test_a_job_whose_answer_is_lost_is_sent_once(server):
    network = Losing()
    with Client(server.url, "once", PASSWORD, transport=network) as client:
        sent = [client.send(f"Your code is {code}", to=MOBILE) for code in range(10)]
        sent += client.send_messages([Message("Hello", to=[MOBILE] * 3001)], idempotency_key="all")
        again = client.send_messages([Message("Hello", to=[MOBILE] * 3001)], idempotency_key="all")
        assert network.lost_count == 12
        assert again == sent[-2:]
        assert sorted(client.job_ids()) == sorted(sent)


def test_a_job_is_previewed(client):
    preview = client.preview("Grüße 日", to=[MOBILE, "12"], invalid_characters="TRANSLITERATE")
    (message,) = preview.messages
    assert (preview.refused, message.encoding, message.parts) == (False, Encoding.STANDARD, 1)
    assert [(each.character, each.replacement, each.positions) for each in message.replaced] == [("日", " ", (6,))]
    good, bad = message.recipients
    assert (good.e164, good.country, good.valid, good.due_ts is not None) == (MOBILE, "DE", True, True)
    assert (bad.e164, bad.valid, bad.due_ts) == ("", False, None)


def test_sms_are_found(client):
    job_id = client.send("Hello", to=["+447700900777", MOBILE], billcode="found")
    assert [sms.dst for sms in client.find_sms(billcode="found", job_id=job_id)] in (
        ["+447700900777", MOBILE],
        [MOBILE, "+447700900777"],
    )
    assert [sms.dst for sms in client.find_sms(dst="+447700900777", limit=1)] == ["+447700900777"]
    with pytest.raises(InvalidRequest, match="status"):
        list(client.find_sms(status="FINE"))


def test_a_job_is_cancelled(client):
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251 # a server in real time
    job_id = client.send("See you tomorrow", to=MOBILE, job_period=tomorrow)
    assert client.cancel(job_id).finished
    (sms,) = client.wait(job_id)
    assert sms.process_status is ProcessStatus.CANCELED
    with pytest.raises(NotFound):
        client.cancel("J.20221116-102407.583-0lajfsfmoXIZJO93PQ")


def test_a_key_is_for_one_job(client):
    job_id = client.send("Your parcel is here", to=MOBILE, idempotency_key="parcel-4711")
    assert client.send("Your parcel is here", to=MOBILE, idempotency_key="parcel-4711") == job_id
    with pytest.raises(Duplicate) as duplicate:
        client.send("Your parcel is gone", to=MOBILE, idempotency_key="parcel-4711")
    assert duplicate.value.job_id == job_id


# Peers that don't answer as they should


@contextmanager
def peer(behave):
    """Something that listens at a port, and does as it likes with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    behave(connection, done)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def silent(connection, done):
    done.wait(10)


def trickling(connection, done):
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not done.wait(0.05):
        try:
            connection.sendall(b" ")
        except OSError:
            return


@pytest.mark.parametrize("behave", [silent, trickling])
def test_a_deadline_holds_against_a_peer_that_does_not_answer(behave):
    clock = SystemClock()
    with peer(behave) as url, Client(url, "acme", "secret", timeout_s=0.6) as client:
        begun_s = clock.monotonic()
        with pytest.raises(Unavailable, match="answer"):
            client.version()
        assert clock.monotonic() - begun_s < 30


async def test_and_so_without_a_thread():
    clock = SystemClock()
    with peer(trickling) as url:
        async with AsyncClient(url, "acme", "secret", timeout_s=0.6) as client:
            begun_s = clock.monotonic()
            with pytest.raises(Unavailable, match="answer"):
                await client.version()
            assert clock.monotonic() - begun_s < 30


def test_a_port_where_nobody_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", "acme", "secret", timeout_s=0.5) as client,
        pytest.raises(Unavailable, match="the service did not answer") as gone,
    ):
        client.send("Hello", to=MOBILE)
    assert not gone.value.uncertain
