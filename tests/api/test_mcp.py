"""api/mcp.py: who is let in at /mcp, and how that is told. What is answered then is another's affair."""

import asyncio
import json

import msgspec
import pytest

from heliograph.api.app import Api
from heliograph.api.auth import FREE_FAILURES, Authenticator
from heliograph.api.keys import hash_key, is_key, name_in_key, new_key
from heliograph.api.mcp import MAX_MESSAGE_OCTETS, McpDoor
from heliograph.jobs.accounts import McpAccess, RateLimit
from heliograph.jobs.errors import Overloaded
from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, basic

SECRET = "0123456789abcdefghi_"
KEY = new_key("acme", SECRET)
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


class Answering:
    """Stands in for the MCP server: answers with the account's name and the body."""

    failure: Exception | None = None

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[bytes, bytes]] = []

    async def __call__(self, account, scope, receive, send):
        if self.failure:
            raise self.failure
        self.headers.append(dict(scope["headers"]))
        message = await receive()
        self.bodies.append(message["body"])
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(account.name).encode()})


class McpService(Service):
    """A service whose API has the door for agents."""

    def __init__(self, **settings) -> None:
        super().__init__(MemoryStore(), ManualClock())
        self.agents = Answering()
        authenticator = Authenticator(self.store, self.clock)
        self.api = Api(
            self.handlers,
            authenticator,
            self.store,
            self.clock,
            self.metrics,
            {},
            mcp=McpDoor(authenticator, self.agents, **settings),
        )

    async def ask(self, body=PING, *, key=KEY, method="POST", path="/mcp", **keywords):
        headers = {"x-api-key": key or "", **keywords.pop("headers", {})}
        return await self.call(method, path, body, auth=None, headers=headers, **keywords)

    async def error(self, *arguments, **keywords) -> tuple[int, str]:
        reply = await self.ask(*arguments, **keywords)
        error = reply.json()["error"]
        assert reply.json() == {"jsonrpc": "2.0", "id": None, "error": error}
        assert (error["code"], error["data"]["code"]) == (-32000, reply.status)
        assert error["data"]["message"] == error["message"]
        return reply.status, error["message"]


async def with_key(service, **fields):
    access = McpAccess(key_hash=hash_key(KEY))
    return await service.add_account(**{"mcp": access, "rate_limit": None, **fields})


@pytest.fixture
async def service() -> McpService:
    service = McpService()
    await with_key(service)
    return service


# Keys


@pytest.mark.parametrize("name", ["a", "acme", "Größe & Söhne", "日本", "x" * 64, "a_b", "???", "~~~~"])
def test_a_key_tells_its_account(name):
    key = new_key(name, SECRET)
    assert key.isascii()
    assert not {" ", ",", ";"} & set(key)
    assert name_in_key(key) == name
    assert is_key(key, hash_key(key))
    assert not is_key(new_key(name, SECRET[::-1]), hash_key(key))
    assert SECRET not in hash_key(key)


@pytest.mark.parametrize(
    "text", ["", "hgk_", f"hgk__{SECRET}", f"hgk_YWNtZQ_{SECRET}=", f"hgk_YWNtZQ_{SECRET[1:]}", f"hgk_____{SECRET}"]
)
def test_what_is_no_key_names_nobody(text):
    assert name_in_key(text) is None


# Who is let in


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"X-API-Key": f" {KEY} "},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
    ],
)
async def test_the_key_opens_in_either_header(service, headers):
    reply = await service.ask(key=None, headers=headers)
    assert (reply.status, reply.json()) == (200, "acme")


