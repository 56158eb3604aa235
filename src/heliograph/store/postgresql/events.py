"""Webhooks and their events: how they are leased by several nodes, settled and read.

They are written where they happen: in `accepting`, `settling` and `inbound`, by the queries that end an SMS, a job, or
make an SMS from a phone whole. There an account without webhooks costs a look into an index.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

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
from heliograph.store.postgresql.connection import Connection, columns
from heliograph.store.postgresql.locks import SUBJECTS, Subject
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.rows import inbound_sms, instant_ms, instant_ms_up, instant_of, stored_job, stored_sms

WEBHOOKS_A_LEASE = 1000
"""How many webhooks one lease looks at; the next one goes on where it stopped."""
DELETED_EVENTS = 2000
"""How many events one step of deleting a webhook takes along: in tens of milliseconds."""
_FOREVER = 1 << 62
_TYPES = {EventType.SMS_FINISHED: 0, EventType.JOB_FINISHED: 1, EventType.SMS_RECEIVED: 2}
_SMS, _JOB, _INBOUND = _TYPES.values()
_WAITS = 0
_decoder = msgspec.json.Decoder(Webhook)


@lru_cache(maxsize=1024)
def webhook_of(content: bytes) -> Webhook:
    """A webhook from its row."""
    return _decoder.decode(content)


# Webhooks


async def add_webhook(db: Connection, webhook: Webhook) -> None:
    """See `store.interface`. Of two nodes that add an account's last one, the second finds that it has as many."""
    await db.query("lock", SUBJECTS, [Subject.WEBHOOKS], [True])
    if await db.value("webhook_count", webhook.account) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(
            f"the account has {MAX_WEBHOOKS} webhooks, which is as many as it can have; "
            "delete one that isn't needed any more"
        )
    token = None if webhook.token is None else kept(webhook.token)
    content = msgspec.json.encode(webhook)
    await db.run("insert_webhook", kept(webhook.id), webhook.account, _types_of(webhook), token, content)


async def remove_webhook(db: Connection, account: AccountId | None, key: str) -> tuple[int, Webhook] | None:
    """Remove an account's webhook, or with None the one with a token; its number, and what was there.

    Its events are left: nobody is told them, and `delete_events_of` deletes them.
    """
    if account is None:
        rows = await db.query("delete_trigger", kept(key))
    else:
        rows = await db.query("delete_webhook", kept(key), account)
    return (rows[0][0], webhook_of(rows[0][1])) if rows else None


async def delete_events_of(db: Connection, number: int) -> bool:
    """Delete some events of a webhook; whether there may be more."""
    return await db.run("delete_events_of", number, DELETED_EVENTS) == DELETED_EVENTS


async def _update(db: Connection, number: int, webhook: Webhook) -> None:
    await db.run("update_webhook", number, _types_of(webhook), msgspec.json.encode(webhook))


# Leases


