"""What Microsoft's platform, and its certification, asks of a connector. One test a rule, for every connector."""

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, validate

from heliograph.wire.connector.definition import definition, operations_of
from heliograph.wire.connector.properties import api_properties
from heliograph.wire.connector.targets import HELIOGRAPH, TARGETS

PRODUCTS = (
    "Power Platform",
    "Power Automate",
    "Power Apps",
    "Copilot",
    "Logic Apps",
    "Microsoft",
    "Azure",
    "Dataverse",
)
SENTENCE = re.compile(r"[A-Z].*[^.]\.", re.DOTALL)
TITLE_CASE = re.compile(r"[A-Z][A-Za-z0-9]*(?: (?:[A-Z0-9][A-Za-z0-9]*|of|for|to|a|an|the|in|on|and|or))*")
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
OF_OPENAPI_3 = {"openapi", "servers", "components", "requestBody", "content", "anyOf", "oneOf", "nullable", "const"}
FORMATS = {"date-time", "uri", "int32", "int64", "password", "html", "byte", "binary", "date"}


@pytest.fixture(params=TARGETS.values(), ids=[name.value for name in TARGETS])
def target(request):
    return request.param


@pytest.fixture
def swagger(target):
    return definition(target, target.host, "1.2.3")


@pytest.fixture
def properties(target, swagger):
    return api_properties(target, target.host, swagger)["properties"]