async def test_the_path_is_exact_and_a_trailing_slash_forgiven(service):
    for path, status in (("/mcp", 200), ("/mcp/", 200), ("/mcp/x", 404), ("/rest/v1/mcp", 404)):
        assert (await service.ask(path=path)).status == status


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
async def test_only_post_is_possible(service, method):
    reply = await service.ask(method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("headers", [{}, {"authorization": basic()}, {"authorization": "Bearer"}])
async def test_without_a_key_it_is_401_that_says_what_to_do(service, headers):
    reply = await service.ask(key=None, headers=headers)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="heliograph"')
    message = reply.json()["error"]["message"]
    if not headers.get("authorization", "").startswith("Bearer"):
        assert "heliograph account mcp NAME --enable" in message


@pytest.mark.parametrize("key", [new_key("acme", SECRET[::-1]), new_key("nobody", SECRET), "hgk_x", KEY + "x", "é"])
async def test_a_wrong_key_is_401_and_does_not_tell_what_is_wrong_with_it(service, key):
    status, message = await service.error(key=key)
    assert status == 401
    assert message.startswith("the key is wrong, or has been replaced")
    assert "--new-key" in message


async def test_an_account_that_was_never_switched_on_has_no_key(service):
    await service.add_account("beta")
    assert (await service.error(key=new_key("beta", SECRET)))[0] == 401


async def test_an_account_that_is_switched_off_is_401_and_told_so_to_its_own_key():
    service = McpService()
    await with_key(service, mcp=McpAccess(key_hash=hash_key(KEY), enabled=False))
    status, message = await service.error()
    assert status == 401
    assert "MCP is switched off for the account acme" in message
    assert "heliograph account mcp NAME --enable" in message
    assert "switched off" not in (await service.error(key=new_key("acme", SECRET[::-1])))[1]


async def test_a_disabled_account_is_401():
    service = McpService()
    await with_key(service, disabled=True)
    assert await service.error() == (401, "the account acme is disabled; ask your operator to enable it")


async def test_a_switch_is_noticed_within_a_second(service):
    assert (await service.ask()).status == 200
    account = await service.store.account("acme")
    await service.store.put_account(msgspec.structs.replace(account, mcp=None))
    await service.clock.advance(1.1)
    assert (await service.ask()).status == 401


async def test_a_new_key_holds_at_once_though_the_old_one_was_just_asked_for(service):
    assert (await service.ask()).status == 200
    account = await service.store.account("acme")
    key = new_key("acme", SECRET[::-1])
    await service.store.put_account(msgspec.structs.replace(account, mcp=McpAccess(key_hash=hash_key(key))))
    assert (await service.ask(key=key)).status == 200


async def test_wrong_keys_slow_down_their_address_and_nobody_else(service):
    for _ in range(FREE_FAILURES):
        await service.ask(key="hgk_x")
    started_s = service.clock.monotonic()
    waiting = [service.ask(key="hgk_x") for _ in range(2)]
    tasks = [asyncio.ensure_future(each) for each in waiting]
    assert (await service.ask()).status == 200  # A right key is not held up, as many may share an address.
    assert service.clock.monotonic() == started_s
    await service.clock.advance(0.2)
    assert not any(task.done() for task in tasks)
    await service.clock.advance(2)
    assert [(await task).status for task in tasks] == [401, 401]


# The rate limit


async def test_the_rate_limit_of_the_account_holds_for_agents():
    service = McpService()
    await with_key(service, rate_limit=RateLimit(2, 60))
    first, second = await service.ask(), await service.ask()
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("2", "1")
    assert second.headers["ratelimit-remaining"] == "0"
    third = await service.ask()
    assert (third.status, third.headers["retry-after"]) == (429, "60")
    assert "2 calls in 60 s" in third.json()["error"]["message"]


# Where from


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null", "http://10.0.0.1"])
async def test_a_page_of_another_origin_is_refused(service, origin):
    status, message = await service.error(headers={"origin": origin})
    assert status == 403
    assert "mcp.allowed_origins" in message


@pytest.mark.parametrize(
    "origin", ["http://localhost:6274", "http://127.0.0.1", "https://[::1]:1", "https://Agents.example.com"]
)
async def test_a_page_of_this_machine_or_of_an_allowed_origin_may_ask(origin):
    service = McpService(allowed_origins=["https://agents.example.com/"])
    await with_key(service)
    assert (await service.ask(headers={"origin": origin})).status == 200


async def test_any_host_will_do_unless_some_are_named(service):
    assert (await service.ask(headers={"host": "proxy.internal:81"})).status == 200
    named = McpService(allowed_hosts=["SMS.example.com", "sms.example.com:8480"])
    await with_key(named)
    for host in ("sms.example.com", "SMS.EXAMPLE.COM:8480"):
        assert (await named.ask(headers={"host": host})).status == 200
    for host in ("sms.example.com:81", "evil.example", ""):
        status, message = await named.error(headers={"host": host})
        assert status == 421
        assert "mcp.allowed_hosts" in message
    own = {"host": "sms.example.com", "origin": "https://sms.example.com"}
    assert (await named.ask(headers=own)).status == 200


async def test_a_page_that_a_name_was_pointed_at_us_for_is_refused(service):  # DNS rebinding
    rebound = {"host": "evil.example:8480", "origin": "http://evil.example:8480"}
    assert (await service.error(headers=rebound))[0] == 403


# What is asked


async def test_the_message_goes_on_as_it_came(service):
    body = b'{"jsonrpc": "2.0",  "method": "ping", "id": "a", "params": {"x": "\xe2\x82\xac"}}'
    assert (await service.ask(body)).status == 200
    assert service.agents.bodies == [body]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"secret",
        b"\xff",
        b"[" * 100_000,
        [PING],
        "secret",
        {**PING, "jsonrpc": "1.0"},
        {**PING, "id": None},
        {**PING, "id": 1.5},
        {**PING, "params": ["secret"]},
        {"jsonrpc": "2.0", "id": 1, "result": {"secret": 1}},
    ],
    ids=str,
)
async def test_what_is_no_message_is_400_and_not_shown(service, body):
    headers = {"content-type": "application/json"}
    status, message = await service.error(body, headers=headers)
    assert status == 400
    assert "one JSON-RPC 2.0 request or notification" in message
    assert "secret" not in message
    assert service.agents.bodies == []


