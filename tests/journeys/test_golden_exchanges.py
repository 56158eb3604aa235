"""tests/golden/http: what clients send, octet by octet over a socket, and what they are answered.

`HELIOGRAPH_UPDATE_GOLDEN=1` writes the answers anew; the diff is the review. In a file:

    <credentials>, <url-safe credentials>   a Basic token of the file's own account
    <length>                                the length of the body
    <job 1>, <sms 1>, <time>, <seconds>     what is different each time
    <webhook-1>, <token-1>, <secret>        the same
"""

import json
import os
import re
import socket
from base64 import b64encode, urlsafe_b64encode
from itertools import count
from pathlib import Path

import pytest

from heliograph.jobs.accounts import RateLimit
from heliograph.wire.operations import OPERATIONS
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, Running, password_hash, running_server

GOLDEN = Path(__file__).parents[1] / "golden" / "http"
FILES = sorted(GOLDEN.glob("*.http"))
UPDATE = os.environ.get("HELIOGRAPH_UPDATE_GOLDEN") == "1"
LIMITS = {"error-429": RateLimit(2, 60)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = [
        an_account(
            file.stem,
            password_hash=password_hash(),
            **({"rate_limit": LIMITS[file.stem]} if file.stem in LIMITS else {}),
        )
        for file in FILES
    ]
    # Nothing is sent, so that every SMS stays as it was when the job came in.
    with running_server(tmp_path_factory.mktemp("server"), *accounts, config='[server]\nroles = ["api"]\n') as running:
        yield running


KINDS = {"J": "job ", "S": "sms ", "W": "webhook-", "T": "token-"}


class Masks:
    """Names for what is different each time; the same value has the same name throughout a file."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts = {kind: count(1) for kind in KINDS}

    def mask(self, answer: str) -> str:
        answer = re.sub(r"\b[JSW]\.2\d{7}-\d{6}\.\d{3}-0[0-9a-z]{8}[0-9A-Z]{9}", self._name_of_id, answer)
        answer = re.sub(r"(?<=/triggers/)[A-Za-z0-9_-]{20}", lambda found: self._name(found[0], "T"), answer)
        answer = re.sub(r"(?<=\?state=)[A-Za-z0-9_-]+", "<state>", answer)
        answer = re.sub(r"whsec_[A-Za-z0-9+/]{43}=", "<secret>", answer)
        answer = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>", answer)
        answer = re.sub(r"(?m)^(ratelimit-reset|retry-after): \d+$", r"\1: <seconds>", answer)
        answer = re.sub(r"try again in \d+ s", "try again in <seconds> s", answer)
        answer = re.sub(r"(?m)^content-length: \d+$", "content-length: <length>", answer)
        answer = re.sub(r'"(buildNumber|majorVersion|minorVersion)":\d+', r'"\1":<number>', answer)
        return re.sub(r"heliograph \d+\.\d+\.\d+", "heliograph <version>", answer)

    def _name_of_id(self, found: re.Match[str]) -> str:
        value = found[0]
        if "102407.583" in value:
            return value  # The example of the contract, which no job has.
        return self._name(value, value[0])

    def _name(self, value: str, kind: str) -> str:
        if value not in self._names:
            self._names[value] = f"<{KINDS[kind]}{next(self._counts[kind])}>"
        return self._names[value]

    def unmask(self, request: str) -> str:
        for value, name in self._names.items():
            request = request.replace(name, value)
        return request


def exchanges(file: Path) -> tuple[str, list[tuple[str, str]]]:
    comment, *parts = re.split(r"(?m)^=== (?:request|answer)\n", file.read_text("utf-8"))
    texts = [part.strip("\n") for part in parts]
    return comment.strip("\n"), list(zip(texts[0::2], texts[1::2], strict=True))


def octets(request: str, name: str) -> bytes:
    head, _, body = request.partition("\n\n")
    token = f"{name}:{PASSWORD}".encode()
    head = head.replace("<credentials>", b64encode(token).decode())
    head = head.replace("<url-safe credentials>", urlsafe_b64encode(token).decode())
    head = head.replace("<length>", str(len(body.encode())))
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()


def answer_to(server: Running, request: bytes) -> str:
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _more(connection)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(re.search(rb"\r\ncontent-length: (\d+)", head)[1])
        while len(body) < length:
            body += _more(connection)
    assert len(body) == length
    lines = [line for line in head.decode().split("\r\n") if not line.startswith("date: ")]
    lines[0] = RENAMED.get(lines[0], lines[0])
    return "\n".join(lines) + "\n\n" + body.decode()


RENAMED = {
    "HTTP/1.1 413 Request Entity Too Large": "HTTP/1.1 413 Content Too Large",
    "HTTP/1.1 422 Unprocessable Entity": "HTTP/1.1 422 Unprocessable Content",
}
"""As RFC 9110 calls them; Python does since 3.13, and no client reads it."""


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(65_536)
    assert more, "the connection was closed in the middle of an answer"
    return more


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_client_is_answered_as_the_golden_exchange_says(server, file):
    comment, expected = exchanges(file)
    masks = Masks()
    seen = []
    for request, _ in expected:
        answer = answer_to(server, octets(masks.unmask(request), file.stem))
        seen.append((request, masks.mask(answer)))
    if UPDATE:
        text = "".join(f"\n=== request\n\n{request}\n\n=== answer\n\n{answer}\n" for request, answer in seen)
        file.write_text(f"{comment}\n{text}", "utf-8", newline="\n")
    else:
        assert seen == expected


def test_every_operation_and_every_error_of_a_client_has_a_golden_exchange():
    requests = [exchange for file in FILES for exchange in exchanges(file)[1]]
    for operation in OPERATIONS:
        line = re.compile(f"{operation.method} /rest/v1{re.sub('{.*?}', '[^/ ]+', operation.path)}/?(\\?| )")
        assert any(line.match(request) for request, _ in requests), operation.name
    statuses = {int(answer.split()[1]) for _, answer in requests}
    assert statuses >= {200, 201, 400, 401, 404, 405, 409, 413, 415, 422, 429}


@pytest.mark.parametrize(
    "file", [file for file in FILES if not file.stem.startswith("error")], ids=lambda file: file.stem
)
def test_no_client_in_the_wild_is_refused(file):
    for request, answer in exchanges(file)[1]:
        assert answer.split()[1] in ("200", "201", "202"), request


def test_every_error_is_json_that_says_what_is_wrong():
    for file in FILES:
        for _, answer in exchanges(file)[1]:
            head, _, body = answer.partition("\n\n")
            if head.split()[1] >= "4":
                error = json.loads(body)
                assert error["code"] == int(head.split()[1])
                assert error["message"]
