"""The connector for agents in Copilot Studio: one operation, behind which they find the tools themselves.

Copilot Studio speaks MCP through a connector of its own, with an API key, as Basic authentication is not for that.
"""

import dataclasses
import json
from typing import Any

from heliograph.wire.connector.icon import icon
from heliograph.wire.connector.properties import HOST, settings
from heliograph.wire.connector.readme import solution_file
from heliograph.wire.connector.solution import solution
from heliograph.wire.connector.targets import CATEGORIES, HELIOGRAPH, TargetName
from heliograph.wire.tools import MCP_PATH, TOOLS

Json = dict[str, Any]

KEY = "api_key"
"""The name by which the platform joins the definition's security with a connection's parameter."""
OPERATION = "InvokeServer"
PROTOCOL = "mcp-streamable-1.0"
ANSWER = {"type": "object", "description": "A message of the protocol."}

AGENTS = dataclasses.replace(
    HELIOGRAPH,
    name=TargetName.MCP,
    title="Heliograph SMS for Agents",
    description="Let an agent send SMS through your own heliograph gateway, within an hourly limit, and read what "
    "became of each: a server of the Model Context Protocol (MCP).",
    operations=(),
    connector_id="140a48cd-7d10-5313-ae4a-25006f7d875d",
    schema_name="helio_heliographsmsagents",
    solution_name="HeliographSmsForAgents",
)


def mcp_package(version: str, host: str | None = None) -> dict[str, bytes]:
    """The files, the same for the same arguments on every machine. host: an example of the gateway's."""
    host = host or AGENTS.host
    described = mcp_definition(host, version)
    drawn = icon(AGENTS.brand_colour)
    return {
        "apiDefinition.swagger.json": _json(described),
        "apiProperties.json": _json(mcp_properties(host)),
        "settings.json": _json(settings()),
        "icon.png": drawn,
        "readme.md": _readme().encode(),
        solution_file(AGENTS): solution(
            AGENTS,
            version,
            definition=described,
            connection_parameters=_connection_parameters(host),
            policies=_policies(),
            icon=drawn,
        ),
    }


def mcp_definition(host: str, version: str) -> Json:
    """`apiDefinition.swagger.json`. What goes through the operation, the protocol says, and not the definition."""
    return {
        "swagger": "2.0",
        "info": {
            "title": AGENTS.title,
            "description": AGENTS.description,
            "version": version,
            "contact": dict(AGENTS.contact),
        },
        "host": host,
        "basePath": "/",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            MCP_PATH: {
                "post": {
                    "operationId": OPERATION,
                    "summary": "Send SMS and follow them",
                    "description": "Sends SMS to phones when a person asks for it, and tells what became of them.",
                    "x-ms-agentic-protocol": PROTOCOL,
                    "responses": {"200": {"description": "What a tool answered.", "schema": ANSWER}},
                }
            }
        },
        "securityDefinitions": {KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        "security": [{KEY: []}],
        "x-ms-connector-metadata": [
            {"propertyName": "Website", "propertyValue": AGENTS.website},
            {"propertyName": "Privacy policy", "propertyValue": AGENTS.privacy_policy},
            {"propertyName": "Categories", "propertyValue": CATEGORIES},
        ],
    }


def mcp_properties(host: str) -> Json:
    """`apiProperties.json`. host: the example where a connection asks for the host."""
    return {
        "properties": {
            "connectionParameters": _connection_parameters(host),
            "iconBrandColor": AGENTS.brand_colour,
            "capabilities": [],
            "publisher": AGENTS.publisher,
            "stackOwner": AGENTS.publisher,
            "policyTemplateInstances": _policies(),
        }
    }


def _connection_parameters(host: str) -> Json:
    key = "The key that heliograph account mcp NAME --enable prints; it begins with hgk_."
    return {
        HOST: _parameter(
            "string", "Host", f"The host of your gateway, such as {host}, without https:// or a path.", tab_index=1
        ),
        KEY: _parameter("securestring", "API Key", key, tab_index=2),
    }


def _parameter(kind: str, name: str, description: str, *, tab_index: int) -> Json:
    constraints: Json = {"tabIndex": tab_index, "required": "true"}
    if kind == "securestring":
        constraints["clearText"] = False
    return {
        "type": kind,
        "uiDefinition": {
            "displayName": name,
            "description": description,
            "tooltip": description,
            "constraints": constraints,
        },
    }


def _policies() -> list[Json]:
    return [
        {
            "templateId": "dynamichosturl",
            "title": "The gateway of the connection",
            "parameters": {"x-ms-apimTemplateParameter.urlTemplate": f"https://@connectionParameters('{HOST}')"},
        }
    ]


def _readme() -> str:
    tools = "\n".join(f"- **{tool.name}**: {tool.title}." for tool in TOOLS)
    return f"""\
# {AGENTS.title}

{AGENTS.description}

## Publisher

{AGENTS.publisher}

## Prerequisites

A heliograph gateway that can be reached from the internet by HTTPS with a certificate that everybody trusts, and an
account at it for which MCP is switched on. Copilot Studio uses MCP only with generative orchestration.

## Supported Operations

One, {OPERATION}, through which an agent finds these tools:

{tools}

## Obtaining Credentials

Whoever runs the gateway switches MCP on with `heliograph account mcp NAME --enable`, which prints the key once. A
connection asks for the gateway's host and that key.

## Known Issues and Limitations

- Agents may send 100 SMS in any 60 minutes unless the account says otherwise (`--sms-per-hour`), each part of a long
  text counted. An agent that asks for more is told when there is room again.
- Website, contact and privacy policy are placeholders at heliograph.example. Nobody sees them in one's own
  environment; put your own into `apiDefinition.swagger.json` before you hand the connector on.

## Deployment Instructions

- **Power Platform**: import `{solution_file(AGENTS)}` under Solutions. Or, without a solution: `pac connector create
  --api-definition-file apiDefinition.swagger.json --api-properties-file apiProperties.json --icon-file icon.png`, or
  `paconn create --settings settings.json`.
- **Copilot Studio, without a connector**: Tools, Add a tool, New tool, Model Context Protocol: the URL is
  `https://` and the gateway's host and `{MCP_PATH}`; the authentication is API key, in the header `X-API-Key`.
"""


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
