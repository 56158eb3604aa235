"""The whole package: every file of it, by name."""

import json

from heliograph.wire.connector.definition import definition
from heliograph.wire.connector.icon import icon
from heliograph.wire.connector.logic_apps import bicep
from heliograph.wire.connector.properties import api_properties, connection_parameters, policies, settings
from heliograph.wire.connector.readme import readme, solution_file
from heliograph.wire.connector.solution import solution
from heliograph.wire.connector.targets import Target

DEFINITION_FILE = "apiDefinition.swagger.json"
PROPERTIES_FILE = "apiProperties.json"
SETTINGS_FILE = "settings.json"
ICON_FILE = "icon.png"
README_FILE = "readme.md"
BICEP_FILE = "logic-apps.bicep"


def connector_package(target: Target, version: str, host: str | None = None) -> dict[str, bytes]:
    """The files, the same for the same arguments on every machine.

    host: where requests go; for a service whose connections name the host, an example of one.
    """
    host = host or target.host
    described = definition(target, host, version)
    drawn = icon(target.brand_colour)
    return {
        DEFINITION_FILE: _json(described),
        PROPERTIES_FILE: _json(api_properties(target, host, described)),
        SETTINGS_FILE: _json(settings()),
        ICON_FILE: drawn,
        README_FILE: readme(target, described).encode(),
        BICEP_FILE: bicep(target, host).encode(),
        solution_file(target): solution(
            target,
            version,
            definition=described,
            connection_parameters=connection_parameters(target, host),
            policies=policies(target, host, described),
            icon=drawn,
        ),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
