"""agents/endpoint.py: the MCP server is imported when it is wanted, and what is wrong with it stops nobody else."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from types import ModuleType

import pytest
import structlog

from heliograph.agents import endpoint
from heliograph.agents.endpoint import Agents
from heliograph.agents.toolbox import Toolbox
from heliograph.jobs.errors import Overloaded
from tests.fakes.builders import an_account
from tests.fakes.clock import settle

ACCOUNT = an_account()
PROGRAM = (
    "import sys, heliograph.server; sys.exit(any(name in sys.modules for name in ('mcp', 'mcp_types', 'pydantic')))"
)


class Protocol(ModuleType):
    """Stands in for the module that imports the MCP package."""

    def __init__(self) -> None:
        super().__init__("tests.agents.protocol")
        self.entered = 0
        self.left = asyncio.Event()
        self.scopes = []
        self.failure: Exception | None = None
        self.broken = asyncio.Event()

    @asynccontextmanager
    async def mcp_application(self, toolbox, version):
        if self.failure:
            raise self.failure
        self.entered += 1

        async def application(scope, receive, send):
            self.scopes.append(scope)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._break())
                yield application
        finally:
            self.left.set()

    async def _break(self) -> None:
        await self.broken.wait()
        self.broken.clear()
        raise ValueError("a defect of the MCP package")


@pytest.fixture
def protocol(monkeypatch):
    protocol = Protocol()
    monkeypatch.setitem(sys.modules, protocol.__name__, protocol)
    monkeypatch.setattr(endpoint, "PROTOCOL", protocol.__name__)
    return protocol


@pytest.fixture
async def agents():
    agents = Agents(Toolbox(None, None, None), "1.0")
    running = asyncio.ensure_future(agents.run())
    yield agents
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def nothing(*_):
    raise AssertionError("nobody reads or writes here")


async def ask(agents):
    await agents.serve(ACCOUNT, {"type": "http"}, nothing, nothing)


def test_a_server_without_agents_does_not_import_what_they_need():
    assert subprocess.run([sys.executable, "-c", PROGRAM], check=False).returncode == 0


async def test_the_first_request_starts_it_and_all_others_use_it(agents, protocol):
    await settle()
    assert protocol.entered == 0
    await asyncio.gather(*(ask(agents) for _ in range(10)))
    await ask(agents)
    assert (protocol.entered, len(protocol.scopes)) == (1, 11)
    assert protocol.scopes[0] == {"type": "http", "heliograph.account": ACCOUNT}


async def test_it_can_be_started_before(agents, protocol):
    assert await agents.start()
    assert protocol.entered == 1


async def test_it_is_left_when_the_process_stops(protocol):
    agents = Agents(Toolbox(None, None, None), "1.0")
    running = asyncio.ensure_future(agents.run())
    await ask(agents)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert protocol.left.is_set()


async def test_a_package_that_is_missing_is_told_to_agents_and_logged(agents, monkeypatch):
    monkeypatch.setattr(endpoint, "PROTOCOL", "heliograph.agents.no_such_module")
    with structlog.testing.capture_logs() as logs:
        assert not await agents.start()
        with pytest.raises(Overloaded, match="can't be started; the service's log says why"):
            await ask(agents)
    assert {entry["event"] for entry in logs} == {"agents.failed"}
    assert "no_such_module" in logs[0]["message"]


async def test_when_it_failed_the_next_request_tries_again(agents, protocol):
    protocol.failure = ImportError("half installed")
    with pytest.raises(Overloaded):
        await ask(agents)
    protocol.failure = None
    await ask(agents)
    assert len(protocol.scopes) == 1


async def test_when_it_breaks_it_is_started_anew(agents, protocol):
    await ask(agents)
    protocol.broken.set()
    with structlog.testing.capture_logs() as logs:
        await protocol.left.wait()
        await ask(agents)
    assert (protocol.entered, len(protocol.scopes)) == (2, 2)
    assert logs[0]["event"] == "agents.failed"


async def test_one_that_does_not_come_in_time_is_told(protocol, monkeypatch):
    monkeypatch.setattr(endpoint, "START_TIMEOUT_S", 0.01)
    agents = Agents(Toolbox(None, None, None), "1.0")  # which nobody runs
    with structlog.testing.capture_logs() as logs, pytest.raises(Overloaded):
        await ask(agents)
    assert logs[0]["event"] == "agents.slow"