@pytest.mark.parametrize("accept", ["", "application/json", "text/event-stream", "text/plain"])
async def test_whatever_a_client_says_that_it_accepts_it_is_json(service, accept):
    body = json.dumps({**PING, "params": None}).encode()
    headers = {"accept": accept, "content-type": "application/json; charset=utf-8"}
    assert (await service.ask(body, headers=headers)).status == 200
    (seen,) = service.agents.headers
    assert (seen[b"accept"], seen[b"content-type"]) == (b"application/json, text/event-stream", b"application/json")


async def test_half_of_a_surrogate_pair_is_told_with_its_place(service):
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"arguments": {"text": "\\ud83d"}}}'
    status, message = await service.error(body)
    assert status == 400
    assert "params.arguments.text is not valid Unicode" in message


async def test_a_message_that_is_too_large_is_413(service):
    body = json.dumps({**PING, "params": {"x": "y" * MAX_MESSAGE_OCTETS}}).encode()
    assert (await service.error(body))[0] == 413


async def test_a_body_that_is_no_json_by_its_header_is_415(service):
    assert (await service.error(headers={"content-type": "text/plain"}))[0] == 415


# When it fails


async def test_an_error_of_ours_is_told_without_its_cause(service):
    service.agents.failure = ValueError("secret")
    status, message = await service.error()
    assert status == 500
    assert "secret" not in message


async def test_an_mcp_server_that_is_not_there_is_503(service):
    service.agents.failure = Overloaded("the MCP server can't be started", 60)
    reply = await service.ask()
    assert (reply.status, reply.headers["retry-after"]) == (503, "60")


async def test_without_the_door_there_is_nothing_at_mcp():
    service = Service(MemoryStore(), ManualClock())
    assert (await service.call("POST", "/mcp", PING, auth=None)).status == 404
