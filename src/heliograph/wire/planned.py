"""A plan as a preview shows it. It stands apart from the shapes, for planning needs what only the server has."""

from collections.abc import Sequence

from msgspec import UNSET

from heliograph.jobs.addresses import country_of
from heliograph.jobs.plan import JobPlan, PlannedSms
from heliograph.jobs.preview import Preview, reason_of
from heliograph.jobs.status import Status
from heliograph.wire.bodies import MAX_TOLD
from heliograph.wire.previews import JobPreview, MessagePreview, RecipientPreview, ReplacedCharacter
from heliograph.wire.times import format_instant


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
