"""wire/openapi.py: the document is whole, and true as far as it can be told without a service."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import heliograph
from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.options import OPTIONS
from heliograph.jobs.senders import sender_fault
from heliograph.wire.openapi import REQUEST_EXAMPLES, openapi_document
from heliograph.wire.operations import BASE_PATH, OPERATIONS
from heliograph.wire.shapes import parse_job_request
from tests.fakes.builders import an_account
from tests.fakes.service import a_job
from tests.wire.test_shapes import JSON, NEARLY

DOCUMENT = openapi_document("0.1.0")
SCHEMAS = DOCUMENT["components"]["schemas"]
GOLDEN = Path(__file__).parents[1] / "golden" / "openapi.json"


def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **_definitions()})


def _definitions() -> dict[str, Any]:
    return {"components": {"schemas": SCHEMAS}}


def every(value: Any, keyword: str) -> list[Any]:
    if isinstance(value, list):
        return [found for each in value for found in every(each, keyword)]
    if isinstance(value, dict):
        here = [value[keyword]] if keyword in value else []
        return here + [found for each in value.values() for found in every(each, keyword)]
    return []


def test_the_committed_document_is_that_of_this_version():
    assert json.loads(GOLDEN.read_text("utf-8")) == openapi_document(heliograph.__version__)


def test_every_operation_is_in_it():
    described = {
        (path, method): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert set(described) == {(operation.path, operation.method.lower()) for operation in OPERATIONS}
    for operation in OPERATIONS:
        entry = described[operation.path, operation.method.lower()]
        assert entry["operationId"] == operation.name
        assert entry["description"].endswith(".")
        assert str(int(operation.success)) in entry["responses"]
        parameters = {each["name"]: each for each in entry["parameters"] if each["in"] != "header"}
        assert set(parameters) == {each.name for each in (*operation.path_parameters, *operation.query_parameters)}


def test_every_option_is_in_it_with_its_default():
    described = SCHEMAS["JobOptions"]["properties"]
    assert list(described) == [option.wire_name for option in OPTIONS]
    for option in OPTIONS:
        if "default" in described[option.wire_name]:
            value = described[option.wire_name]["default"]
            options = parse_job_request(a_job(**{option.wire_name: value}), an_account()).request.options
            assert getattr(options, option.name) == option.default


def test_aliases_are_not_in_it():
    text = json.dumps(DOCUMENT)
    assert "customRef" not in text
    assert not re.search(r"[a-z]+_[a-z]+\"", json.dumps(list(SCHEMAS["JobOptions"]["properties"])))


def test_every_reference_leads_somewhere():
    for reference in every(DOCUMENT, "$ref"):
        found: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_every_field_and_parameter_is_described():
    for name, schema in SCHEMAS.items():
        assert schema["description"], name
        for field, described in schema["properties"].items():
            assert described.get("description"), f"{name}.{field}"


def test_every_error_has_its_schema_and_an_example_that_obeys_it():
    error = validator("ErrorResponse")
    for response in DOCUMENT["components"]["responses"].values():
        body = response["content"]["application/json"]
        assert body["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
        error.validate(body["example"])
        assert all(fault["message"] in body["example"]["message"] for fault in body["example"].get("errors", []))


def test_every_answer_has_an_example_that_obeys_its_schema():
    for operation in OPERATIONS:
        answer = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"][str(int(operation.success))]
        body = answer["content"]["application/json"]
        jsonschema_rs.Draft202012Validator({**body["schema"], **_definitions()}).validate(body["example"])


@pytest.mark.parametrize("name", REQUEST_EXAMPLES)
def test_every_example_of_a_request_is_accepted(name):
    value = REQUEST_EXAMPLES[name]["value"]
    validator("JobRequest").validate(value)
    assert parse_job_request(value, an_account(), strict=True)


@given(st.from_regex(SCHEMAS["JobOptions"]["properties"]["src"]["pattern"], fullmatch=True) | st.text())
def test_the_pattern_of_a_sender_says_what_is_checked(src):
    said = re.fullmatch(SCHEMAS["JobOptions"]["properties"]["src"]["pattern"].strip("^$"), src) is not None
    assert said == (sender_fault(src) is None)


@given(JSON | NEARLY)
def test_what_the_service_accepts_the_document_calls_valid(raw):
    # Where the service is more patient than it says, the document is silent: spelling of enumerations and aliases.
    try:
        parse_job_request(raw, an_account())
    except RequestInvalid:
        return
    text = msgspec.json.encode(raw).decode()
    if "express" not in text:
        validator("JobRequest").validate(raw)


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("validityMin", [0, 5, 2880, None], [-1, 1, 4, 2881, "5", 5.5, True]),
        ("maxParts", [1, 20, None], [0, 21, "1"]),
        ("src", ["Acme", "+49", None], ["", "Ä", 7]),
        ("billcode", ["", "x" * 70, None], ["x" * 71, 7]),
        ("customerRef", ["", "x" * 255, None], ["x" * 256]),
        ("encoding", ["STANDARD", "UTF-16", None], ["", "GSM", 7]),
        ("qos", ["EXPRESS", "NORMAL", None], ["FAST"]),
        ("statusRequested", [True, None], ["true", 1]),
        ("blackoutPeriods", [[], None], ["x", [7]]),
    ],
)
def test_service_and_document_agree_on_options(field, right, wrong):
    schema = validator("JobRequest")
    for value in right:
        assert schema.is_valid(a_job(**{field: value}))
        assert parse_job_request(a_job(**{field: value}), an_account())
    for value in wrong:
        assert not schema.is_valid(a_job(**{field: value})), value
        with pytest.raises(RequestInvalid):
            parse_job_request(a_job(**{field: value}), an_account())


def test_paths_are_below_the_base_path():
    assert DOCUMENT["servers"][0]["url"] == BASE_PATH
