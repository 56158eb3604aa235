"""Requests byte by byte over a socket: what happens before the application is asked."""

import json
import re
import socket
from pathlib import Path
from threading import Thread

import pytest

from heliograph.api import protocol
from heliograph.api.protocol import HttpProtocol
from heliograph.clock import SystemClock
from tests.fakes.service import Running, basic, running_server

HEADER_TIMEOUT_S = 2
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("server")
    with running_server(directory, config=f"[server]\nheader_timeout = {HEADER_TIMEOUT_S}\n") as running:
        yield running


@pytest.fixture
def connection(server: Running):
    with socket.create_connection(server.address, timeout=10) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    answer = b""
    try:
        while more := connection.recv(65_536):
            answer += more
    except ConnectionResetError:
        pass
    return answer


def answer_to(connection: socket.socket, request: bytes) -> tuple[int, bytes, dict]:
    connection.sendall(request)
    head, _, body = received(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.lower(), json.loads(body)


def test_headers_that_do_not_come_are_408(connection):
    status, head, error = answer_to(connection, b"GET /rest/v1/version HTTP/1.1\r\nHost: a\r\n")
    assert (status, error["code"]) == (408, 408)
    assert b"connection: close" in head
    assert f"did not come within {HEADER_TIMEOUT_S} s" in error["message"]


def test_a_connection_that_says_nothing_is_closed(connection):
    status, _, _ = answer_to(connection, b"")
    assert status == 408


def test_headers_that_come_drop_by_drop_are_408(connection):
    connection.sendall(b"GET /rest/v1/version HTTP/1.1\r\n")
    connection.settimeout(0.1)
    answer = b""
    for number in range(100):
        try:
            connection.sendall(b"x-%d: y\r\n" % number)
            answer = connection.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            pass
        break
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_kept_connection_may_rest_between_requests(connection):
    request = b"GET /rest/v1/version HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(2):
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        connection.settimeout(2 * HEADER_TIMEOUT_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /rest/v1/version HTTP/1.1\r\nx: " + b"y" * 70_000,
        b"GET /rest/v1/version HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n",
        b"GET /rest/v1/version?" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["one header", "many headers", "the request line"],
)
def test_headers_that_are_too_large_are_431(connection, head):
    status, _, error = answer_to(connection, head)
    assert (status, error["code"]) == (431, 431)
    assert "65536 octets" in error["message"]


def test_32_kib_of_headers_are_not_too_large(connection):
    status, _, answer = answer_to(
        connection,
        b"GET /rest/v1/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx: " + b"y" * 32_000 + b"\r\n\r\n",
    )
    assert status == 200
    assert answer["versionInfo"].startswith("heliograph ")


@pytest.mark.parametrize("request_", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_400(connection, request_):
    status, head, error = answer_to(connection, request_)
    assert (status, error["code"]) == (400, 400)
    assert b"content-type: application/json" in head


def test_a_body_of_9_mib_is_413_and_its_answer_is_read_by_a_client_that_is_still_sending(connection):
    size = 9 * 2**20
    head = (
        "POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Authorization: {basic()}\r\nContent-Length: {size}\r\n\r\n"
    )
    status, _, error = answer_to(connection, head.encode() + b" " * size)
    assert (status, error["code"]) == (413, 413)


def test_a_chunked_body_of_9_mib_is_413(connection):
    head = (
        "POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Authorization: {basic()}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n"
    status, _, _ = answer_to(connection, head.encode() + chunk * 9 + b"0\r\n\r\n")
    assert status == 413


def test_a_client_that_asks_before_it_sends_9_mib_need_not_send_them(connection):
    head = (
        "POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        f"Authorization: {basic()}\r\nContent-Length: {9 * 2**20}\r\n\r\n"
    )
    status, _, _ = answer_to(connection, head.encode())
    assert status == 413


def test_an_answer_to_head_has_no_body(connection):
    connection.sendall(b"HEAD /rest/v1/docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""


def test_requests_sent_without_waiting_are_answered_in_their_order(connection):
    request = "GET /rest/v1/{} HTTP/1.1\r\nHost: a\r\n{}\r\n"
    paths = ["version", "nothing", "version", "openapi.json"]
    connection.sendall("".join(request.format(path, "") for path in paths[:-1]).encode())
    connection.sendall(request.format(paths[-1], "Connection: close\r\n").encode())
    answers = received(connection).split(b"HTTP/1.1 ")[1:]
    assert [int(answer.split()[0]) for answer in answers] == [200, 404, 200, 200]


def test_what_is_read_waits_for_what_was_sent_before_it_on_the_connection(connection):
    job = b'{"messages": [{"text": "Hello", "recipients": [{"dst": "+491764000009"}]}]}'
    post = f"POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: {basic()}\r\nContent-Length: {len(job)}\r\n\r\n"
    read = f"GET /rest/v1/jobs?jobIdsOnly=true&limit=1 HTTP/1.1\r\nHost: a\r\nAuthorization: {basic()}\r\n"
    connection.sendall((post.encode() + job) * 2 + f"{read}\r\n{read}Connection: close\r\n\r\n".encode())
    answers = received(connection).split(b"HTTP/1.1 ")[1:]
    assert [int(answer.split()[0]) for answer in answers] == [201, 201, 200, 200]
    newest = json.loads(answers[1].partition(b"\r\n\r\n")[2])
    assert [json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in answers[2:]] == [[newest], [newest]]


def test_a_body_that_comes_in_pieces_is_read_whole(connection):
    job = b'{"messages": [{"text": "Hello", "recipients": [{"dst": "+491764000009"}]}]}'
    head = f"POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: {basic()}\r\nConnection: close\r\n"
    connection.sendall(f"{head}Content-Length: {len(job)}\r\n\r\n".encode())
    for octet in job:
        connection.sendall(bytes([octet]))
    assert received(connection).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("body", [b"x", b"brew coffee"])
def test_a_body_that_comes_after_its_answer_is_no_request(connection, body):
    head = (
        f"POST /rest/v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: {basic()}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode())
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65_536)
    assert b" 415 " in answer.partition(b"\r\n")[0]
    connection.sendall(body + b"GET /rest/v1/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert received(connection).startswith(b"HTTP/1.1 200 ")


REFUSED = [
    (b"POST /rest/v1/jobs", b"", 401),
    (b"PUT /rest/v1/jobs", b"Authorization: " + basic().encode() + b"\r\n", 405),
    (b"POST /rest/v1/nothing", b"Authorization: " + basic().encode() + b"\r\n", 404),
    (b"POST /rest/v1/jobs", b"Authorization: " + basic().encode() + b"\r\nContent-Type: text/plain\r\n", 415),
]


def refused_before_its_body(connection: socket.socket, line: bytes, headers: bytes, framing: bytes) -> bytes:
    """The status line of the answer to a request whose body is still to come."""
    connection.sendall(line + b" HTTP/1.1\r\nHost: a\r\n" + headers + framing + b"\r\n\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65_536)
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(("line", "headers", "status"), REFUSED, ids=[str(status) for *_, status in REFUSED])
def test_a_large_body_that_comes_after_its_answer_is_dropped_and_the_connection_kept(connection, line, headers, status):
    size = 200_000  # More than a head may have.
    assert b" %d " % status in refused_before_its_body(connection, line, headers, b"Content-Length: %d" % size)
    connection.sendall(b" " * size)
    connection.sendall(b"GET /rest/v1/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answers = received(connection).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"]


def test_a_dropped_body_may_take_longer_than_headers_may(connection):
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Content-Length: 3")
    connection.settimeout(2 * HEADER_TIMEOUT_S)
    connection.sendall(b"a")
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.sendall(b"bcGET /rest/v1/version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    connection.settimeout(10)
    assert received(connection).startswith(b"HTTP/1.1 200 ")


def test_headers_that_do_not_come_after_a_dropped_body_are_408(connection):
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Content-Length: 3")
    connection.sendall(b"abc")
    connection.sendall(b"GET /rest/v1/version HTTP/1.1\r\n")
    assert received(connection).startswith(b"HTTP/1.1 408 ")


def test_a_dropped_body_that_does_not_end_closes_the_connection_without_another_answer(connection, monkeypatch):
    monkeypatch.setattr(HttpProtocol, "body_timeout_s", 2)
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Content-Length: 3")
    connection.sendall(b"a")
    assert received(connection) == b""


def test_a_dropped_body_without_end_closes_the_connection_at_its_bound(connection, monkeypatch):
    monkeypatch.setattr(HttpProtocol, "max_dropped_octets", 100_000)
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Content-Length: 1000000")
    connection.sendall(b" " * 100_001)
    assert received(connection) == b""


def test_a_dropped_body_that_cannot_be_read_closes_the_connection_without_another_answer(connection):
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Transfer-Encoding: chunked")
    connection.sendall(b"no chunk\r\n")
    assert received(connection) == b""


@pytest.mark.slow  # uvicorn lets a connection rest for 5 s.
def test_a_connection_that_rests_after_a_dropped_body_is_closed_in_time(connection):
    line, headers, _ = REFUSED[0]
    refused_before_its_body(connection, line, headers, b"Content-Length: 3")
    connection.sendall(b"abc")
    assert received(connection) == b""


def test_the_service_does_not_tell_which_server_it_is(connection):
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"\r\nserver:" not in received(connection).lower()


def test_nothing_is_written_beside_the_database(server: Running):
    names = {path.name for path in Path(server.database).parent.iterdir()}
    assert all(name.startswith("heliograph.") for name in names)


# Requests that come before the answers to those before them


@pytest.fixture
def most_waiting(monkeypatch):
    """The most requests of one connection that were taken in and waited for those before them."""
    most = [0]
    taken_in = HttpProtocol.on_headers_complete

    def counted(self):
        taken_in(self)
        most[0] = max(most[0], len(self.pipeline))

    monkeypatch.setattr(HttpProtocol, "on_headers_complete", counted)
    return most


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])  # One is answered at once, one waits.
def test_of_requests_that_come_all_at_once_few_are_taken_in_and_all_answered_in_order(connection, most_waiting, path):
    wrong = b"GET /nothing HTTP/1.1\r\n\r\n"
    requests = (b"GET %s HTTP/1.1\r\n\r\n" % path.encode() * 99 + wrong) * 20
    sending = Thread(
        target=connection.sendall, args=(requests + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",)
    )
    sending.start()
    codes = [int(each) for each in re.findall(rb"HTTP/1.1 (\d+) ", received(connection))]
    sending.join()
    assert codes == ([200] * 99 + [404]) * 20 + [200]
    assert most_waiting[0] < 150


def test_a_body_between_other_requests_is_read_whole(connection, most_waiting):
    body = b'{"messages": [' + b" " * 100_000 + b"]}"
    post = b"POST /rest/v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    requests = (b"GET /readyz HTTP/1.1\r\n\r\n" * 5 + post + body) * 3
    connection.sendall(requests + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    codes = [int(each) for each in re.findall(rb"HTTP/1.1 (\d+) ", received(connection))]
    assert codes == ([200] * 5 + [401]) * 3 + [200]


def test_who_takes_no_answers_is_not_waited_for_when_the_service_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "LAST_ANSWER_WITHIN_S", 0.1)
    connection = socket.socket()
    with connection:
        with running_server(tmp_path) as running:
            connection.connect(running.address)
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):  # As it takes no more requests then.
                connection.sendall(b"GET /rest/v1/openapi.json HTTP/1.1\r\n\r\n" * 1_000_000)
            stopping_at = CLOCK.monotonic()
        assert CLOCK.monotonic() - stopping_at < 20  # of the 30 that it would be waited for
