"""The files of a package as their readers find them: the icon, the solution, the template; and the committed copies."""

import json
import re
import struct
import zlib
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

import heliograph
from heliograph.wire.connector.definition import operations_of
from heliograph.wire.connector.icon import SIDE, icon
from heliograph.wire.connector.package import connector_package
from heliograph.wire.connector.targets import HELIOGRAPH, RETARUS, TARGETS, host_fault

ROOT = Path(__file__).parents[2]

every = pytest.mark.parametrize("target", TARGETS.values(), ids=[name.value for name in TARGETS])


def package_of(target, host=None):
    return connector_package(target, "1.2.3", host)


@every
def test_the_package_has_every_file(target):
    assert package_of(target).keys() == {
        "apiDefinition.swagger.json",
        "apiProperties.json",
        "settings.json",
        "icon.png",
        "readme.md",
        "logic-apps.bicep",
        f"{target.solution_name}.zip",
    }


@every
def test_the_committed_copy_is_what_the_program_writes(target):
    folder = ROOT / "connector" / target.name.value
    committed = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert committed == connector_package(target, heliograph.__version__), "make golden"


@every
def test_settings_name_files_of_the_package(target):
    files = package_of(target)
    settings = json.loads(files["settings.json"])
    assert {settings["apiDefinition"], settings["apiProperties"], settings["icon"]} <= files.keys()


@every
def test_the_readme_has_the_headings_that_certification_asks_for(target):
    text = package_of(target)["readme.md"].decode()
    assert re.findall("^#+ (.*)$", text, re.MULTILINE) == [
        target.title,
        "Publisher",
        "Prerequisites",
        "Supported Operations",
        "Obtaining Credentials",
        "Known Issues and Limitations",
        "Deployment Instructions",
    ]
    definition = json.loads(package_of(target)["apiDefinition.swagger.json"])
    for _, _, operation in operations_of(definition):
        shown = operation.get("x-ms-visibility") != "internal"
        assert (f"**{operation['summary']}**" in text) == shown


# The icon


