"""The MCP server: one request, one JSON answer, no sessions. The only module that imports the MCP package."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as McpTool
from starlette.requests import Request
from starlette.types import ASGIApp

from heliograph.agents.toolbox import Toolbox, ToolFailed
from heliograph.jobs.accounts import Account
from heliograph.wire.operations import MAX_BODY_OCTETS
from heliograph.wire.tools import INSTRUCTIONS, TOOLS, Tool

ACCOUNT = "heliograph.account"
"""Where the ASGI scope of a request says for whom it is."""


@asynccontextmanager
async def mcp_application(toolbox: Toolbox, version: str) -> AsyncGenerator[ASGIApp]:
    """The ASGI application, while entered. A request's scope must say its ACCOUNT."""
    server = _server(toolbox, version)
    manager = StreamableHTTPSessionManager(
        server,
        json_response=True,
        stateless=True,
        max_request_body_size=MAX_BODY_OCTETS,
        # Hosts and origins are checked before anybody gets here (`api.mcp`).
        security_settings=None,
    )
    async with manager.run():
        yield manager.handle_request


def _server(toolbox: Toolbox, version: str) -> Server[Any]:
    listed = ListToolsResult(tools=[_described(tool) for tool in TOOLS])
    schemas = {tool.name: tool.input_schema for tool in TOOLS}

    async def list_tools(context: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        if params.name not in toolbox:
            names = ", ".join(tool.name for tool in TOOLS)
            raise MCPError(INVALID_PARAMS, f"there is no tool of that name; there are {names}")
        account = cast(Account, cast(Request, context.request).scope[ACCOUNT])
        try:
            answer = await toolbox.call(params.name, params.arguments or {}, account)
        except ToolFailed as failed:
            return CallToolResult(content=[TextContent(type="text", text=str(failed))], is_error=True)
        text = msgspec.json.encode(answer).decode()
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)

    return Server(
        "heliograph",
        version=version,
        title="heliograph",
        description="An SMS gateway.",
        instructions=INSTRUCTIONS,
        get_tool_input_schema=schemas.get,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(tool: Tool) -> McpTool:
    return McpTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.reads,
            destructive_hint=tool.destroys,
            idempotent_hint=tool.repeatable,
            open_world_hint=not tool.reads,
        ),
    )
