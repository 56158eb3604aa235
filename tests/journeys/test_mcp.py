"""Agents: the official MCP client, over a socket, lists and uses every tool of a whole server."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx2
import msgspec
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from heliograph.api.keys import hash_key, new_key
from heliograph.clock import SystemClock
from heliograph.config.addresses import SqliteUrl
from heliograph.config.settings import DatabaseSettings
from heliograph.databases import open_store
from heliograph.jobs.accounts import McpAccess, RateLimit
from heliograph.wire.tools import INSTRUCTIONS, TOOLS
from tests.fakes.builders import NOW, an_account
from tests.fakes.service import basic, in_real_time, password_hash, running_server

ROOT = Path(__file__).parents[2]
SECRET = "0123456789abcdefghij"
RECIPIENTS = ["+4917612345678", "+4917612340001"]
TIMEOUT_S = 20


def key(name):
    return new_key(name, SECRET)


def an_agents_account(name, sms_per_hour=100, **fields):
    access = McpAccess(key_hash=hash_key(key(name)), sms_per_hour=sms_per_hour)
    return an_account(name, **{"password_hash": password_hash(), "rate_limit": None, "mcp": access, **fields})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = [
        an_agents_account("acme"),
        an_agents_account("poor", sms_per_hour=3),
        an_agents_account("slow", rate_limit=RateLimit(5, 60)),
        an_agents_account("off", mcp=None),
    ]
    with running_server(tmp_path_factory.mktemp("mcp"), *accounts) as running:
        yield running


@asynccontextmanager
async def agent(server, name="acme", *, headers=None, mode="auto"):
    async with httpx2.AsyncClient(headers=headers or {"X-API-Key": key(name)}, timeout=TIMEOUT_S) as http:
        transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def used(client, tool, **arguments):
    """What a tool answers. The client has checked it by the tool's schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def failure(client, tool, **arguments) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


async def finished(client, job_id):
    for _ in range(400):
        if (await used(client, "get_job", jobId=job_id))["finished"]:
            return await used(client, "get_recipients", jobId=job_id)
        await in_real_time(0.05)
    raise AssertionError(f"the job {job_id} did not come to its end within 20 s")