class EventLeasing:
    """Leases of events of one node. last_served: the number of the webhook whose turn it was last."""

    def __init__(self, node: int | None) -> None:
        self._node = node
        self.last_served = 0

    async def lease(
        self, db: Connection, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> tuple[list[DueEvent], int]:
        """The events leased, and the webhook whose turn it was last."""
        until_ms, now_ms = instant_ms_up(until), instant_ms(now)
        turns = [
            (number, webhook, min(rooms.get(webhook.id, room), limit))
            for number, webhook in await self._webhooks_due(db, now_ms)
        ]
        turns = [each for each in turns if each[2] > 0][:limit]
        webhooks = {number: webhook for number, webhook, _ in turns}
        while turns:
            wanted = [(number, room_left) for number, _, room_left in turns]
            rows = (await db.query_rows("events_due", wanted, now_ms))[:limit]
            events = await read_events(db, [(row[2], row[3]) for row in rows])
            gone = [row[1] for row, event in zip(rows, events, strict=True) if event is None]
            due = [(row, event) for row, event in zip(rows, events, strict=True) if event is not None]
            if gone:
                await db.run("delete_events", gone)
            if due:
                await db.run("lease_events", [row[1] for row, _ in due], until_ms, self._node)
                leased_until = instant_of(until_ms)
                taken = [
                    DueEvent(EventNumber(row[1]), webhooks[row[0]], event, row[5], leased_until) for row, event in due
                ]
                return taken, due[-1][0][0]
            if not gone:
                break
        return [], self.last_served

    async def _webhooks_due(self, db: Connection, now: int) -> list[tuple[int, Webhook]]:
        """The webhooks that have something due, in turn: those after one by number, then from the lowest on."""
        due: list[tuple[int, Webhook]] = []
        for start, stop in ((self.last_served, _FOREVER), (0, self.last_served)):
            if start < stop and len(due) < WEBHOOKS_A_LEASE:
                rows = await db.query("webhooks_due", start, stop, now, WEBHOOKS_A_LEASE - len(due))
                due += [(number, webhook_of(content)) for number, content in rows]
        return due


# What becomes of events


async def settle_events(db: Connection, settlements: Sequence[Settlement]) -> int:
    """See `store.interface`. Returns how many jobs' events fell due by it."""
    for each in settlements:
        if isinstance(each, WebhookGone):
            await _disable(db, each)
    news = {each.number: each for each in settlements if not isinstance(each, WebhookGone)}
    if not news:
        return 0
    delivered: list[int] = []
    postponed: list[tuple[object, ...]] = []
    given_up: list[tuple[object, ...]] = []
    of_jobs: set[tuple[int, int]] = set()
    for number, webhook, job, state, due in await db.query("hold_events", sorted(news)):
        each = news[number]
        if not isinstance(each, EventDelivered) and (state != _WAITS or due != instant_ms_up(each.leased_until)):
            continue  # It comes too late.
        match each:
            case EventDelivered():
                delivered.append(number)
            case EventPostponed():
                postponed.append((number, instant_ms_up(each.due_at), each.attempt_count, kept(each.reason)))
                continue
            case EventGivenUp():
                given_up.append((number, instant_ms(each.at), each.attempt_count, kept(each.reason)))
        if job is not None:
            of_jobs.add((webhook, job))
    await _hold_jobs(db, of_jobs)
    if delivered:
        await db.run("delete_events", delivered)
    await db.run_rows("postpone_events", postponed)
    await db.run_rows("give_up_events", given_up)
    return await _release_jobs(db, of_jobs)


async def _hold_jobs(db: Connection, of_jobs: Collection[tuple[int, int]]) -> None:
    """Of two nodes that settle a job's last two SMS at once, one waits, and sees what the other has settled."""
    if of_jobs:
        await db.query("hold_jobs", sorted({job for _, job in of_jobs}))


async def _release_jobs(db: Connection, of_jobs: Collection[tuple[int, int]]) -> int:
    return await db.run("release_jobs", *columns(sorted(of_jobs), 2)) if of_jobs else 0


async def forget_events(db: Connection, happened_before: datetime, limit: int) -> tuple[int, int]:
    """See `store.interface`. Returns how many were deleted, and how many jobs' events fell due by it."""
    old = [row[0] for row in await db.query("old_events", limit, instant_ms_up(happened_before))]
    if not old:
        return 0, 0
    of_jobs = {(webhook, job) for _, webhook, job, _, _ in await db.query("hold_events", old) if job is not None}
    await _hold_jobs(db, of_jobs)
    deleted_count = await db.run("delete_events", old)
    return deleted_count, await _release_jobs(db, of_jobs)


async def _disable(db: Connection, gone: WebhookGone) -> None:
    for number, _, content in await db.query("hold_webhook", kept(gone.webhook)):
        webhook = webhook_of(content)
        if webhook.disabled_at is None:
            await _update(db, number, msgspec.structs.replace(webhook, disabled_at=gone.at))


async def replay_events(
    db: Connection, account: AccountId, webhook: WebhookId, limit: int, now: datetime
) -> int | None:
    """See `store.interface`."""
    rows = await db.query("hold_webhook", kept(webhook))
    if not rows or rows[0][1] != account:
        return None
    number, _, content = rows[0]
    known = webhook_of(content)
    if known.disabled_at is not None:
        await _update(db, number, msgspec.structs.replace(known, disabled_at=None))
    return await db.run("replay_events", number, instant_ms(now), limit)


# Reading


async def failed_events(
    db: Connection, account: AccountId, webhook: WebhookId, offset: int, limit: int
) -> list[FailedEvent] | None:
    """Events for a webhook that were given up; None if the account has no such webhook."""
    found = await db.query("webhook", kept(webhook))
    if not found or found[0][1] != account:
        return None
    rows = await db.query("events_given_up", found[0][0], limit, offset)
    events = await read_events(db, [(row[0], row[1]) for row in rows])
    return [
        FailedEvent(event, row[2], told(row[3]), instant_of(row[4]))
        for row, event in zip(rows, events, strict=True)
        if event is not None
    ]


async def read_events(db: Connection, rows: Sequence[tuple[int, int]]) -> list[Event | None]:
    """What is to be told, from types and ids of what it happened to; None where that has been forgotten."""
    found: dict[tuple[int, int], Event] = {}
    ids: dict[int, list[int]] = {}
    for kind, ref in rows:
        ids.setdefault(kind, []).append(ref)
    for row in await db.query("sms_told", ids[_SMS]) if _SMS in ids else ():
        number, job_id, first_sms, dst, customer_ref, process_status, status, reason, sent, finished = row
        texts = told(dst), told(customer_ref), process_status, status, told(reason)
        (stored,) = stored_sms([(number, *texts, sent, finished)], (), first_sms)
        found[_SMS, number] = SmsFinished(JobId(job_id), stored)
    for row in await db.query("jobs_told", ids[_JOB]) if _JOB in ids else ():
        found[_JOB, row[0]] = JobFinished(stored_job(tuple(row)))
    for row in await db.query("inbound_told", ids[_INBOUND]) if _INBOUND in ids else ():
        number, public_id, account, src, dst, text, received = row
        sms = inbound_sms((public_id, account, told(src), told(dst), told(text), received))
        found[_INBOUND, number] = SmsReceived(sms)
    return [found.get((kind, ref)) for kind, ref in rows]


def _types_of(webhook: Webhook) -> int:
    return sum(_bits(webhook.events)) if webhook.disabled_at is None else 0


def _bits(types: Iterable[EventType]) -> Iterable[int]:
    return (1 << _TYPES[each] for each in set(types))
