"""`apiDefinition.swagger.json`: the operations as OpenAPI 2.0 with the platform's extensions."""

from collections.abc import Iterator
from typing import Any

from heliograph.wire.connector.presentation import (
    ADVANCED_FIELDS,
    CALLBACK_FIELD,
    INTERNAL_PARAMETERS,
    LEFT_OUT,
    PARAMETER_DESCRIPTIONS,
    PRESENTATIONS,
    Presentation,
    Visibility,
    plain,
    title,
)
from heliograph.wire.connector.schemas import as_swagger, reference_name
from heliograph.wire.connector.targets import CATEGORIES, Target
from heliograph.wire.openapi import openapi_document
from heliograph.wire.operations import BASE_PATH, GET_ALL_JOBS, GET_VERSION, JOB_ID

Json = dict[str, Any]

MEDIA_TYPE = "application/json"
BODY = "body"
_NOTHING_YET = "202"
JOBS_OFFERED = 20
"""How many jobs a list to choose one from holds."""


def definition(target: Target, host: str, version: str) -> Json:
    """The definition. host: where requests go that no policy sends elsewhere."""
    document = openapi_document(version)
    found = {operation["operationId"]: (path, method, operation) for path, method, operation in operations_of(document)}
    described = _Operations(target, document["components"]["schemas"])
    paths: Json = {}
    for name in (operation.name for operation in target.operations if operation.name not in LEFT_OUT):
        path, method, operation = found[name]
        item = paths.setdefault(path, {})
        event = PRESENTATIONS[name].triggered_by if name in PRESENTATIONS else None
        if event is None:
            item[method] = described.operation(operation)
        else:
            item["x-ms-notification-content"] = described.notification(document["webhooks"][event])
            item[method] = described.trigger(operation)
    return {
        "swagger": "2.0",
        "info": {
            "title": target.title,
            "description": target.description,
            "version": version,
            "contact": dict(target.contact),
        },
        "host": host,
        "basePath": BASE_PATH,
        "schemes": ["https"],
        "consumes": [MEDIA_TYPE],
        "produces": [MEDIA_TYPE],
        "paths": paths,
        "definitions": described.definitions,
        "securityDefinitions": {"basic": {"type": "basic"}},
        "security": [{"basic": []}],
        "x-ms-capabilities": {"testConnection": {"operationId": GET_VERSION.name, "parameters": {}}},
        "x-ms-connector-metadata": [
            {"propertyName": "Website", "propertyValue": target.website},
            {"propertyName": "Privacy policy", "propertyValue": target.privacy_policy},
            {"propertyName": "Categories", "propertyValue": CATEGORIES},
        ],
    }


