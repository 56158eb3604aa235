"""Agents' way in: the MCP server, imported and started when the first of them comes."""

import asyncio
import importlib

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from heliograph.agents.toolbox import Toolbox
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import Overloaded

PROTOCOL = "heliograph.agents.protocol"
START_TIMEOUT_S = 30.0
"""How long a request waits for the MCP server to be there: half a second is usual, once in the life of a process."""

log = structlog.get_logger()


class Agents:
    """The MCP server of a process. `run` must be running for requests to be answered."""

    def __init__(self, toolbox: Toolbox, version: str) -> None:
        self._toolbox = toolbox
        self._version = version
        self._wanted = asyncio.Event()
        self._settled = asyncio.Event()
        self._application: ASGIApp | None = None

    async def run(self) -> None:
        """Serve, from when it is first wanted until cancelled. Should it fail, it is tried again when next wanted."""
        while True:
            await self._wanted.wait()
            try:
                protocol = await asyncio.to_thread(importlib.import_module, PROTOCOL)
                async with protocol.mcp_application(self._toolbox, self._version) as self._application:
                    self._settled.set()
                    await asyncio.Event().wait()
            except Exception as error:  # noqa: BLE001 # SMS must go out, whatever is wrong with another's package
                log.error("agents.failed", error=type(error).__qualname__, message=str(error))
            finally:
                self._application = None
            self._wanted.clear()
            self._settled.set()

    async def start(self) -> bool:
        """Have the MCP server ready for requests; whether it is."""
        if self._application is None:
            self._settled.clear()
            self._wanted.set()
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    await self._settled.wait()
            except TimeoutError:
                log.warning("agents.slow", message=f"the MCP server did not start within {START_TIMEOUT_S:.0f} s")
        return self._application is not None

    async def serve(self, account: Account, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that has been let in for an account. Raises Overloaded before it has begun to."""
        await self.start()
        if self._application is None:
            raise Overloaded("the MCP server can't be started; the service's log says why", 60)
        await self._application({**scope, "heliograph.account": account}, receive, send)
