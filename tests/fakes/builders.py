"""Values for tests: a builder takes what matters there and makes up the rest."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.accounts import Account, AccountId, OnUnknown
from heliograph.jobs.inbound import Alphabet, InboundPart
from heliograph.jobs.naming import JobId, job_id, webhook_id
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.plan import JobPlan, PlannedMessage, PlannedSms
from heliograph.jobs.request import Idempotency
from heliograph.jobs.schedule import Period, SendWindow
from heliograph.jobs.status import Status
from heliograph.jobs.webhooks import EventType, Webhook, WebhookId
from heliograph.store.interface import Arrival

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""When things happen in tests that don't care."""

_numbers = count(1)


def after(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def a_planned_sms(
    dst: str = "+4917612345678",
    *,
    message: int = 0,
    parts: int = 1,
    carrier: str | None = "acme",
    due: datetime = NOW,
    expires: datetime | None = None,
    customer_ref: str | None = None,
    blackouts: tuple[Period, ...] = (),
    others: tuple[str, ...] = (),
) -> PlannedSms:
    """An SMS; carrier None makes it one to an impossible number, final from the start."""
    return PlannedSms(
        message=message,
        dst=dst,
        customer_ref=dst if customer_ref is None else customer_ref,
        parts=parts,
        window=SendWindow(due, expires or due + timedelta(days=2)),
        blackouts=blackouts,
        carrier=carrier,
        verdict=Status.NONE if carrier else Status.INVALID_DST,
        reason="" if carrier else "not a possible number",
        others=others,
    )


def a_planned_message(text: str = "Hello", *, parts: int = 1) -> PlannedMessage:
    """A message; in several parts, each but the first has its number in it, to tell them apart."""
    if parts == 1:
        return PlannedMessage(text, Encoding.STANDARD, (text,), truncated=False, replaced=())
    texts = (text, *(f"{text} {part}" for part in range(2, parts + 1)))
    return PlannedMessage("".join(texts), Encoding.STANDARD, texts, truncated=False, replaced=())


def a_plan(
    *sms: PlannedSms,
    account: int = 1,
    at: datetime = NOW,
    qos: Qos = Qos.NORMAL,
    receipts: bool = True,
    text: str = "Hello",
    fingerprint: bytes | None = None,
    idempotency: tuple[str, bytes] | None = None,
    on_unknown: OnUnknown = OnUnknown.RESEND,
    id: JobId | None = None,  # noqa: A002 # as the field is called
    sms_per_hour: int | None = None,
    **options: Any,
) -> JobPlan:
    """A job received `at`, of one SMS unless some are given; `options` are those of JobOptions."""
    sms = sms or (a_planned_sms(due=at),)
    parts = {each.message: each.parts for each in sms}
    return JobPlan(
        job_id=id or job_id(at, next(_numbers)),
        account=AccountId(account),
        received_at=at,
        options=JobOptions(qos=qos, status_requested=receipts, **options),
        on_unknown=on_unknown,
        messages=tuple(a_planned_message(text, parts=parts.get(place, 1)) for place in range(max(parts) + 1)),
        sms=sms,
        fingerprint=fingerprint,
        idempotency=None if idempotency is None else Idempotency(*idempotency),
        sms_per_hour=sms_per_hour,
    )


def an_inbound_part(
    text: str = "Hello",
    *,
    src: str = "+4917612345678",
    dst: str = "+4915735982222",
    at: datetime = NOW,
    part: int = 1,
    parts: int = 1,
    reference: int = 0,
) -> InboundPart:
    """A part of an SMS from a phone, in UTF-16."""
    return InboundPart(
        src=src,
        dst=dst,
        octets=text.encode("utf-16-be"),
        alphabet=Alphabet.UTF_16,
        received_at=at,
        part=part,
        parts=parts,
        reference=reference,
    )


def an_arrival(text: str = "Hello", *, owner: int | None = None, **part: Any) -> Arrival:
    """The same for a store; owner: the account that the configuration gives its `dst` to."""
    return Arrival(an_inbound_part(text, **part), next(_numbers), None if owner is None else AccountId(owner))


def a_webhook(
    *,
    account: int = 1,
    url: str = "https://example.com/hook",
    events: Sequence[EventType] = tuple(EventType),
    at: datetime = NOW,
    token: str | None = None,
) -> Webhook:
    """A webhook for everything that happens, unless `events` says which."""
    number = next(_numbers)
    return Webhook(
        id=WebhookId(webhook_id(at, number)),
        account=AccountId(account),
        url=url,
        events=tuple(events),
        secret="whsec_" + b64encode(number.to_bytes(32, "big")).decode(),
        created_at=at,
        token=token,
    )


def an_account(
    name: str = "acme",
    *,
    id: int = 0,  # noqa: A002 # as the field is called
    password_hash: str = "$argon2id$",
    **fields: Any,
) -> Account:
    """An account; id 0 is one not yet kept."""
    return Account(id=AccountId(id), name=name, password_hash=password_hash, **fields)


def numbers(how_many: int) -> Sequence[str]:
    """Different numbers in E.164."""
    return [f"+49176{1_000_000 + each}" for each in range(how_many)]