def refusal(error) -> MCPError:
    """The one error in the groups that the client's tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, MCPError)
    return error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_agent_lists_every_tool_with_what_it_is_for(server, mode):
    async with agent(server, mode=mode) as client:
        assert client.instructions == INSTRUCTIONS
        listed = (await client.list_tools()).tools
    assert [(tool.name, tool.description) for tool in listed] == [(tool.name, tool.description) for tool in TOOLS]
    for tool, ours in zip(listed, TOOLS, strict=True):
        assert (tool.input_schema, tool.output_schema) == (ours.input_schema, ours.output_schema)
        assert tool.annotations.read_only_hint == ours.reads
        assert not tool.annotations.destructive_hint or ours.destroys


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
async def test_an_agent_sends_and_learns_what_became_of_it(server, mode, header):
    value = key("acme") if header == "X-API-Key" else f"Bearer {key('acme')}"
    arguments = {"text": f"Hello {mode} {header}", "recipients": RECIPIENTS, "statusRequested": True}
    async with agent(server, headers={header: value}, mode=mode) as client:
        sent = await used(client, "send_sms", **arguments)
        assert not sent["alreadyAccepted"]
        answer = await finished(client, sent["jobId"])
        assert [each["status"] for each in answer["recipients"]] == ["SUC_FIN", "FAILED_FIN"]
        assert {each["meaning"] for each in answer["summary"]} == {
            "delivered, says the carrier's receipt",
            "not delivered, says the carrier's receipt",
        }
        again = await used(client, "send_sms", **arguments)
        assert again == {"jobId": sent["jobId"], "alreadyAccepted": True}


async def test_an_agent_asks_before_it_sends(server):
    async with agent(server) as client:
        answer = await used(client, "preview_sms", text="Grüße 😀", recipients=RECIPIENTS)
        assert (answer["encoding"], answer["smsCount"], answer["countedSms"]) == ("UTF-16", 2, 2)
        assert {each["country"] for each in answer["recipients"]} == {"DE"}


async def test_an_agent_calls_back_what_waits(server):
    async with agent(server) as client:
        tomorrow = (SystemClock().now() + timedelta(days=1)).isoformat()
        sent = await used(client, "send_sms", text="Later", recipients=RECIPIENTS, jobPeriod=tomorrow)
        answer = await used(client, "cancel_job", jobId=sent["jobId"])
        assert [(each["processStatus"], each["count"]) for each in answer["summary"]] == [("CANCELED", 2)]


async def test_what_an_agent_sent_is_its_account_s_in_the_api_too(server):
    async with agent(server) as client, httpx2.AsyncClient() as http:
        sent = await used(client, "send_sms", text="For both", recipients=RECIPIENTS[:1])
        url = f"{server.url}/rest/v1/jobs/{sent['jobId']}"
        assert (await http.get(url, headers={"Authorization": basic("acme")})).status_code == 200
        assert (await http.get(url, headers={"Authorization": basic("poor")})).status_code == 404
    async with agent(server, "poor") as other:
        assert "no such job" in await failure(other, "get_job", jobId=sent["jobId"])


async def test_the_connector_s_one_operation_is_where_agents_are_answered(server):
    definition = json.loads((ROOT / "connector/mcp/apiDefinition.swagger.json").read_text("utf-8"))
    ((path, methods),) = definition["paths"].items()
    (security,) = definition["securityDefinitions"].values()
    (method,) = methods
    url = server.url + definition["basePath"].rstrip("/") + path
    # As Copilot Studio begins, whatever the connector's gateway makes of the headers.
    body = {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "initialize",
        "params": {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    }
    async with httpx2.AsyncClient(headers={security["name"]: key("acme"), "Accept": "*/*"}) as http:
        reply = await http.request(method, url, json=body)
    assert reply.status_code == 200
    assert reply.json()["result"]["protocolVersion"] == "2024-11-05"
    assert "mcp-session-id" not in reply.headers


async def test_wrong_arguments_and_unknown_tools_are_told(server):
    async with agent(server) as client:
        told = await failure(client, "send_sms", text="Hello", recipients=["0176"], validityMin=3)
        assert "validityMin must be a whole number from 5 to 2880" in told
        with pytest.raises(MCPError, match="there is no tool of that name; there are send_sms, preview_sms"):
            await client.call_tool("send_fax", {})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_wrong_key_is_told_in_words(server, mode):
    with pytest.raises((MCPError, BaseExceptionGroup)) as refused:
        async with agent(server, headers={"X-API-Key": new_key("acme", SECRET[::-1])}, mode=mode):
            pass
    assert "the key is wrong, or has been replaced" in str(refusal(refused.value))


async def test_an_account_without_mcp_is_told_what_to_do(server):
    async with httpx2.AsyncClient() as http:
        reply = await http.post(f"{server.url}/mcp", headers={"Authorization": basic("off")}, json={})
    assert reply.status_code == 401
    assert "heliograph account mcp NAME --enable" in reply.json()["error"]["message"]


async def test_of_many_agents_at_once_no_more_is_sent_than_the_spending_limit(server):
    async def send(number):
        async with agent(server, "poor") as client:
            return await client.call_tool("send_sms", {"text": "Hello", "recipients": [f"+4917612345{number}"]})

    results = await asyncio.gather(*(send(number) for number in range(600, 608)))
    assert sum(not result.is_error for result in results) == 3
    assert all("of which 0 are left; nothing was sent" in r.content[0].text for r in results if r.is_error)


async def test_the_rate_limit_is_told_to_the_agent(server):
    async def ask_often():
        async with agent(server, "slow", mode="legacy") as client:
            for _ in range(5):
                await client.list_tools(cache_mode="bypass")

    with pytest.raises((MCPError, BaseExceptionGroup)) as refused:
        await ask_often()
    assert "5 calls in 60 s" in str(refusal(refused.value))


async def test_an_account_is_switched_on_while_the_service_runs(tmp_path):
    with running_server(tmp_path) as server:
        async with open_store(DatabaseSettings(url=SqliteUrl(server.database)), NOW, serving=False) as store:
            account = await store.account("acme")
            await store.put_account(msgspec.structs.replace(account, mcp=McpAccess(key_hash=hash_key(key("acme")))))
        async with agent(server) as client:
            assert await used(client, "send_sms", text="Hello", recipients=RECIPIENTS)
