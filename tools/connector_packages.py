"""connector/: the packages that `heliograph connector build` writes, one folder for each target."""

import heliograph
from heliograph.wire.connector.package import connector_package
from heliograph.wire.connector.targets import TARGETS

FOLDER = "connector"


def files() -> dict[str, bytes]:
    """Every file of every package."""
    return {
        f"{FOLDER}/{name.value}/{file}": content
        for name, target in TARGETS.items()
        for file, content in connector_package(target, heliograph.__version__).items()
    }
