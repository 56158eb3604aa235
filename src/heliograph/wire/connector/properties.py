"""`apiProperties.json`: what a connection asks for, and where its requests go; `settings.json` for paconn."""

from typing import Any

from heliograph.wire.connector.targets import Target
from heliograph.wire.operations import BASE_PATH, SEND_SMS_JOB

Json = dict[str, Any]

HOST = "host"
IDEMPOTENCY_KEY = "Idempotency-Key"
ACTION_RUN = "x-ms-action-tracking-id"
"""A header that Logic Apps and Power Automate send: one value for one run of an action, its repetitions included."""


def connection_parameters(target: Target, host: str) -> Json:
    """What somebody is asked for who makes a connection. host: the example where a host is asked for."""
    parameters: Json = {}
    if target.asks_for_host:
        parameters[HOST] = _parameter(
            "string", "Host", f"The host of your gateway, such as {host}, without https:// or a path.", tab_index=1
        )
    parameters["username"] = _parameter(
        "securestring", "User Name", f"The name of your account at {target.product}.", tab_index=2, clear_text=True
    )
    parameters["password"] = _parameter("securestring", "Password", "The password of the account.", tab_index=3)
    return parameters


def _parameter(kind: str, name: str, description: str, *, tab_index: int, clear_text: bool | None = None) -> Json:
    constraints: Json = {"tabIndex": tab_index, "required": "true"}
    if kind == "securestring":
        constraints["clearText"] = bool(clear_text)
    return {
        "type": kind,
        "uiDefinition": {
            "displayName": name,
            "description": description,
            "tooltip": description,
            "constraints": constraints,
        },
    }


def policies(target: Target, host: str, definition: Json) -> list[Json]:
    """What the platform does to requests on their way.

    `dynamichosturl` replaces the definition's host together with its base path, so each URL ends with that.
    """
    if target.asks_for_host:
        found = [_host("The gateway of the connection", f"@connectionParameters('{HOST}')")]
    elif target.sending_host is not None:
        others = [operation.name for operation in target.operations if operation is not SEND_SMS_JOB]
        found = [
            _host("Send with high availability", target.sending_host, [SEND_SMS_JOB.name]),
            _host("Read from one data centre", host, others),
        ]
    else:
        found = []
    if _takes_idempotency_key(definition):
        # A repetition of a call that may have got through carries the same key, so it sends nothing twice.
        found.append(
            {
                "templateId": "setheader",
                "title": "Send nothing twice",
                "parameters": {
                    "x-ms-apimTemplateParameter.name": IDEMPOTENCY_KEY,
                    "x-ms-apimTemplateParameter.value": f"@headers('{ACTION_RUN}')",
                    "x-ms-apimTemplateParameter.existsAction": "skip",
                    "x-ms-apimTemplate-policySection": "Request",
                    "x-ms-apimTemplate-operationName": [SEND_SMS_JOB.name],
                },
            }
        )
    return found


def _host(title: str, host: str, operations: list[str] | None = None) -> Json:
    parameters: Json = {"x-ms-apimTemplateParameter.urlTemplate": f"https://{host}{BASE_PATH}"}
    if operations is not None:
        parameters["x-ms-apimTemplate-operationName"] = operations
    return {"templateId": "dynamichosturl", "title": title, "parameters": parameters}


def _takes_idempotency_key(definition: Json) -> bool:
    sending = definition["paths"][SEND_SMS_JOB.path][SEND_SMS_JOB.method.lower()]
    return any(parameter["name"] == IDEMPOTENCY_KEY for parameter in sending["parameters"])


def api_properties(target: Target, host: str, definition: Json) -> Json:
    """`apiProperties.json`."""
    return {
        "properties": {
            "connectionParameters": connection_parameters(target, host),
            "iconBrandColor": target.brand_colour,
            "capabilities": [],
            "publisher": target.publisher,
            "stackOwner": target.publisher,
            "policyTemplateInstances": policies(target, host, definition),
        }
    }


def settings() -> Json:
    """`settings.json`: what paconn reads; it asks for the two that are empty."""
    return {
        "connectorId": "",
        "environment": "",
        "apiProperties": "apiProperties.json",
        "apiDefinition": "apiDefinition.swagger.json",
        "icon": "icon.png",
        "powerAppsUrl": "https://api.powerapps.com",
        "powerAppsApiVersion": "2016-11-01",
    }
