"""The public reference of the connector "SMS for Applications", table by table, against what is generated.

Each row is the name that the reference shows (in English, and with its capitals left aside, for the platform's rules
have titles in Title Case), the key, whether it is required, and the type.
"""

import pytest

from heliograph.wire.connector.definition import definition, operations_of
from heliograph.wire.connector.properties import api_properties
from heliograph.wire.connector.targets import HELIOGRAPH, RETARUS, TARGETS

OPERATIONS = [
    ("Send SMS job", "post", "/jobs"),
    ("Get version information", "get", "/version"),
    ("Get job status", "get", "/jobs/{jobId}"),
    ("Get status for all recipients of a job", "get", "/sms"),
    ("Get all jobs for given criteria", "get", "/jobs"),
]

OPTIONS = [
    ("src", "src", False, "string"),
    ("encoding", "encoding", False, "string"),
    ("billcode", "billcode", False, "string"),
    ("statusRequested", "statusRequested", False, "boolean"),
    ("flash", "flash", False, "boolean"),
    ("customerRef", "customerRef", False, "string"),
    ("validityMin", "validityMin", False, "integer"),
    ("maxParts", "maxParts", False, "integer"),
    ("invalidCharacters", "invalidCharacters", False, "string"),
    ("qos", "qos", False, "string"),
    ("jobPeriod", "jobPeriod", False, "date-time"),
    ("duplicateDetection", "duplicateDetection", False, "boolean"),
    ("blackoutPeriods", "blackoutPeriods", False, "array of string"),
]
MESSAGE = [("text", "text", True, "string")]
RECIPIENT = [
    ("dst", "dst", True, "string"),
    ("customerRef", "customerRef", False, "string"),
    ("blackoutPeriods", "blackoutPeriods", False, "array of string"),
]

PARAMETERS = {
    "Get version information": [],
    "Get job status": [("Job ID", "jobId", True, "string")],
    "Get status for all recipients of a job": [("Job ID", "jobId", True, "string")],
    "Get all jobs for given criteria": [
        ("Return only job IDs", "jobIdsOnly", True, "boolean"),
        ("From timestamp", "fromTs", False, "date-time"),
        ("To timestamp", "toTs", False, "date-time"),
        ("Return only open jobs", "open", False, "boolean"),
        ("Offset", "offset", False, "integer"),
        ("Maximum number of returned results", "limit", False, "integer"),
    ],
}

DEFINITIONS = {
    "JobResponse": [("jobId", "jobId", "string")],
    "JobReport": [
        ("jobId", "jobId", "string"),
        ("src", "src", "string"),
        ("encoding", "encoding", "string"),
        ("billcode", "billcode", "string"),
        ("statusRequested", "statusRequested", "boolean"),
        ("flash", "flash", "boolean"),
        ("validityMin", "validityMin", "integer"),
        ("customerRef", "customerRef", "string"),
        ("qos", "qos", "string"),
        ("receiptTs", "receiptTs", "date-time"),
        ("finishedTs", "finishedTs", "date-time"),
        ("recipientIds", "recipientIds", "array of string"),
    ],
    "RecipientReport": [
        ("smsId", "smsId", "string"),
        ("dst", "dst", "string"),
        ("processStatus", "processStatus", "string"),
        ("status", "status", "string"),
        ("customerRef", "customerRef", "string"),
        ("reason", "reason", "string"),
        ("sentTs", "sentTs", "date-time"),
        ("finishedTs", "finishedTs", "date-time"),
    ],
    "VersionInfoResponse": [
        ("buildNumber", "buildNumber", "integer"),
        ("buildTimestamp", "buildTimestamp", "string"),
        ("majorVersion", "majorVersion", "integer"),
        ("minorVersion", "minorVersion", "integer"),
        ("versionInfo", "versionInfo", "string"),
        ("message", "message", "string"),
    ],
}

ANSWERS = {
    "Send SMS job": "JobResponse",
    "Get job status": "JobReport",
    "Get status for all recipients of a job": "RecipientReport",
    "Get version information": "VersionInfoResponse",
}

both = pytest.mark.parametrize("target", TARGETS.values(), ids=[name.value for name in TARGETS])


def swagger_of(target):
    return definition(target, target.host, "1.2.3")


def by_summary(target):
    return {
        operation["summary"]: (method, path, operation) for path, method, operation in operations_of(swagger_of(target))
    }


def same_name(shown, summary):
    return shown.replace(" ", "").casefold() == summary.replace(" ", "").casefold()


def kind(schema):
    if schema["type"] == "array":
        return f"array of {schema['items']['type']}"
    return schema.get("format", schema["type"])


def assert_rows(rows, schema):
    properties = schema["properties"]
    assert list(properties) == [key for _, key, _, _ in rows]
    for shown, key, required, expected in rows:
        assert same_name(shown, properties[key]["x-ms-summary"])
        assert (key in schema.get("required", [])) == required
        assert kind(properties[key]) == expected


def test_the_vendors_connector_has_the_five_operations_and_no_more():
    assert list(by_summary(RETARUS)) == [
        summary for summary, _, _ in sorted(OPERATIONS, key=lambda row: (row[0] != "Send SMS job", row[2] != "/jobs"))
    ]


@both
@pytest.mark.parametrize(("summary", "method", "path"), OPERATIONS, ids=[summary for summary, _, _ in OPERATIONS])
def test_an_operation_is_there_under_its_name(target, summary, method, path):
    assert by_summary(target)[summary][:2] == (method, path)


