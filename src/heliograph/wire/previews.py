"""What `POST /jobs/preview` answers."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.addresses import country_of
from heliograph.jobs.plan import JobPlan, PlannedSms
from heliograph.jobs.preview import Preview, reason_of
from heliograph.jobs.status import Status
from heliograph.wire.bodies import MAX_TOLD
from heliograph.wire.times import format_instant


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
    reason: Annotated[str, Meta(description="Why it would not be sent, or only later; empty if at once.")]


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


def job_preview(preview: Preview) -> JobPreview:
    """A preview as it is shown."""
    plan, sms = preview.plan, iter(preview.plan.sms)
    messages: list[MessagePreview] = []
    for place, (message, planned) in enumerate(zip(preview.request.messages, plan.messages, strict=True)):
        recipients = [_recipient(recipient.dst, next(sms), plan) for recipient in message.recipients]
        refused = preview.refused.get(place)
        if refused is None:
            replaced = [_replaced(each.character, each.replacement, each.positions) for each in planned.replaced]
            shown = planned.encoding.value, len(planned.parts), planned.truncated
        else:
            replaced = [_replaced(each.character, "", each.positions) for each in refused.characters]
            shown = planned.encoding.value, 0, False
        messages.append(MessagePreview(*shown, replaced, recipients))
    return JobPreview(bool(preview.refused), messages)


def _recipient(dst: str, sms: PlannedSms, plan: JobPlan) -> RecipientPreview:
    valid = sms.verdict is not Status.INVALID_DST
    return RecipientPreview(
        dst=dst,
        e164=sms.dst if valid else "",
        valid=valid,
        country=(country_of(sms.dst) or "") if valid else "",
        carrier=sms.carrier or "",
        due_ts=UNSET if sms.carrier is None else format_instant(sms.window.due),
        reason=reason_of(sms, plan),
    )


def _replaced(character: str, replacement: str, positions: Sequence[int]) -> ReplacedCharacter:
    return ReplacedCharacter(character, replacement, list(positions[:MAX_TOLD]))