def objects_in(value):
    """Every object in a document, the document first."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(each)


def operations(swagger):
    return [operation for _, _, operation in operations_of(swagger)]


def parameters(swagger):
    return [parameter for operation in operations(swagger) for parameter in operation.get("parameters", [])]


def schemas_in(swagger):
    """Every schema: those of bodies and answers, of notifications, definitions, and whatever is in them."""
    roots = [*swagger["definitions"].values()]
    roots += [parameter["schema"] for parameter in parameters(swagger) if parameter["in"] == "body"]
    roots += [
        response["schema"]
        for operation in operations(swagger)
        for response in operation["responses"].values()
        if "schema" in response
    ]
    roots += [item["x-ms-notification-content"]["schema"] for item in notified(swagger)]
    for root in roots:
        yield from within(root)


def within(schema):
    yield schema
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from within(inner)


def properties_in(swagger):
    return [item for schema in schemas_in(swagger) for item in schema.get("properties", {}).items()]


def notified(swagger):
    return [item for item in swagger["paths"].values() if "x-ms-notification-content" in item]


def resolved(swagger, schema):
    return swagger["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def is_internal(value):
    return value.get("x-ms-visibility") == "internal"


# 1. The document


def test_it_is_valid_openapi_2_0(swagger):
    validate(swagger, cls=OpenAPIV2SpecValidator)


def test_it_is_small_and_speaks_https(swagger):
    assert swagger["swagger"] == "2.0"
    assert len(json.dumps(swagger, indent=2).encode()) < 1_000_000
    assert swagger["schemes"] == ["https"]


def test_the_host_has_no_scheme_or_path_and_the_base_path_a_slash_first(swagger):
    assert re.fullmatch(r"[^{}/ :\\]+(?::\d+)?", swagger["host"])
    assert swagger["basePath"].startswith("/")


def test_nothing_of_openapi_3_is_in_it(swagger):
    for each in objects_in({name: swagger[name] for name in ("paths", "definitions")}):
        assert not OF_OPENAPI_3 & each.keys() or isinstance(each.get("content"), dict)


def test_a_value_has_one_type_and_a_known_format(swagger):
    for schema in [*schemas_in(swagger), *(each for each in parameters(swagger) if each["in"] != "body")]:
        assert "$ref" in schema or schema["type"] in TYPES
        assert schema.get("format", "date-time") in FORMATS


# 2. Title, description, contact


def test_the_title_names_the_service(swagger):
    title = swagger["info"]["title"]
    assert len(title) <= 30
    assert title[-1].isalnum()
    assert not re.search("api|connector|" + "|".join(PRODUCTS), title, re.IGNORECASE)


def test_the_description_is_30_to_500_characters_without_products(swagger):
    description = swagger["info"]["description"]
    assert 30 <= len(description) <= 500
    assert not re.search("|".join(PRODUCTS), description)


def test_there_is_somebody_to_contact(swagger):
    contact = swagger["info"]["contact"]
    assert contact.keys() == {"name", "url", "email"}
    assert contact["url"].startswith("https://")
    assert "@" in contact["email"]


# 3. Metadata


def test_the_metadata_are_website_privacy_policy_and_two_categories(swagger):
    metadata = {item["propertyName"]: item["propertyValue"] for item in swagger["x-ms-connector-metadata"]}
    assert list(metadata) == ["Website", "Privacy policy", "Categories"]
    assert metadata["Website"].startswith("https://")
    assert metadata["Privacy policy"].startswith("https://")
    assert metadata["Categories"] == "Communication;Marketing"


# 4. Operations


def test_operation_ids_are_unique_and_in_pascal_case(swagger):
    ids = [operation["operationId"] for operation in operations(swagger)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[A-Z][A-Za-z0-9]*", each) for each in ids)


def test_summaries_are_in_sentence_case_and_short(swagger):
    for operation in operations(swagger):
        summary = operation["summary"]
        assert len(summary) <= 80
        assert summary[0].isupper()
        assert all(word.islower() or word.isupper() for word in summary.split()[1:])
        assert not set(summary) & set("/\\<>*%&?")
        assert summary[-1].isalnum()


def test_descriptions_are_full_sentences_and_say_more_than_the_summary(swagger):
    for operation in operations(swagger):
        assert SENTENCE.fullmatch(operation["description"])
        assert operation["description"].rstrip(".") != operation["summary"]


# 5. Parameters and properties


def test_every_visible_parameter_has_a_title_and_a_description(swagger):
    for parameter in parameters(swagger):
        if parameter["in"] != "body" and not is_internal(parameter):
            assert TITLE_CASE.fullmatch(parameter["x-ms-summary"])
            assert len(parameter["x-ms-summary"]) <= 80
            assert SENTENCE.fullmatch(parameter["description"])


def test_every_visible_property_has_a_title_and_a_description(swagger):
    for name, schema in properties_in(swagger):
        if not is_internal(schema):
            assert TITLE_CASE.fullmatch(schema["x-ms-summary"]), name
            assert len(schema["x-ms-summary"]) <= 80
            assert schema["description"].endswith("."), name


def test_what_is_shown_has_no_markdown(swagger):
    assert "`" not in json.dumps(swagger)


def test_visibility_is_one_of_three(swagger):
    for each in objects_in(swagger["paths"]):
        assert each.get("x-ms-visibility", "important") in {"important", "advanced", "internal"}


def test_what_few_people_need_of_a_job_is_put_under_advanced(swagger):
    options = swagger["definitions"]["JobRequest"]["properties"]["options"]["properties"]
    assert "x-ms-visibility" not in options["src"]
    assert options["maxParts"]["x-ms-visibility"] == "advanced"


def test_path_parameters_are_required_and_encoded_once(swagger):
    for parameter in parameters(swagger):
        in_path = parameter["in"] == "path"
        assert (parameter.get("x-ms-url-encoding") == "single") == in_path
        assert parameter["required"] or not in_path


# 6. Defaults and bodies


def test_what_is_internal_and_required_has_a_default_and_the_other_way_round(swagger):
    for parameter in parameters(swagger):
        if is_internal(parameter):
            assert ("default" in parameter) == parameter["required"]
    for schema in schemas_in(swagger):
        for name, each in schema.get("properties", {}).items():
            if is_internal(each) and not each.get("x-ms-notification-url"):
                assert ("default" in each) == (name in schema.get("required", []))


def test_no_parameter_is_called_connection_id_and_no_get_has_a_body(swagger):
    for _, method, operation in operations_of(swagger):
        for parameter in operation.get("parameters", []):
            assert parameter["name"] != "connectionId"
            assert (method, parameter["in"]) != ("get", "body")


def test_the_options_of_a_job_have_no_defaults_that_would_hide_those_of_the_account(swagger):
    assert not [schema for schema in within(swagger["definitions"]["JobRequest"]) if "default" in schema]


# 7. Answers and schemas


def test_exactly_one_answer_of_200_or_201_has_a_schema(swagger):
    for operation in operations(swagger):
        answers = operation["responses"]
        assert len([code for code in ("200", "201") if "schema" in answers.get(code, {})]) == 1
        assert "schema" not in answers["default"]
        assert all(answer["description"] for answer in answers.values())


def test_no_schema_is_empty_and_every_array_has_items(swagger):
    for schema in schemas_in(swagger):
        assert schema
        assert ("items" in schema) == (schema.get("type") == "array")
        assert "properties" in schema or schema.get("type") != "object"


def test_names_in_required_exist(swagger):
    for schema in schemas_in(swagger):
        assert set(schema.get("required", [])) <= schema.get("properties", {}).keys()


def test_defaults_and_enums_match_their_type(swagger):
    for each in [*schemas_in(swagger), *(each for each in parameters(swagger) if each["in"] != "body")]:
        values = [*each.get("enum", []), *([each["default"]] if "default" in each else [])]
        assert all(type(value) is TYPES[each["type"]] for value in values)


def test_nothing_stands_beside_a_reference(swagger):
    references = [each for each in objects_in(swagger) if "$ref" in each]
    assert references
    for each in references:
        assert len(each) == 1
        assert each["$ref"].rpartition("/")[2] in swagger["definitions"]


def test_every_definition_is_used(swagger):
    used = {each["$ref"].rpartition("/")[2] for each in objects_in(swagger) if "$ref" in each}
    assert used == swagger["definitions"].keys()


# 8. Lists to choose from


def test_a_list_to_choose_from_is_there_in_both_spellings_and_can_be_read(swagger):
    by_id = {operation["operationId"]: operation for operation in operations(swagger)}
    lists = [each for each in objects_in(swagger["paths"]) if "x-ms-dynamic-values" in each]
    assert lists
    for each in lists:
        older, newer = each["x-ms-dynamic-values"], each["x-ms-dynamic-list"]
        assert each["in"] != "body"
        assert older["operationId"] == newer["operationId"]
        listing = by_id[older["operationId"]]
        offered = {parameter["name"]: parameter for parameter in listing["parameters"]}
        assert {name for name, parameter in offered.items() if parameter["required"]} <= older["parameters"].keys()
        assert {name: value["value"] for name, value in newer["parameters"].items()} == older["parameters"]
        assert older["parameters"].keys() <= offered.keys()
        items = resolved(swagger, listing["responses"]["200"]["schema"]["items"])
        assert {older["value-path"], older["value-title"]} <= items["properties"].keys()
        assert (newer["itemValuePath"], newer["itemTitlePath"]) == (older["value-path"], older["value-title"])


# 9. The connection test


def test_a_connection_is_tested_with_a_get_that_needs_nothing(swagger):
    tested = swagger["x-ms-capabilities"]["testConnection"]
    method, operation = next(
        (method, operation)
        for _, method, operation in operations_of(swagger)
        if operation["operationId"] == tested["operationId"]
    )
    assert method == "get"
    assert not [parameter for parameter in operation.get("parameters", []) if parameter["required"]]


# 10. What is published stays


PUBLISHED = {
    "heliograph": {
        *("SendSmsJob", "GetJobStatus", "GetAllJobs", "GetRecipientStatus", "GetVersion", "GetInboundSms"),
        *("GetBlocklist", "GetBlocklistEntry", "BlockNumber", "UnblockNumber", "CancelJob", "PreviewJob"),
        *("OnSmsFinished", "OnJobFinished", "OnSmsReceived", "OnSmsReceivedPolled", "RemoveTrigger"),
    },
    "retarus": {"SendSmsJob", "GetJobStatus", "GetAllJobs", "GetRecipientStatus", "GetVersion"},
}
"""Grows with each release. Flows call these, so none is ever taken away."""


def test_what_was_published_is_still_there(target, swagger):
    assert {operation["operationId"] for operation in operations(swagger)} >= PUBLISHED[target.name.value]


def test_what_is_deprecated_says_what_replaces_it(swagger):
    for operation in operations(swagger):
        assert "x-ms-api-annotation" in operation or not operation.get("deprecated")


# Triggers


def triggers(swagger):
    return [(item, item["post"]) for item in notified(swagger)]


def test_each_event_is_a_trigger_at_a_path_of_its_own():
    paths = definition(HELIOGRAPH, HELIOGRAPH.host, "1.2.3")["paths"]
    assert [path for path, item in paths.items() if "x-ms-notification-content" in item] == [
        "/triggers/sms-finished",
        "/triggers/job-finished",
        "/triggers/sms-received",
    ]


def test_what_subscribes_is_a_trigger_and_says_when(swagger):
    for _, operation in triggers(swagger):
        assert operation["x-ms-trigger"] == "single"
        assert operation["summary"].startswith("When ")
        assert operation["description"].startswith("This operation triggers when ")


def test_there_is_one_place_for_the_callback_and_it_is_required_all_the_way_up(swagger):
    for _, operation in triggers(swagger):
        (body,) = operation["parameters"]
        schema = resolved(swagger, body["schema"])
        assert body["required"]
        ((name, callback),) = [item for item in schema["properties"].items() if "x-ms-notification-url" in item[1]]
        assert callback["type"] == "string"
        assert callback["x-ms-notification-url"] is True
        assert is_internal(callback)
        assert name in schema["required"]


def test_what_a_flow_is_given_is_described(swagger):
    for item, _ in triggers(swagger):
        content = item["x-ms-notification-content"]
        assert content["description"].endswith(".")
        assert {"type", "timestamp", "data"} <= resolved(swagger, content["schema"])["properties"].keys()


def test_a_trigger_that_asks_answers_an_array_or_that_there_is_nothing_yet(swagger):
    polled = [operation for operation in operations(swagger) if operation.get("x-ms-trigger") == "batch"]
    for operation in polled:
        assert operation["summary"].startswith("When ")
        assert operation["description"].startswith("This operation triggers when ")
        assert operation["responses"]["200"]["schema"]["type"] == "array"
        assert operation["responses"]["202"].keys() == {"description"}
        assert all(is_internal(parameter) for parameter in operation["parameters"]), "a state comes by itself"
    assert [operation["operationId"] for operation in polled] == ["OnSmsReceivedPolled"] * bool(triggers(swagger))


def test_a_flow_can_unsubscribe_and_nobody_sees_that(swagger):
    removals = [
        operation
        for path, method, operation in operations_of(swagger)
        if method == "delete" and path.startswith("/triggers/")
    ]
    assert len(removals) == bool(triggers(swagger))
    assert all(is_internal(operation) for operation in removals)


# apiProperties.json


def test_the_brand_colour_is_neither_white_nor_the_platforms(properties):
    colour = properties["iconBrandColor"]
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    assert colour not in {"#ffffff", "#007ee5"}
    assert properties["publisher"]
    assert properties["stackOwner"]


def test_authentication_is_basic_with_two_secrets(swagger, properties):
    assert swagger["securityDefinitions"] == {"basic": {"type": "basic"}}
    assert swagger["security"] == [{"basic": []}]
    for name in ("username", "password"):
        assert properties["connectionParameters"][name]["type"] == "securestring"


def test_constraints_are_the_words_true_and_false_but_clear_text_is_a_boolean(properties):
    for parameter in properties["connectionParameters"].values():
        constraints = parameter["uiDefinition"]["constraints"]
        assert {constraints[name] for name in ("required", "hidden") if name in constraints} <= {"true", "false"}
        assert isinstance(constraints.get("clearText", False), bool)
    assert properties["connectionParameters"]["password"]["uiDefinition"]["constraints"]["clearText"] is False


def test_policies_repeat_the_base_path_and_are_for_operations_that_there_are(swagger, properties):
    ids = {operation["operationId"] for operation in operations(swagger)}
    hosts = [each for each in properties["policyTemplateInstances"] if each["templateId"] == "dynamichosturl"]
    assert hosts
    for policy in hosts:
        assert policy["parameters"]["x-ms-apimTemplateParameter.urlTemplate"].endswith(swagger["basePath"])
    for policy in properties["policyTemplateInstances"]:
        assert set(policy["parameters"].get("x-ms-apimTemplate-operationName", [])) <= ids


def test_sending_carries_a_key_that_is_the_flows_run_unless_one_is_given():
    swagger = definition(HELIOGRAPH, HELIOGRAPH.host, "1.2.3")
    _, policy = api_properties(HELIOGRAPH, HELIOGRAPH.host, swagger)["properties"]["policyTemplateInstances"]
    assert policy["templateId"] == "setheader"
    assert policy["parameters"] == {
        "x-ms-apimTemplateParameter.name": "Idempotency-Key",
        "x-ms-apimTemplateParameter.value": "@headers('x-ms-action-tracking-id')",
        "x-ms-apimTemplateParameter.existsAction": "skip",
        "x-ms-apimTemplate-policySection": "Request",
        "x-ms-apimTemplate-operationName": ["SendSmsJob"],
    }
    (key,) = [each for each in swagger["paths"]["/jobs"]["post"]["parameters"] if each["in"] == "header"]
    assert (key["name"], key["required"], "default" in key) == ("Idempotency-Key", False, False)


def test_ones_own_host_is_a_parameter_of_the_connection():
    host = api_properties(HELIOGRAPH, "sms.example.com", definition(HELIOGRAPH, "sms.example.com", "1.2.3"))
    parameter = host["properties"]["connectionParameters"]["host"]
    assert parameter["type"] == "string"
    assert "sms.example.com" in parameter["uiDefinition"]["tooltip"]
    (policy, *_) = host["properties"]["policyTemplateInstances"]
    assert policy["parameters"] == {
        "x-ms-apimTemplateParameter.urlTemplate": "https://@connectionParameters('host')/rest/v1"
    }
