"""Power Platform as a service sees it: it reads a connector's package, and makes calls out of its definition."""

import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from heliograph.wire.connector.definition import operations_of

PATIENCE_S = 20
REPETITIONS = 4
"""How often an action is called again that may have failed for a passing reason."""
PASSING = frozenset({408, 429, 500, 502, 503, 504})


class Reply(NamedTuple):
    """headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Call(NamedTuple):
    """One request as it left the platform."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


class Connection:
    """A connection that somebody has made with a connector.

    files: the package. parameters: what the connection was given. resolve: where hosts are, for no name is looked up
    here, and TLS ends at a proxy that says so. policies: False for Logic Apps, which knows none.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        parameters: Mapping[str, str],
        resolve: Mapping[str, tuple[str, int]],
        *,
        policies: bool = True,
    ) -> None:
        self.definition = json.loads(files["apiDefinition.swagger.json"])
        properties = json.loads(files["apiProperties.json"])["properties"]
        asked = properties["connectionParameters"]
        wanted = {name for name in asked if asked[name]["uiDefinition"]["constraints"]["required"] == "true"}
        assert wanted <= parameters.keys() or not policies
        self._policies = properties["policyTemplateInstances"] if policies else []
        self._parameters = parameters
        self._resolve = resolve
        self._operations = {found[2]["operationId"]: found for found in operations_of(self.definition)}
        self.calls: list[Call] = []

    def test(self) -> Reply:
        """What happens when the connection is made."""
        tested = self.definition["x-ms-capabilities"]["testConnection"]
        return self.call(tested["operationId"], **tested["parameters"])

    def call(self, operation_id: str, headers: Mapping[str, str] | None = None, **arguments: Any) -> Reply:
        """One call of an operation, with arguments by the names of its parameters."""
        call = self._prepared(operation_id, headers or {}, arguments)
        self.calls.append(call)
        return self.send(call)

    def run(self, operation_id: str, run: str, **arguments: Any) -> Reply:
        """An action of a flow: called again after a time-out and what else may pass. run: names this run of it."""
        for _ in range(REPETITIONS):
            try:
                reply = self.call(operation_id, {"x-ms-action-tracking-id": run}, **arguments)
            except (OSError, HTTPException):
                continue
            if reply.status not in PASSING:
                return reply
        return self.call(operation_id, {"x-ms-action-tracking-id": run}, **arguments)

    def subscribe(self, operation_id: str, callback_url: str) -> str:
        """A flow with this trigger is saved; the address at which that is ended."""
        _, _, operation = self._operations[operation_id]
        assert operation["x-ms-trigger"] == "single"
        assert self.notified(operation_id)["properties"]
        (body,) = [parameter for parameter in operation["parameters"] if parameter["in"] == "body"]
        schema = self._resolved(body["schema"])
        (name,) = [name for name, each in schema["properties"].items() if each.get("x-ms-notification-url")]
        reply = self.call(operation_id, body={name: callback_url})
        assert reply.status == 201, reply.body
        return reply.headers["location"]

    def poll(self, operation_id: str, location: str | None) -> tuple[list[Any], str]:
        """A flow with this trigger asks for news: what each of its runs is given, and where it asks the next time."""
        _, _, operation = self._operations[operation_id]
        assert operation["x-ms-trigger"] == "batch"
        if location is None:
            reply = self.call(operation_id)
        else:
            reply = self.send(Call("GET", location, {"Authorization": f"Basic {self._credentials()}"}, None))
        assert reply.status in {200, 202}, reply.body
        assert "retry-after" in reply.headers or reply.status == 200
        return reply.json() if reply.status == 200 else [], reply.headers["location"]

    def unsubscribe(self, location: str) -> Reply:
        """The flow is turned off: at that address, without credentials."""
        assert urlsplit(location).netloc, "it must be absolute"
        return self.send(Call("DELETE", location, {}, None))

    def notified(self, operation_id: str) -> dict[str, Any]:
        """The schema of what a trigger's flow is given."""
        path, _, _ = self._operations[operation_id]
        return self._resolved(self.definition["paths"][path]["x-ms-notification-content"]["schema"])

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self.definition["definitions"][schema["$ref"].rpartition("/")[2]]

    def send(self, call: Call) -> Reply:
        parts = urlsplit(call.url)
        client = HTTPConnection(*self._resolve[parts.netloc], timeout=PATIENCE_S)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            proxied = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}
            client.request(call.method, target, call.body, {**proxied, **call.headers})
            answer = client.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            client.close()

    def _prepared(self, operation_id: str, headers: Mapping[str, str], arguments: dict[str, Any]) -> Call:
        path, method, operation = self._operations[operation_id]
        sent, query, body = dict(headers), dict[str, str](), None
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            if name not in arguments:
                assert not parameter["required"] or "default" in parameter, f"{name} has to be given"
                if not parameter["required"]:
                    continue
            value = arguments.pop(name) if name in arguments else parameter["default"]
            match parameter["in"]:
                case "path":
                    path = path.replace(f"{{{name}}}", quote(value, safe=""))
                case "query":
                    query[name] = value if isinstance(value, str) else json.dumps(value)
                case "header":
                    sent[name] = value
                case "body":
                    body = json.dumps(value).encode()
        assert not arguments, f"{operation_id} has no {', '.join(arguments)}"
        assert "{" not in path
        base = f"{self.definition['schemes'][0]}://{self.definition['host']}{self.definition['basePath']}"
        for policy in self._policies_of(operation_id):
            values = policy["parameters"]
            if policy["templateId"] == "dynamichosturl":
                base = self._evaluated(values["x-ms-apimTemplateParameter.urlTemplate"], headers)
            else:
                assert policy["templateId"] == "setheader"
                assert values["x-ms-apimTemplateParameter.existsAction"] == "skip"
                name = values["x-ms-apimTemplateParameter.name"]
                sent.setdefault(name, self._evaluated(values["x-ms-apimTemplateParameter.value"], headers))
        if body is not None:
            sent["Content-Type"] = self.definition["consumes"][0]
        if self.definition["security"] == [{"basic": []}]:
            sent["Authorization"] = f"Basic {self._credentials()}"
        return Call(method.upper(), base + path + (f"?{urlencode(query)}" if query else ""), sent, body)

    def _credentials(self) -> str:
        return b64encode(f"{self._parameters['username']}:{self._parameters['password']}".encode()).decode()

    def _policies_of(self, operation_id: str) -> list[dict[str, Any]]:
        return [
            policy
            for policy in self._policies
            if operation_id in policy["parameters"].get("x-ms-apimTemplate-operationName", [operation_id])
        ]

    def _evaluated(self, template: str, headers: Mapping[str, str]) -> str:
        values = {"connectionParameters": self._parameters, "headers": headers}
        return re.sub(r"@(\w+)\('([^']+)'\)", lambda found: values[found[1]].get(found[2], ""), template)


