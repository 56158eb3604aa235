"""wire/connector/mcp.py: the connector through which Copilot Studio's agents come, by the platform's rules for it."""

import json
import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, validate

import heliograph
from heliograph.api.keys import new_key
from heliograph.wire.connector.mcp import AGENTS, KEY, mcp_definition, mcp_package, mcp_properties
from heliograph.wire.connector.targets import HELIOGRAPH, RETARUS
from heliograph.wire.tools import MCP_PATH, TOOLS
from tests.wire.test_connector_rules import OF_OPENAPI_3, PRODUCTS, SENTENCE, objects_in

ROOT = Path(__file__).parents[2]
HOST = "sms.example.com"


@pytest.fixture
def swagger():
    return mcp_definition(HOST, "1.2.3")


@pytest.fixture
def properties():
    return mcp_properties(HOST)["properties"]


def test_it_is_valid_openapi_2_0(swagger):
    validate(swagger, cls=OpenAPIV2SpecValidator)
    for each in objects_in(swagger["paths"]):
        assert not OF_OPENAPI_3 & each.keys()


def test_there_is_one_operation_and_it_says_that_it_speaks_mcp(swagger):
    assert (swagger["host"], swagger["basePath"], list(swagger["paths"])) == (HOST, "/", [MCP_PATH])
    (operation,) = swagger["paths"][MCP_PATH].values()
    assert list(swagger["paths"][MCP_PATH]) == ["post"]
    assert operation["x-ms-agentic-protocol"] == "mcp-streamable-1.0"
    assert operation["responses"]["200"]["schema"]["type"] == "object"
    assert re.fullmatch("[A-Z][A-Za-z0-9]+", operation["operationId"])
    assert len(operation["summary"]) <= 80
    assert re.fullmatch("[A-Z][^/\\\\<>*%&?]*[A-Za-z0-9]", operation["summary"])
    assert SENTENCE.fullmatch(operation["description"])


def test_title_and_description_are_as_certification_asks(swagger):
    title, description = swagger["info"]["title"], swagger["info"]["description"]
    assert len(title) <= 30
    assert title[-1].isalnum()
    assert 30 <= len(description) <= 500
    for word in ("API", "Connector", *PRODUCTS):
        assert word not in title
    for word in PRODUCTS:
        assert word not in description
    assert {entry["propertyName"] for entry in swagger["x-ms-connector-metadata"]} == {
        "Website",
        "Privacy policy",
        "Categories",
    }


def test_the_key_goes_where_the_service_looks_for_it(swagger, properties):
    assert swagger["securityDefinitions"] == {KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    assert swagger["security"] == [{KEY: []}]
    assert properties["connectionParameters"][KEY]["type"] == "securestring"
    told = properties["connectionParameters"][KEY]["uiDefinition"]["description"]
    assert new_key("acme", "x" * 20)[:4] in told


def test_a_connection_says_which_gateway_it_is_for(properties):
    assert HOST in properties["connectionParameters"]["host"]["uiDefinition"]["description"]
    (policy,) = properties["policyTemplateInstances"]
    assert policy["templateId"] == "dynamichosturl"
    url = policy["parameters"]["x-ms-apimTemplateParameter.urlTemplate"]
    assert url == "https://@connectionParameters('host')"


def test_it_is_a_connector_of_its_own():
    for other in (HELIOGRAPH, RETARUS):
        for name in ("title", "connector_id", "schema_name", "solution_name"):
            assert getattr(AGENTS, name) != getattr(other, name)


def test_the_package_has_every_file_and_names_every_tool():
    files = mcp_package("1.2.3")
    assert files.keys() == {
        "apiDefinition.swagger.json",
        "apiProperties.json",
        "settings.json",
        "icon.png",
        "readme.md",
        f"{AGENTS.solution_name}.zip",
    }
    for tool in TOOLS:
        assert f"**{tool.name}**" in files["readme.md"].decode()
    with ZipFile(BytesIO(files[f"{AGENTS.solution_name}.zip"])) as solution:
        prefix = f"Connector/{AGENTS.schema_name}_"
        assert json.loads(solution.read(f"{prefix}openapidefinition.json")) == json.loads(
            files["apiDefinition.swagger.json"]
        )
        parameters = json.loads(files["apiProperties.json"])["properties"]["connectionParameters"]
        assert json.loads(solution.read(f"{prefix}connectionparameters.json")) == parameters


def test_the_readme_has_the_headings_that_certification_asks_for():
    text = mcp_package("1.2.3")["readme.md"].decode()
    assert re.findall("^#+ (.*)$", text, re.MULTILINE) == [
        AGENTS.title,
        "Publisher",
        "Prerequisites",
        "Supported Operations",
        "Obtaining Credentials",
        "Known Issues and Limitations",
        "Deployment Instructions",
    ]


def test_the_committed_copy_is_what_the_program_writes():
    committed = {path.name: path.read_bytes() for path in (ROOT / "connector/mcp").iterdir()}
    assert committed == mcp_package(heliograph.__version__), "make golden"
