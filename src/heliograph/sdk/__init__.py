"""The Python SDK: `from heliograph import Client, AsyncClient`.

`calls` says what is asked, `answers` what is answered, `retrying` when to ask again: all pure. `aio` asks; `sync` is
generated from it.
"""

from heliograph.gsm.carrying import Encoding, InvalidCharacters
from heliograph.jobs.errors import FieldFault, HeliographError, SettingsInvalid
from heliograph.jobs.options import Qos
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.jobs.webhooks import EventType
from heliograph.sdk.aio import AsyncClient
from heliograph.sdk.calls import split_messages
from heliograph.sdk.errors import (
    ClientError,
    Duplicate,
    IgnoredFields,
    InsecureConnection,
    InvalidRequest,
    NotFinished,
    NotFound,
    RateLimited,
    RefusedCharacters,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unsupported,
)
from heliograph.sdk.models import (
    BlocklistEntry,
    FailedEventReport,
    InboundReport,
    JobReport,
    Message,
    Options,
    Preview,
    PreviewedMessage,
    PreviewedRecipient,
    Recipient,
    RecipientReport,
    Recipients,
    Replacement,
    VersionInfo,
    Webhook,
)
from heliograph.sdk.sync import Client

__all__ = [
    "AsyncClient",
    "BlocklistEntry",
    "Client",
    "ClientError",
    "Duplicate",
    "Encoding",
    "EventType",
    "FailedEventReport",
    "FieldFault",
    "HeliographError",
    "IgnoredFields",
    "InboundReport",
    "InsecureConnection",
    "InvalidCharacters",
    "InvalidRequest",
    "JobReport",
    "Message",
    "NotFinished",
    "NotFound",
    "Options",
    "Period",
    "Preview",
    "PreviewedMessage",
    "PreviewedRecipient",
    "ProcessStatus",
    "Qos",
    "RateLimited",
    "Recipient",
    "RecipientReport",
    "Recipients",
    "RefusedCharacters",
    "Replacement",
    "SettingsInvalid",
    "Status",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unsupported",
    "VersionInfo",
    "Webhook",
    "split_messages",
]