@both
def test_the_fields_of_a_job_are_those_of_the_reference(target):
    (_, _, operation) = by_summary(target)["Send SMS job"]
    (body,) = [parameter for parameter in operation["parameters"] if parameter["in"] == "body"]
    assert body["schema"] == {"$ref": "#/definitions/JobRequest"}
    request = swagger_of(target)["definitions"]["JobRequest"]
    assert list(request["properties"]) == ["options", "messages"]
    assert request["required"] == ["messages"]
    message = request["properties"]["messages"]["items"]
    recipient = message["properties"].pop("recipients")["items"]
    message["required"].remove("recipients")
    assert_rows(OPTIONS, request["properties"]["options"])
    assert_rows(MESSAGE, message)
    assert_rows(RECIPIENT, recipient)


@both
@pytest.mark.parametrize("summary", PARAMETERS)
def test_the_parameters_are_those_of_the_reference(target, summary):
    rows = PARAMETERS[summary]
    (_, _, operation) = by_summary(target)[summary]
    parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
    assert list(parameters)[: len(rows)] == [key for _, key, _, _ in rows]
    assert target is HELIOGRAPH or len(parameters) == len(rows)
    for shown, key, required, expected in rows:
        assert same_name(shown, parameters[key]["x-ms-summary"])
        assert kind(parameters[key]) == expected
        if target is HELIOGRAPH:
            assert parameters[key]["required"] <= required, "nothing more is asked for than there"
        else:
            assert parameters[key]["required"] == required


@both
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_that_of_the_reference(target, name):
    properties = swagger_of(target)["definitions"][name]["properties"]
    assert [(key, kind(schema)) for key, schema in properties.items()] == [
        (key, expected) for _, key, expected in DEFINITIONS[name]
    ]
    for shown, key, _ in DEFINITIONS[name]:
        assert same_name(shown, properties[key]["x-ms-summary"])


@both
@pytest.mark.parametrize("summary", ANSWERS)
def test_an_operation_answers_what_the_reference_says(target, summary):
    (_, _, operation) = by_summary(target)[summary]
    schema = next(answer["schema"] for code, answer in operation["responses"].items() if code in {"200", "201"})
    assert (schema.get("items") or schema) == {"$ref": f"#/definitions/{ANSWERS[summary]}"}


@both
def test_the_list_of_jobs_holds_reports(target):
    (_, _, operation) = by_summary(target)["Get all jobs for given criteria"]
    schema = operation["responses"]["200"]["schema"]
    assert schema["type"] == "array"
    assert list(schema["items"]["properties"]) == [key for _, key, _ in DEFINITIONS["JobReport"]]


# What the reference says of values


@pytest.fixture(params=TARGETS.values(), ids=[name.value for name in TARGETS])
def options(request):
    return swagger_of(request.param)["definitions"]["JobRequest"]["properties"]["options"]["properties"]


def test_limits_of_options(options):
    assert options["billcode"]["maxLength"] == 70
    assert (options["validityMin"]["minimum"], options["validityMin"]["maximum"]) == (0, 2880)
    assert "From 5 to 2880, or 0" in options["validityMin"]["description"]
    assert (options["maxParts"]["minimum"], options["maxParts"]["maximum"]) == (1, 20)
    assert "64 characters recommended" in options["customerRef"]["description"]


def test_values_of_options(options):
    assert options["encoding"]["enum"] == ["STANDARD", "UTF-16"]
    assert options["invalidCharacters"]["enum"] == ["REFUSE", "REPLACE", "TO_UTF16", "TRANSLITERATE"]
    assert options["qos"]["enum"] == ["EXPRESS", "NORMAL"]


@both
def test_limits_of_the_list_of_jobs(target):
    (_, _, operation) = by_summary(target)["Get all jobs for given criteria"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (0, 1000)
    assert "30 days" in parameters["fromTs"]["description"]
    assert parameters["jobIdsOnly"]["default"] is True


def test_the_vendors_list_of_jobs_holds_ids_alone():
    (_, _, operation) = by_summary(RETARUS)["Get all jobs for given criteria"]
    assert "only true is supported" in operation["parameters"][0]["description"]


# The connection, and who stands behind it


def test_the_vendors_connection_asks_for_user_name_and_password():
    properties = api_properties(RETARUS, RETARUS.host, swagger_of(RETARUS))["properties"]
    asked = properties["connectionParameters"]
    assert {name: parameter["type"] for name, parameter in asked.items()} == {
        "username": "securestring",
        "password": "securestring",
    }
    assert all(parameter["uiDefinition"]["constraints"]["required"] == "true" for parameter in asked.values())
    assert properties["publisher"] == "retarus GmbH"


def test_the_vendor_is_who_the_reference_names():
    swagger = swagger_of(RETARUS)
    assert swagger["info"]["title"] == "SMS for Applications"
    assert swagger["info"]["contact"] == {
        "name": "Retarus",
        "url": "https://www.retarus.com/",
        "email": "info@retarus.com",
    }
    assert [item["propertyValue"] for item in swagger["x-ms-connector-metadata"]] == [
        "https://www.retarus.com/",
        "https://www.retarus.com/data-privacy-policy/",
        "Communication;Marketing",
    ]


def test_the_vendors_jobs_are_sent_to_the_host_with_high_availability_and_read_from_a_data_centre():
    swagger = swagger_of(RETARUS)
    sending, reading = api_properties(RETARUS, RETARUS.host, swagger)["properties"]["policyTemplateInstances"]
    assert sending["parameters"] == {
        "x-ms-apimTemplateParameter.urlTemplate": "https://sms4a.eu.retarus.com/rest/v1",
        "x-ms-apimTemplate-operationName": ["SendSmsJob"],
    }
    assert reading["parameters"]["x-ms-apimTemplateParameter.urlTemplate"] == "https://sms4a.de2.retarus.com/rest/v1"
    assert len(reading["parameters"]["x-ms-apimTemplate-operationName"]) == 4
