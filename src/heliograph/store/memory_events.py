"""Webhooks and their events in plain lists, for the store that forgets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import TooManyWebhooks
from heliograph.jobs.naming import JobId
from heliograph.jobs.webhooks import MAX_WEBHOOKS, Event, EventNumber, EventType, FailedEvent, Webhook, WebhookId
from heliograph.store.interface import (
    DueEvent,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    Settlement,
    WebhookGone,
)

Telling = Callable[[], Event | None]
"""An event as it is to be told now; None if there is nothing to tell any more."""


@dataclass(slots=True)
class _Kept:
    number: EventNumber
    webhook: WebhookId
    type: EventType
    job_id: JobId | None
    at: datetime
    tell: Telling
    due_at: datetime
    attempt_count: int = 0
    reason: str = ""
    failed_at: datetime | None = None
    is_released: bool = False


class Outbox:
    """What webhooks are to be told; see `store.interface` for what each method promises."""

    def __init__(self) -> None:
        self._webhooks: dict[WebhookId, Webhook] = {}
        self._events: list[_Kept] = []
        self._event_count = 0
        self._webhook_count = 0
        self._places: dict[WebhookId, int] = {}
        self._last_served = 0

    @property
    def waiting_count(self) -> int:
        """How many events are not given up."""
        return sum(event.failed_at is None for event in self._events)

    def add(self, webhook: Webhook) -> None:
        if len(self.of(webhook.account)) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(
                f"the account has {MAX_WEBHOOKS} webhooks, which is as many as it can have; "
                "delete one that isn't needed any more"
            )
        self._webhook_count += 1
        self._places[webhook.id] = self._webhook_count
        self._webhooks[webhook.id] = webhook

    def of(self, account: AccountId) -> list[Webhook]:
        return [webhook for webhook in self._webhooks.values() if webhook.account == account]

    def one(self, account: AccountId, webhook: WebhookId) -> Webhook | None:
        found = self._webhooks.get(webhook)
        return found if found is not None and found.account == account else None

    def with_token(self, token: str) -> Webhook | None:
        return next((webhook for webhook in self._webhooks.values() if webhook.token == token), None)

    def remove(self, webhook: Webhook | None) -> Webhook | None:
        if webhook is not None:
            del self._webhooks[webhook.id]
            self._events = [event for event in self._events if event.webhook != webhook.id]
        return webhook

    def happened(
        self, account: AccountId, kind: EventType, at: datetime, tell: Telling, job_id: JobId | None = None
    ) -> bool:
        """Something has happened to an account; whether a webhook wants to know."""
        wanting = [each for each in self.of(account) if kind in each.events and each.disabled_at is None]
        for webhook in wanting:
            self._event_count += 1
            number = EventNumber(self._event_count)
            self._events.append(_Kept(number, webhook.id, kind, job_id, at, tell, due_at=at))
        if kind is EventType.JOB_FINISHED:
            self._release_jobs()
        return bool(wanting)

    def lease(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        self._events = [event for event in self._events if event.tell() is not None]
        self._release_jobs()
        enabled = [each for each in self._webhooks.values() if each.disabled_at is None]
        enabled.sort(key=lambda each: (self._places[each.id] <= self._last_served, self._places[each.id]))
        due = self._due(now)
        taken: list[DueEvent] = []
        for webhook in enabled:
            room_left = max(0, min(rooms.get(webhook.id, room), limit - len(taken)))
            for each in sorted(due.get(webhook.id, ()), key=lambda each: (each.due_at, each.number))[:room_left]:
                event = each.tell()
                assert event is not None, "those with nothing to tell have just been left out"
                each.due_at = until
                taken.append(DueEvent(each.number, webhook, event, each.attempt_count, until))
                self._last_served = self._places[webhook.id]
        return taken

    def _due(self, now: datetime) -> dict[WebhookId, list[_Kept]]:
        due: dict[WebhookId, list[_Kept]] = {}
        for event in self._events:
            is_held = event.type is EventType.JOB_FINISHED and not event.is_released
            if event.failed_at is None and event.due_at <= now and not is_held:
                due.setdefault(event.webhook, []).append(event)
        return due

    def _release_jobs(self) -> None:
        """Jobs' events fall due that wait for no event of an SMS any more, and stay so when some are replayed."""
        unfinished = {
            (event.webhook, event.job_id)
            for event in self._events
            if event.type is EventType.SMS_FINISHED and event.failed_at is None
        }
        for event in self._events:
            event.is_released = event.is_released or (event.webhook, event.job_id) not in unfinished

    def settle(self, settlements: Sequence[Settlement]) -> None:
        for each in settlements:
            if isinstance(each, WebhookGone):
                webhook = self._webhooks.get(each.webhook)
                if webhook is not None and webhook.disabled_at is None:
                    self._webhooks[webhook.id] = msgspec.structs.replace(webhook, disabled_at=each.at)
                continue
            event = next((event for event in self._events if event.number == each.number), None)
            if event is None:
                continue
            is_held = event.failed_at is None and event.due_at == getattr(each, "leased_until", None)
            match each:
                case EventDelivered():
                    self._events.remove(event)
                case EventPostponed() if is_held:
                    event.due_at, event.attempt_count, event.reason = each.due_at, each.attempt_count, each.reason
                case EventGivenUp() if is_held:
                    event.failed_at, event.attempt_count, event.reason = each.at, each.attempt_count, each.reason
                case _:
                    pass  # It comes too late.
        self._release_jobs()

    def failed(self, webhook: WebhookId) -> list[FailedEvent]:
        failed: list[FailedEvent] = []
        for each in self._events:
            event = each.tell()
            if each.webhook == webhook and each.failed_at is not None and event is not None:
                failed.append(FailedEvent(event, each.attempt_count, each.reason, each.failed_at))
        return failed

    def replay(self, webhook: Webhook, limit: int, now: datetime) -> int:
        self._webhooks[webhook.id] = msgspec.structs.replace(webhook, disabled_at=None)
        failed = [event for event in self._events if event.webhook == webhook.id and event.failed_at is not None]
        for event in failed[:limit]:
            event.failed_at, event.due_at, event.attempt_count, event.reason = None, now, 0, ""
        return len(failed[:limit])

    def forget(self, happened_before: datetime, limit: int) -> int:
        old = [event for event in self._events[:limit] if event.at < happened_before]
        self._events = [event for event in self._events if event not in old]
        self._release_jobs()
        return len(old)
