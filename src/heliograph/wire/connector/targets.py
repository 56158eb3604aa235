"""Whom a connector talks to: one's own heliograph, or the vendor's service that has the same five operations."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from heliograph.wire.operations import (
    GET_ALL_JOBS,
    GET_JOB_STATUS,
    GET_RECIPIENT_STATUS,
    GET_VERSION,
    JOB_ID,
    OPERATIONS,
    SEND_SMS_JOB,
    Operation,
)


class TargetName(Enum):
    """A connector that can be built."""

    HELIOGRAPH = "heliograph"
    RETARUS = "retarus"
    MCP = "mcp"
    """For agents: see `connector.mcp`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One connector.

    title, description: as the platform lists it. product: what its readers call the service.
    host: where it reads, unless somebody gives another; sending_host: where it sends, if not there.
    asks_for_host: the host is a parameter of the connection. connector_id, schema_name: under these an import finds
    the connector that an earlier one made. brand_colour: behind the icon, `#rrggbb`.
    overrides: descriptions of operations and parameters where this service differs, by name. parameters: of an
    operation that has fewer here than in heliograph, by its name, those there are, and whether they are required.
    """

    name: TargetName
    title: str
    description: str
    product: str
    publisher: str
    contact: Mapping[str, str]
    website: str
    privacy_policy: str
    host: str
    sending_host: str | None
    asks_for_host: bool
    operations: tuple[Operation, ...]
    connector_id: str
    schema_name: str
    solution_name: str
    brand_colour: str
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Mapping[str, Mapping[str, bool]] = field(default_factory=dict[str, Mapping[str, bool]])


CATEGORIES = "Communication;Marketing"

FIVE_OPERATIONS = (SEND_SMS_JOB, GET_VERSION, GET_JOB_STATUS, GET_RECIPIENT_STATUS, GET_ALL_JOBS)
"""What the vendor's connector has, in its order."""

HELIOGRAPH = Target(
    name=TargetName.HELIOGRAPH,
    title="Heliograph SMS",
    description="Send SMS from your own heliograph gateway, and know what became of each: jobs of messages to many "
    "recipients, one report for every recipient, cancelling, and the SMS that phones send back.",
    product="heliograph",
    publisher="heliograph",
    contact={
        "name": "heliograph",
        "url": "https://heliograph.example/",
        "email": "support@heliograph.example",
    },
    website="https://heliograph.example/",
    privacy_policy="https://heliograph.example/privacy",
    host="heliograph.example",
    sending_host=None,
    asks_for_host=True,
    operations=OPERATIONS,
    connector_id="e5c669e5-a512-5baf-89f8-fdbbf04779f2",
    schema_name="helio_heliographsms",
    solution_name="HeliographSms",
    brand_colour="#12395b",
    overrides={
        GET_RECIPIENT_STATUS.name: "Reads what became of each SMS of a job, one report for every recipient; or, "
        "without a jobId, of the SMS of any job that meet the other criteria. Give at least one of them. An SMS is "
        "final when its processStatus is DONE, CANCELED or KILL; it was delivered if the status is SUC_FIN.",
    },
)

RETARUS = Target(
    name=TargetName.RETARUS,
    title="SMS for Applications",
    description="Send SMS with Retarus SMS for Applications, and follow their delivery: jobs of messages to many "
    "recipients, the status of a job, and one report for every recipient.",
    product="Retarus SMS for Applications",
    publisher="retarus GmbH",
    contact={"name": "Retarus", "url": "https://www.retarus.com/", "email": "info@retarus.com"},
    website="https://www.retarus.com/",
    privacy_policy="https://www.retarus.com/data-privacy-policy/",
    host="sms4a.de2.retarus.com",
    sending_host="sms4a.eu.retarus.com",
    asks_for_host=False,
    operations=FIVE_OPERATIONS,
    connector_id="fdc4bd85-7433-5040-90a7-bdbb0ce4f17e",
    schema_name="helio_retarussms",
    solution_name="RetarusSmsForApplications",
    brand_colour="#1d5c63",
    overrides={
        "jobIdsOnly": "Whether to list the ids of the jobs alone. At present only true is supported.",
        "fromTs": "Jobs received at or after this instant (ISO-8601), at most 30 days before toTs.",
        "toTs": "Jobs received before this instant (ISO-8601), at most 30 days after fromTs.",
    },
    parameters={SEND_SMS_JOB.name: {}, GET_RECIPIENT_STATUS.name: {JOB_ID.name: True}},
)

TARGETS = {target.name: target for target in (HELIOGRAPH, RETARUS)}


def host_fault(host: str) -> str | None:
    """Why `host` can't be the host of a connector, and what could; None for a good one."""
    if _HOST.fullmatch(host) and len(host) <= _LONGEST_HOST:
        return None
    return (
        "must be a host name, with its port where that isn't 443, such as sms.example.com; without https:// or a path"
    )


_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?")
_LONGEST_HOST = 253
