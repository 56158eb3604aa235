"""docs/reference/mcp-tools.md and tests/golden/mcp-tools.json, from the tools that agents are offered."""

import json

from heliograph.wire.tools import INSTRUCTIONS, TOOLS, Json, Tool

REFERENCE = "docs/reference/mcp-tools.md"
LIST = "tests/golden/mcp-tools.json"

_INTRODUCTION = """\
<!-- Generated from src/heliograph/wire/tools.py by `make golden`; change it there. -->

# Tools for agents

What an agent sees at `/mcp`; [how to let agents send](../how-to/agents.md) says how it gets there. The descriptions are
those that its language model reads.
"""


def files() -> dict[str, str]:
    """The documents."""
    listed = [
        {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": tool.input_schema,
            "outputSchema": tool.output_schema,
        }
        for tool in TOOLS
    ]
    document = json.dumps({"instructions": INSTRUCTIONS, "tools": listed}, indent=2, ensure_ascii=False)
    sections = "\n".join(_section(tool) for tool in TOOLS)
    quoted = "\n".join(f"> {line}" for line in INSTRUCTIONS.splitlines())
    return {REFERENCE: f"{_INTRODUCTION}\n{quoted}\n\n{sections}", LIST: document + "\n"}


def _section(tool: Tool) -> str:
    return f"""\
## {tool.name}

{tool.description}

| argument | type | meaning |
|---|---|---|
{_rows(tool.input_schema)}
| answer | type | meaning |
|---|---|---|
{_rows(tool.output_schema)}"""


def _rows(schema: Json) -> str:
    rows = [
        f"| `{name}`{', required' if name in schema['required'] else ''} | {_type(of)} | {_cell(of['description'])} |\n"
        for name, of in schema["properties"].items()
    ]
    return "".join(rows)


def _type(schema: Json) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value)
    if schema["type"] == "array":
        items = schema["items"]
        if items["type"] == "object":
            return "array of objects: " + ", ".join(f"`{name}`" for name in items["properties"])
        return f"array of {items['type']}s"
    return schema["type"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
