"""`heliograph connector`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

import heliograph
from heliograph.cli.examples import examples
from heliograph.cli.exits import UsageInvalid
from heliograph.wire.connector.mcp import mcp_package
from heliograph.wire.connector.package import connector_package
from heliograph.wire.connector.targets import TARGETS, TargetName, host_fault

app = App(
    name="connector",
    help="Build the connector for Power Automate, Power Apps, Copilot Studio and Logic Apps.",
    help_epilogue=examples(
        "heliograph connector build --out connector",
        "heliograph connector build --help",
    ),
)


@app.command(
    name="build",
    help_epilogue="It writes apiDefinition.swagger.json, apiProperties.json, settings.json, icon.png, readme.md, a "
    "solution to import into Power Platform (.zip), and a template for Logic Apps (logic-apps.bicep), which mcp is not "
    "for. Files of these names in DIR are replaced, others left alone.\n\n"
    + examples(
        "heliograph connector build --out connector",
        "heliograph connector build --out connector --host sms.example.com",
        "heliograph connector build --out connector --target mcp",
        "heliograph connector build --out connector --target retarus",
    ),
)
def build(
    *,
    out: Annotated[Path, Parameter(metavar="DIR", help="Where to write it; made if it isn't there.")],
    host: Annotated[
        str | None,
        Parameter(
            metavar="HOST",
            help="heliograph: the gateway, for Logic Apps, and as the example where a connection is made. retarus: the "
            "data centre that is read from.",
        ),
    ] = None,
    target: Annotated[
        TargetName,
        Parameter(
            help="heliograph: for your own gateway; mcp: the same for agents, by MCP; retarus: for the vendor's "
            "service."
        ),
    ] = TargetName.HELIOGRAPH,
) -> None:
    """Write the package that makes the connector."""
    if host is not None and (fault := host_fault(host)) is not None:
        raise UsageInvalid(f"--host {fault}; it is {host}")
    if target is TargetName.MCP:
        files = mcp_package(heliograph.__version__, host)
    else:
        files = connector_package(TARGETS[target], heliograph.__version__, host)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
        print(out / name)
