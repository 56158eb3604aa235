"""What `POST /jobs/preview` answers."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.gsm.carrying import Encoding
from heliograph.wire.bodies import MAX_TOLD


class ReplacedCharacter(msgspec.Struct, frozen=True):
    """A character of a text that would not travel as it is."""

    character: Annotated[str, Meta(description="As in the text; combining marks that went with it included.")]
    replacement: Annotated[str, Meta(description="What would be sent in its place; empty where it is refused.")]
    positions: Annotated[
        list[int], Meta(description=f"Where in the text, in characters from 0; the first {MAX_TOLD} of them.")
    ]


class RecipientPreview(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What would become of one SMS."""

    dst: Annotated[str, Meta(description="The number as sent.")]
    e164: Annotated[str, Meta(description="The number in E.164; empty if it is no possible one.")]
    valid: Annotated[bool, Meta(description="Whether it is a possible number.")]
    country: Annotated[str, Meta(description="ISO code of the number's country; empty if it has none.")]
    carrier: Annotated[
        str,
        Meta(
            description="Who would take it, or one of those that share what goes there; empty if it would not be sent."
        ),
    ]
    due_ts: (
        Annotated[
            str,
            Meta(
                description="When it would be sent at the earliest; absent if never. UTC, milliseconds.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET
    reason: Annotated[
        str, Meta(description="Why it would not be sent, or only later, or not as asked for; empty if it would.")
    ]


class MessagePreview(msgspec.Struct, frozen=True):
    """What would become of one message."""

    encoding: Annotated[
        str,
        Meta(
            description="How its text would travel.",
            extra_json_schema={"enum": [member.value for member in Encoding]},
        ),
    ]
    parts: Annotated[int, Meta(description="In how many parts; 0 if the text is refused.")]
    truncated: Annotated[bool, Meta(description="Whether the text would be cut to maxParts.")]
    replaced: Annotated[list[ReplacedCharacter], Meta(description="Characters that would not travel as they are.")]
    recipients: Annotated[list[RecipientPreview], Meta(description="Its recipients, in the order of the request.")]


class JobPreview(msgspec.Struct, frozen=True):
    """What would become of a job if it were sent now."""

    refused: Annotated[
        bool, Meta(description="Whether sending it would be 422, for characters in `replaced` without a replacement.")
    ]
    messages: Annotated[list[MessagePreview], Meta(description="Its messages, in the order of the request.")]