class Picture:
    """A PNG of one byte a pixel with a palette, read as its standard says."""

    def __init__(self, content):
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        chunks = {}
        at = 8
        while at < len(content):
            (length,) = struct.unpack(">I", content[at : at + 4])
            kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
            assert struct.unpack(">I", content[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
            chunks[kind] = body
            at += 12 + length
        self.kinds = list(chunks)
        self.width, self.height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        assert rest == [8, 3, 0, 0, 0]
        rows = zlib.decompress(chunks[b"IDAT"])
        assert len(rows) == self.height * (self.width + 1)
        palette = [tuple(chunks[b"PLTE"][index : index + 3]) for index in range(0, len(chunks[b"PLTE"]), 3)]
        self.pixels = {}
        for y in range(self.height):
            filter_type, *row = rows[y * (self.width + 1) : (y + 1) * (self.width + 1)]
            assert filter_type == 0
            self.pixels.update({(x, y): palette[place] for x, place in enumerate(row)})


@every
def test_the_icon_obeys_the_platforms_rules(target):
    content = package_of(target)["icon.png"]
    picture = Picture(content)
    assert len(content) < 1_000_000
    assert picture.width == picture.height == SIDE
    assert 100 <= SIDE <= 230
    assert b"tRNS" not in picture.kinds, "it must be opaque"
    background = tuple(bytes.fromhex(target.brand_colour[1:]))
    assert picture.pixels[0, 0] == background
    drawn = [place for place, colour in picture.pixels.items() if colour != background]
    for axis in (0, 1):
        places = [place[axis] for place in drawn]
        assert max(places) - min(places) + 1 <= 0.7 * SIDE
        assert abs(max(places) + min(places) + 1 - SIDE) <= 0.05 * SIDE, "it stands in the middle"


def test_the_icon_has_its_colours():
    colours = set(Picture(icon("#12395b")).pixels.values())
    assert {(0x12, 0x39, 0x5B), (255, 255, 255), (255, 196, 64)} <= colours


# The solution


def parts_of(target, host=None):
    with ZipFile(BytesIO(package_of(target, host)[f"{target.solution_name}.zip"])) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@every
def test_the_solution_names_one_connector_and_where_its_parts_are(target):
    parts = parts_of(target)
    connector = ElementTree.fromstring(parts["customizations.xml"]).find("Connectors/Connector")
    values = {element.tag: element.text for element in connector}
    assert values["name"] == target.schema_name
    assert values["displayname"] == target.title
    assert values["iconbrandcolor"] == target.brand_colour
    assert values["connectortype"] == "1"
    referred = {value[1:] for value in values.values() if value.startswith("/Connector/")}
    assert referred == {name for name in parts if name.startswith("Connector/")}
    assert len(referred) == 4


@every
def test_the_solution_is_unmanaged_and_its_version_has_four_parts(target):
    manifest = ElementTree.fromstring(parts_of(target)["solution.xml"]).find("SolutionManifest")
    assert manifest.findtext("Managed") == "0"
    assert manifest.findtext("Version") == "1.2.3.0"
    component = manifest.find("RootComponents/RootComponent")
    assert component.get("type") == "372"
    assert component.get("schemaName") == target.schema_name
    assert component.get("id") == f"{{{target.connector_id}}}"
    prefix = manifest.findtext("Publisher/CustomizationPrefix")
    assert re.fullmatch("[a-z][a-z0-9]{1,7}", prefix)
    assert target.schema_name.startswith(f"{prefix}_")
    assert 10_000 <= int(manifest.findtext("Publisher/CustomizationOptionValuePrefix")) <= 99_999


@every
def test_the_parts_of_the_solution_hold_the_bare_values(target):
    files, parts = package_of(target), parts_of(target)
    properties = json.loads(files["apiProperties.json"])["properties"]
    part = f"Connector/{target.schema_name}_"
    assert json.loads(parts[f"{part}openapidefinition.json"]) == json.loads(files["apiDefinition.swagger.json"])
    assert json.loads(parts[f"{part}connectionparameters.json"]) == properties["connectionParameters"]
    assert json.loads(parts[f"{part}policytemplateinstances.json"]) == properties["policyTemplateInstances"]
    assert parts[f"{part}iconblob.Png"] == files["icon.png"]


@every
def test_each_kind_of_part_has_its_content_type(target):
    parts = parts_of(target)
    declared = {element.get("Extension") for element in ElementTree.fromstring(parts["[Content_Types].xml"])}
    assert {name.rpartition(".")[2] for name in parts} == declared


def test_two_connectors_never_take_each_others_place():
    assert HELIOGRAPH.connector_id != RETARUS.connector_id
    assert HELIOGRAPH.schema_name != RETARUS.schema_name
    assert HELIOGRAPH.solution_name != RETARUS.solution_name


def test_a_second_build_updates_the_connector_of_the_first():
    def connector_id(host):
        return ElementTree.fromstring(parts_of(HELIOGRAPH, host)["customizations.xml"]).findtext(".//connectorid")

    assert connector_id("one.example") == connector_id("other.example") == HELIOGRAPH.connector_id


# Logic Apps


def test_the_template_asks_for_the_host_of_ones_own_gateway():
    assert re.search(r"^param host string$", package_of(HELIOGRAPH)["logic-apps.bicep"].decode(), re.MULTILINE)


def test_the_template_knows_a_host_that_was_given():
    template = package_of(HELIOGRAPH, "sms.example.com:8443")["logic-apps.bicep"].decode()
    assert "param host string = 'sms.example.com:8443'" in template


@every
def test_the_template_puts_the_host_into_the_definition_and_the_service(target):
    template = package_of(target)["logic-apps.bicep"].decode()
    assert "resource connector 'Microsoft.Web/customApis@2016-06-01'" in template
    assert "serviceUrl: 'https://${host}${definition.basePath}'" in template
    assert "swagger: union(definition, { host: host })" in template
    for file in re.findall(r"load\w+\('([^']+)'\)", template):
        assert file in package_of(target)
    assert template.count("{") == template.count("}")


# Hosts


@pytest.mark.parametrize("host", ["sms.example.com", "sms.example.com:8443", "10.0.0.7", "gateway", "a-b.example"])
def test_a_host_is_a_name_with_its_port(host):
    assert host_fault(host) is None
    assert json.loads(package_of(HELIOGRAPH, host)["apiDefinition.swagger.json"])["host"] == host


@pytest.mark.parametrize(
    "host",
    ["", "https://sms.example.com", "sms.example.com/", "sms example", "sms.example.com:", "-a", "a" * 254, "ü.de"],
)
def test_what_is_no_host_is_refused(host):
    assert "must be a host name" in host_fault(host)
