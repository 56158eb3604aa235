"""The unmanaged solution: one zip that an administrator imports into an environment of Power Platform.

Its parts hold what the files of the package hold, without their wrappers. The connector's id never changes, so that a
second import updates what the first one made.
"""

import json
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from heliograph.wire.connector.targets import Target

Json = dict[str, Any]

CONNECTOR = "372"
"""The component type of a connector (Dataverse, solutioncomponent)."""
_ENGLISH = "1033"
_PUBLISHER = "heliograph"
_PREFIX = "helio"
_OPTION_PREFIX = "48480"
"""Of choices that the publisher would add: any five digits from 10000 that are its own."""
_CONTENT_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_NOTHING = (
    "Entities",
    "Roles",
    "Workflows",
    "FieldSecurityProfiles",
    "Templates",
    "EntityMaps",
    "EntityRelationships",
    "OrganizationSettings",
    "optionsets",
    "CustomControls",
    "EntityDataProviders",
)
"""What else a solution may hold; an import expects these, empty."""


def solution(
    target: Target, version: str, *, definition: Json, connection_parameters: Json, policies: list[Json], icon: bytes
) -> bytes:
    """The zip. version: `major.minor.patch`."""
    return _zip(
        {
            "[Content_Types].xml": _content_types(),
            "solution.xml": _manifest(target, version),
            "customizations.xml": _customizations(target, definition["info"]),
            _part(target, "openapidefinition.json"): _json(definition),
            _part(target, "connectionparameters.json"): _json(connection_parameters),
            _part(target, "policytemplateinstances.json"): _json(policies),
            _part(target, "iconblob.Png"): icon,
        }
    )


def _part(target: Target, name: str) -> str:
    return f"Connector/{target.schema_name}_{name}"


def _manifest(target: Target, version: str) -> bytes:
    root = Element("ImportExportXml", version="9.2", SolutionPackageVersion="9.2", languagecode=_ENGLISH)
    manifest = SubElement(root, "SolutionManifest")
    _text(manifest, "UniqueName", target.solution_name)
    _localized(manifest, target.title)
    SubElement(manifest, "Descriptions")
    _text(manifest, "Version", f"{version}.0")
    _text(manifest, "Managed", "0")
    publisher = SubElement(manifest, "Publisher")
    _text(publisher, "UniqueName", _PUBLISHER)
    _localized(publisher, _PUBLISHER)
    SubElement(publisher, "Descriptions")
    _text(publisher, "CustomizationPrefix", _PREFIX)
    _text(publisher, "CustomizationOptionValuePrefix", _OPTION_PREFIX)
    SubElement(publisher, "Addresses")
    components = SubElement(manifest, "RootComponents")
    SubElement(
        components,
        "RootComponent",
        type=CONNECTOR,
        id=f"{{{target.connector_id}}}",
        schemaName=target.schema_name,
        behavior="0",
    )
    SubElement(manifest, "MissingDependencies")
    return _xml(root)


def _customizations(target: Target, info: Json) -> bytes:
    root = Element("ImportExportXml")
    for name in _NOTHING:
        SubElement(root, name)
    connector = SubElement(SubElement(root, "Connectors"), "Connector")
    for name, value in {
        "connectorid": target.connector_id,
        "description": info["description"],
        "displayname": target.title,
        "iconbrandcolor": target.brand_colour,
        "name": target.schema_name,
        "connectortype": "1",
        "openapidefinition": f"/{_part(target, 'openapidefinition.json')}",
        "connectionparameters": f"/{_part(target, 'connectionparameters.json')}",
        "policytemplateinstances": f"/{_part(target, 'policytemplateinstances.json')}",
        "iconblob": f"/{_part(target, 'iconblob.Png')}",
    }.items():
        _text(connector, name, value)
    _text(SubElement(root, "Languages"), "Language", _ENGLISH)
    return _xml(root)


def _content_types() -> bytes:
    root = Element("Types", xmlns=_CONTENT_TYPES)
    for extension in ("xml", "json", "Png"):
        SubElement(root, "Default", Extension=extension, ContentType="application/octet-stream")
    return _xml(root)


def _localized(parent: Element, text: str) -> None:
    names = SubElement(parent, "LocalizedNames")
    SubElement(names, "LocalizedName", description=text, languagecode=_ENGLISH)


def _text(parent: Element, name: str, value: str) -> None:
    SubElement(parent, name).text = value


def _xml(root: Element) -> bytes:
    indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="utf-8") + b"\n"


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def _zip(parts: dict[str, bytes]) -> bytes:
    """The same bytes on every machine: no compression, no time, no platform of its own."""
    content = BytesIO()
    with ZipFile(content, "w", ZIP_STORED) as archive:
        for name, part in parts.items():
            info = ZipInfo(name)  # Its time is the format's first, 1980-01-01.
            info.create_system = 0
            archive.writestr(info, part)
    return content.getvalue()