class Flow:
    """A flow with a callback URL, in which what it is told turns up."""

    def __init__(self, url: str) -> None:
        self.callback_url = url
        self._told = SimpleQueue[Any]()

    def told(self, body: bytes) -> None:
        self._told.put(json.loads(body))

    def run(self) -> Any:
        """What the next run of the flow is given."""
        return self._told.get(timeout=PATIENCE_S)

    @property
    def is_idle(self) -> bool:
        return self._told.empty()


@contextmanager
def a_flow() -> Generator[Flow]:
    """A flow that is told over a socket."""

    class Callback(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert flow.callback_url.endswith(self.path)
            flow.told(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Callback) as server:
        flow = Flow(f"http://127.0.0.1:{server.server_port}/workflows/1/triggers/manual/run?sig=secret")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="flow")
        thread.start()
        try:
            yield flow
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


@contextmanager
def losing_answers(address: tuple[str, int], count: int) -> Generator[tuple[str, int]]:
    """A way to a service on which requests get through, but the first `count` answers don't; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_carry, args=(listener, address, count), name="losing answers")
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def _carry(listener: socket.socket, address: tuple[str, int], count: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # It was shut down.
            return
        with client, socket.create_connection(address, timeout=PATIENCE_S) as service:
            client.settimeout(PATIENCE_S)
            service.sendall(_message(client))
            answer = _message(service)
            if count:
                count -= 1
            else:
                client.sendall(answer)


def _message(peer: socket.socket) -> bytes:
    """A request or an answer with its body, as it comes."""
    received = _more(peer)
    while b"\r\n\r\n" not in received:
        received += _more(peer)
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while len(body) < (int(found[1]) if found else 0):
        body += _more(peer)
    return head + b"\r\n\r\n" + body


def _more(peer: socket.socket) -> bytes:
    received = peer.recv(65536)
    assert received, "it ended in the middle"
    return received