def operations_of(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Each operation of a description, with its path and method."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield path, method, operation


_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


class _Operations:
    """Writes operations, and keeps the definitions that they refer to."""

    def __init__(self, target: Target, schemas: Json) -> None:
        self._target = target
        self._schemas = schemas
        self.definitions: Json = {}

    def operation(self, raw: Json) -> Json:
        presentation = PRESENTATIONS.get(raw["operationId"]) or Presentation(plain(raw["description"]))
        written: Json = {
            "operationId": raw["operationId"],
            "summary": raw["summary"],
            "description": self._target.overrides.get(raw["operationId"]) or presentation.description,
        }
        if presentation.visibility is not None:
            written["x-ms-visibility"] = presentation.visibility.value
        parameters = [self._parameter(parameter) for parameter in self._parameters_of(raw)]
        if "requestBody" in raw:
            parameters.append(self._body(raw["requestBody"]))
        if parameters:
            written["parameters"] = parameters
        if presentation.polled:
            written["x-ms-trigger"] = "batch"
        success, answer = next((code, found) for code, found in raw["responses"].items() if code.startswith("2"))
        written["responses"] = {
            success: {
                "description": plain(answer["description"]),
                "schema": self._answer(answer["content"][MEDIA_TYPE]["schema"]),
            },
            "default": {"description": "What is wrong, where, and what would be right."},
        }
        if _NOTHING_YET in raw["responses"]:
            written["responses"][_NOTHING_YET] = {"description": plain(raw["responses"][_NOTHING_YET]["description"])}
        return written

    def trigger(self, raw: Json) -> Json:
        """What subscribes a flow. The platform finds in it where to put the flow's callback URL, and shows nothing."""
        written = {**self.operation(raw), "x-ms-trigger": "single"}
        body = reference_name(raw["requestBody"]["content"][MEDIA_TYPE]["schema"]["$ref"])
        callback = self.definitions[body]["properties"][CALLBACK_FIELD]
        callback.update({"x-ms-notification-url": True, "x-ms-visibility": Visibility.INTERNAL.value})
        return written

    def notification(self, raw: Json) -> Json:
        """What a flow is given when its trigger fires."""
        body = raw["post"]["requestBody"]["content"][MEDIA_TYPE]["schema"]
        return {"description": f"{raw['post']['summary']}.", "schema": self._referred(body["$ref"], request=False)}

    def _parameters_of(self, operation: Json) -> list[Json]:
        """Those that the target has; without the one that is for programs."""
        found = [parameter for parameter in operation["parameters"] if parameter["name"] != "Prefer"]
        known = self._target.parameters.get(operation["operationId"])
        if known is None:
            return found
        return [{**each, "required": known[each["name"]]} for each in found if each["name"] in known]

    def _parameter(self, raw: Json) -> Json:
        name = raw["name"]
        schema = as_swagger({**raw["schema"], "description": self._description(raw)}, self._schemas, request=False)
        written: Json = {
            "name": name,
            "in": raw["in"],
            "required": raw["required"],
            "x-ms-summary": title(name),
            **schema,
        }
        if "default" in raw["schema"]:
            written["default"] = raw["schema"]["default"]
        if raw["in"] == "path":
            written["x-ms-url-encoding"] = "single"
        if name in INTERNAL_PARAMETERS:
            written["x-ms-visibility"] = Visibility.INTERNAL.value
        elif name in ADVANCED_FIELDS:
            written["x-ms-visibility"] = Visibility.ADVANCED.value
        if name == JOB_ID.name:
            written.update(_jobs_to_choose_from())
        if name == "jobIdsOnly":
            written["default"] = True
        return written

    def _description(self, raw: Json) -> str:
        name = raw["name"]
        return self._target.overrides.get(name) or PARAMETER_DESCRIPTIONS.get(name) or raw["description"]

    def _body(self, raw: Json) -> Json:
        return {
            "name": BODY,
            "in": "body",
            "required": True,
            "schema": self._referred(raw["content"][MEDIA_TYPE]["schema"]["$ref"], request=True),
        }

    def _answer(self, schema: Json) -> Json:
        if "$ref" in schema:
            return self._referred(schema["$ref"], request=False)
        if schema.get("type") == "array":
            return {"type": "array", "items": self._answer(schema["items"])}
        return as_swagger(schema, self._schemas, request=False)

    def _referred(self, reference: str, *, request: bool) -> Json:
        name = reference_name(reference)
        self.definitions[name] = as_swagger(self._schemas[name], self._schemas, request=request)
        return {"$ref": f"#/definitions/{name}"}


def _jobs_to_choose_from() -> Json:
    """The latest jobs as a list, in the older and the newer spelling."""
    arguments: Json = {"jobIdsOnly": True, "limit": JOBS_OFFERED}
    return {
        "x-ms-dynamic-values": {
            "operationId": GET_ALL_JOBS.name,
            "parameters": arguments,
            "value-path": JOB_ID.name,
            "value-title": JOB_ID.name,
        },
        "x-ms-dynamic-list": {
            "operationId": GET_ALL_JOBS.name,
            "parameters": {name: {"value": value} for name, value in arguments.items()},
            "itemValuePath": JOB_ID.name,
            "itemTitlePath": JOB_ID.name,
        },
    }
