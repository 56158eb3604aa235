"""connector/: the packages that `heliograph connector build` writes, one folder for each target."""

import heliograph
from heliograph.wire.connector.mcp import mcp_package
from heliograph.wire.connector.package import connector_package
from heliograph.wire.connector.targets import TARGETS, TargetName

FOLDER = "connector"


def files() -> dict[str, bytes]:
    """Every file of every package."""
    version = heliograph.__version__
    packages = {name: connector_package(target, version) for name, target in TARGETS.items()}
    packages[TargetName.MCP] = mcp_package(version)
    return {
        f"{FOLDER}/{name.value}/{file}": content for name, files in packages.items() for file, content in files.items()
    }
