"""`readme.md`: what Microsoft asks a connector to say of itself, in its order."""

from typing import Any

from heliograph.wire.connector.definition import operations_of
from heliograph.wire.connector.targets import Target, TargetName

Json = dict[str, Any]

_PREREQUISITES = {
    TargetName.HELIOGRAPH: "A heliograph gateway that can be reached from the internet by HTTPS with a certificate "
    "that everybody trusts, and an account at it.",
    TargetName.RETARUS: "An account for Retarus SMS for Applications, with its user name and password.",
}

_CREDENTIALS = {
    TargetName.HELIOGRAPH: "Whoever runs the gateway makes an account with `heliograph account add NAME`, which "
    "prints the password once. A connection asks for the gateway's host, the user name and the password.",
    TargetName.RETARUS: "Retarus gives them, for a trial too. A connection asks for the user name and the password.",
}

_LIMITATIONS = {
    TargetName.HELIOGRAPH: (
        "An account may make 100 calls in 60 seconds unless its gateway says otherwise. More are answered with 429 and "
        "`Retry-After`, which flows obey.",
        "In Logic Apps there are no policies: the host is given when the connector is deployed, not with a connection. "
        "An empty `Idempotency Key` protects nothing there: give the expression `guid()`, so that a call that is "
        "repeated after a time-out sends nothing twice.",
        "Website, contact and privacy policy are placeholders at heliograph.example. Nobody sees them in one's own "
        "environment; put your own into `apiDefinition.swagger.json` before you hand the connector on.",
    ),
    TargetName.RETARUS: (
        "An account may make 100 calls in 60 seconds. More are answered with 429.",
        "Sending goes to the host with high availability, reading to one data centre; in Logic Apps, where there are "
        "no policies, both go to the data centre. `heliograph connector build --target retarus --host HOST` takes "
        "another.",
        "`Return Only Job IDs` can only be true.",
        "A flow repeats a call that timed out. Set `Duplicate Detection` to true where an SMS must not go out twice: "
        "an equal job within 10 minutes is then refused with 409.",
    ),
}


def readme(target: Target, definition: Json) -> str:
    """The file."""
    operations = [operation for _, _, operation in operations_of(definition)]
    shown = [operation for operation in operations if operation.get("x-ms-visibility") != "internal"]
    return "\n".join(
        (
            f"# {target.title}\n",
            f"{target.description}\n",
            "## Publisher\n",
            f"{target.publisher}\n",
            "## Prerequisites\n",
            f"{_PREREQUISITES[target.name]}\n",
            "## Supported Operations\n",
            *(f"- **{operation['summary']}**: {operation['description']}" for operation in shown),
            "",
            "## Obtaining Credentials\n",
            f"{_CREDENTIALS[target.name]}\n",
            "## Known Issues and Limitations\n",
            *(f"- {limitation}" for limitation in _LIMITATIONS[target.name]),
            "",
            "## Deployment Instructions\n",
            f"- **Power Platform**: import `{solution_file(target)}` under Solutions. Or, without a solution: "
            "`pac connector create --api-definition-file apiDefinition.swagger.json --api-properties-file "
            "apiProperties.json --icon-file icon.png`, or `paconn create --settings settings.json`.",
            "- **Logic Apps**: `az deployment group create --resource-group GROUP --template-file logic-apps.bicep`.",
            "",
        )
    )


def solution_file(target: Target) -> str:
    """What the solution's zip is called."""
    return f"{target.solution_name}.zip"
