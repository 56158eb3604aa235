"""Webhooks and their events, as the writing connection sees them, and how they are read."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import TooManyWebhooks
from heliograph.jobs.naming import JobId
from heliograph.jobs.webhooks import (
    MAX_WEBHOOKS,
    Event,
    EventNumber,
    EventType,
    FailedEvent,
    JobFinished,
    SmsFinished,
    SmsReceived,
    Webhook,
    WebhookId,
)
from heliograph.store.interface import (
    DueEvent,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    Settlement,
    WebhookGone,
)
from heliograph.store.rows import inbound_sms, instant_ms, instant_ms_up, instant_of, stored_job, stored_sms
from heliograph.store.sqlite.connection import Connection

WEBHOOKS_A_LEASE = 1000
"""How many webhooks one lease looks at; the next one goes on where it stopped."""
DELETED_EVENTS = 2000
"""How many events one step of deleting a webhook takes along: in tens of milliseconds."""
_FOREVER = 1 << 62
_TYPES = {EventType.SMS_FINISHED: 0, EventType.JOB_FINISHED: 1, EventType.SMS_RECEIVED: 2}
_SMS, _JOB, _INBOUND = _TYPES.values()
_WAITS, _HELD = 0, 1
_decoder = msgspec.json.Decoder(Webhook)


@lru_cache(maxsize=1024)
def webhook_of(content: bytes) -> Webhook:
    """A webhook from its row."""
    return _decoder.decode(content)


class Events:
    """What webhooks are to be told. Costs an account that has none next to nothing, and nothing if nobody has any."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        # Those that have, or had, or nearly had a webhook: nobody else writes the table.
        self._accounts: set[AccountId] = {AccountId(row[0]) for row in db.query("webhook_accounts")}
        self._last_served = 0
        self.due_count = 0
        """How many events have fallen due by what was written, give or take those whose transaction failed."""

    def __bool__(self) -> bool:
        return bool(self._accounts)

    # Webhooks

    def add_webhook(self, webhook: Webhook) -> TooManyWebhooks | None:
        """Keep a webhook."""
        if self._db.query("webhook_count", webhook.account)[0][0] >= MAX_WEBHOOKS:
            return TooManyWebhooks(
                f"the account has {MAX_WEBHOOKS} webhooks, which is as many as it can have; "
                "delete one that isn't needed any more"
            )
        self._accounts.add(webhook.account)
        content = msgspec.json.encode(webhook)
        self._db.run("insert_webhook", webhook.id, webhook.account, _types_of(webhook), webhook.token, content)
        return None

    def remove_webhook(self, account: AccountId | None, key: str) -> tuple[int, Webhook] | None:
        """Remove an account's webhook, or with None the one with a token; its number, and what was there.

        Its events are left: nobody is told them, and `delete_events_of` deletes them.
        """
        rows = self._db.query("webhook_with_token" if account is None else "webhook", key)
        if not rows or (account is not None and rows[0][1] != account):
            return None
        number, _, content = rows[0]
        self._db.run("delete_webhook", number)
        return number, webhook_of(content)

    def delete_events_of(self, number: int) -> bool:
        """Delete some events of a webhook; whether there may be more."""
        return self._db.run("delete_events_of", number, DELETED_EVENTS) == DELETED_EVENTS

    # What happens

    def sms_ended(self, numbers: Sequence[tuple[int]]) -> None:
        """SMS have just been given their end, and their parts are in `live` yet."""
        if self._accounts:
            self.due_count += self._db.run_rows("sms_events", numbers)

    def jobs_ended(self, numbers: Sequence[tuple[int]]) -> None:
        """The same SMS's parts have left `live`, and their jobs haven't been finished yet."""
        if self._accounts:
            self.due_count += self._db.run_rows("job_events", numbers)

    def job_added(
        self, account: AccountId, job: int, finished_sms: Collection[int], at: int, *, finished: bool
    ) -> None:
        """A job has come in, of which some SMS, or all, are final."""
        if account not in self._accounts or not finished_sms:
            return
        rows: list[tuple[object, ...]] = []
        for webhook, types in self._db.query("webhooks_asking", account, 1 << _SMS | 1 << _JOB):
            if types & 1 << _SMS:
                rows += [(webhook, _SMS, number, at, _WAITS, at, 0, "") for number in finished_sms]
            if finished and types & 1 << _JOB:
                rows.append((webhook, _JOB, job, at, _HELD if types & 1 << _SMS else _WAITS, at, 0, ""))
        self._insert(rows)

    def received(self, account: AccountId, at: int) -> None:
        """The SMS from a phone that was last written is an account's."""
        if account not in self._accounts:
            return
        number = self._db.query("last_inbound")[0][0]
        asking = self._db.query("webhooks_asking", account, 1 << _INBOUND)
        self._insert([(webhook, _INBOUND, number, at, _WAITS, at, 0, "") for webhook, _ in asking])

    def _insert(self, rows: Sequence[tuple[object, ...]]) -> None:
        self._db.run_rows("insert_events", rows)
        self.due_count += len(rows)

    # What is told

    def lease(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        """See `store.interface`."""
        last = self._last_served
        until_ms, now_ms = instant_ms_up(until), instant_ms(now)
        taken: list[DueEvent] = []
        gone: list[tuple[int]] = []
        for number, webhook in self._webhooks_due(now_ms, after=last):
            while (room_left := min(rooms.get(webhook.id, room), limit - len(taken))) > 0:
                found = self._db.query("events_due", number, now_ms, room_left)
                events = read_events(self._db, [row[1:4] for row in found])
                due = [
                    DueEvent(EventNumber(row[0]), webhook, event, row[4], instant_of(until_ms))
                    for row, event in zip(found, events, strict=True)
                    if event is not None
                ]
                gone = [(row[0],) for row, event in zip(found, events, strict=True) if event is None]
                self._db.run_rows("delete_events", gone)
                self._db.run_rows("lease_events", [(each.number, until_ms) for each in due])
                if due:
                    taken += due
                    self._last_served = number
                if due or not found:
                    break
        return taken

    def _webhooks_due(self, now: int, after: int) -> list[tuple[int, Webhook]]:
        """The webhooks that have something due, in turn: those after one by number, then from the lowest on."""
        due: list[tuple[int, Webhook]] = []
        for start, stop in ((after, _FOREVER), (0, after)):
            if start < stop and len(due) < WEBHOOKS_A_LEASE:
                rows = self._db.query("webhooks_due", start, stop, stop, now, WEBHOOKS_A_LEASE - len(due))
                due += [(number, webhook_of(content)) for number, content in rows]
        return due

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """See `store.interface`."""
        delivered: list[tuple[int]] = []
        postponed: list[tuple[object, ...]] = []
        given_up: list[tuple[object, ...]] = []
        for each in settlements:
            match each:
                case EventDelivered():
                    delivered.append((each.number,))
                case EventPostponed():
                    postponed.append(_settled_row(each, instant_ms_up(each.due_at)))
                case EventGivenUp():
                    given_up.append(_settled_row(each, instant_ms(each.at)))
                case WebhookGone():
                    self._disable(each)
        of_sms = self._db.query_rows("events_of_sms", [*delivered, *((each.number,) for each in settlements
            if isinstance(each, EventGivenUp))])  # fmt: skip
        self._db.run_rows("delete_events", delivered)
        self._db.run_rows("postpone_events", postponed)
        self._db.run_rows("give_up_events", given_up)
        self.due_count += self._db.run_rows("release_jobs", of_sms)

    def forget(self, happened_before: datetime, limit: int) -> int:
        """See `store.interface`."""
        old = self._db.query("old_events", limit, instant_ms_up(happened_before))
        self._db.run_rows("delete_events", [(number,) for number, _, _, _ in old])
        of_sms = [(webhook, ref) for _, webhook, kind, ref in old if kind == _SMS]
        self.due_count += self._db.run_rows("release_jobs", of_sms)
        return len(old)

    def _disable(self, gone: WebhookGone) -> None:
        for number, _, content in self._db.query("webhook", gone.webhook):
            webhook = webhook_of(content)
            if webhook.disabled_at is None:
                self._update(number, msgspec.structs.replace(webhook, disabled_at=gone.at))

    def _update(self, number: int, webhook: Webhook) -> None:
        self._db.run("update_webhook", _types_of(webhook), msgspec.json.encode(webhook), number)

    def replay(self, account: AccountId, webhook: WebhookId, limit: int, now: datetime) -> int | None:
        """See `store.interface`."""
        rows = self._db.query("webhook", webhook)
        if not rows or rows[0][1] != account:
            return None
        number, _, content = rows[0]
        kept = webhook_of(content)
        if kept.disabled_at is not None:
            self._update(number, msgspec.structs.replace(kept, disabled_at=None))
        self.due_count += 1
        return self._db.run("replay_events", instant_ms(now), number, limit)


def failed_events(
    db: Connection, account: AccountId, webhook: WebhookId, offset: int, limit: int
) -> list[FailedEvent] | None:
    """Events for a webhook that were given up; None if the account has no such webhook."""
    found = db.query("webhook", webhook)
    if not found or found[0][1] != account:
        return None
    rows = db.query("events_given_up", found[0][0], limit, offset)
    events = read_events(db, [row[1:4] for row in rows])
    return [
        FailedEvent(event, row[4], row[5], instant_of(row[6]))
        for row, event in zip(rows, events, strict=True)
        if event is not None
    ]


def read_events(db: Connection, rows: Sequence[tuple[int, int, int]]) -> list[Event | None]:
    """What is to be told, from types, ids and instants of what it happened to; None where that has been forgotten."""
    found: dict[tuple[int, int], Event] = {}
    for row in db.query_rows("sms_told", [(ref,) for kind, ref, _ in rows if kind == _SMS]):
        number, job_id, first_sms, *sms = row
        (stored,) = stored_sms([(number, *sms)], (), first_sms)
        found[_SMS, number] = SmsFinished(JobId(job_id), stored)
    for row in db.query_rows("jobs_told", [(ref,) for kind, ref, _ in rows if kind == _JOB]):
        found[_JOB, row[0]] = JobFinished(stored_job(row))
    for row in db.query_rows("inbound_told", [(ref, at) for kind, ref, at in rows if kind == _INBOUND]):
        found[_INBOUND, row[0]] = SmsReceived(inbound_sms(row[1:]))
    return [found.get((kind, ref)) for kind, ref, _ in rows]


def _types_of(webhook: Webhook) -> int:
    return sum(_bits(webhook.events)) if webhook.disabled_at is None else 0


def _bits(types: Iterable[EventType]) -> Iterable[int]:
    return (1 << _TYPES[each] for each in set(types))


def _settled_row(each: EventPostponed | EventGivenUp, due: int) -> tuple[Any, ...]:
    return each.number, instant_ms_up(each.leased_until), due, each.attempt_count, each.reason
