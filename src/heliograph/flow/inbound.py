"""SMS from phones: recorded first, acknowledged after."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import structlog

from heliograph.carriers.interface import InboundCarrier
from heliograph.clock import Clock, whole_ms
from heliograph.ids import Ids
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.inbound import NOBODY, REASSEMBLY_TIMEOUT, InboundPart, phone_number, wish_heard, wish_of
from heliograph.jobs.naming import RANDOM_SPACE
from heliograph.jobs.records import InboundSms
from heliograph.jobs.status import Status
from heliograph.metrics import Metrics
from heliograph.store.interface import PARKED_FOR, Arrival, Received, Store

STORE_RETRY_S = 1.0
GIVING_UP_S = 60.0
"""How often is looked for SMS whose missing parts needn't be waited for any longer."""

MAX_BATCH = 100
"""How many lookalikes of receipts are passed on at once."""

log = structlog.get_logger()

Owners = Mapping[str, str]
"""To which account, by name, the configuration gives one of our numbers."""


async def follow_inbound(
    carrier: InboundCarrier, store: Store, clock: Clock, ids: Ids, metrics: Metrics, owners: Owners
) -> None:
    """Record the SMS that a carrier passes on from phones, until cancelled. It keeps those that can't be recorded."""
    accounts = _in_every_spelling(owners)
    while True:
        try:
            async with carrier.inbound() as parts:
                received = await store.record_inbound(carrier.name, await _arrivals(parts, store, ids, accounts))
        except StoreUnavailable as error:
            log.error("inbound.store_unavailable", carrier=carrier.name, error=str(error))
            await clock.sleep(STORE_RETRY_S)
            continue
        _tell(received, metrics)


async def give_up_missing_parts(store: Store, clock: Clock, metrics: Metrics) -> None:
    """Make SMS whole whose missing parts have been waited for long enough, until cancelled."""
    while True:
        now = whole_ms(clock.now())
        try:
            _tell(await store.give_up_missing_parts(now - REASSEMBLY_TIMEOUT, now), metrics)
        except StoreUnavailable as error:
            log.error("inbound.store_unavailable", error=str(error))
        await clock.sleep(GIVING_UP_S)


async def pass_on_lookalikes(store: Store, clock: Clock, ids: Ids, metrics: Metrics, owners: Owners) -> None:
    """Pass on what read like receipts, when it can't be for an SMS of ours any more, until cancelled."""
    accounts = _in_every_spelling(owners)
    while True:
        try:
            while await _pass_on_lookalikes(store, clock.now(), ids, metrics, accounts) == MAX_BATCH:
                pass
        except StoreUnavailable as error:
            log.error("inbound.store_unavailable", error=str(error))
        await clock.sleep(GIVING_UP_S)


async def _pass_on_lookalikes(store: Store, now: datetime, ids: Ids, metrics: Metrics, accounts: Owners) -> int:
    """A batch of them; how many that were."""
    found = await store.lookalikes(now - PARKED_FOR, MAX_BATCH)
    for carrier in dict.fromkeys(each.carrier for each in found):
        of_carrier = [each for each in found if each.carrier == carrier]
        # Who polls for SMS by the time when they came is to miss none.
        parts = [msgspec.structs.replace(each.part, received_at=now) for each in of_carrier]
        arrivals = [
            msgspec.structs.replace(arrival, lookalike=each.number)
            for arrival, each in zip(await _arrivals(parts, store, ids, accounts), of_carrier, strict=True)
        ]
        received = await store.record_inbound(carrier, arrivals)
        if received.sms:
            count = len(received.sms)
            log.warning("inbound.like_receipts", carrier=carrier, sms_count=count, remedy=_RECEIPTS_REMEDY)
        _tell(received, metrics)
    return len(found)


_RECEIPTS_REMEDY = (
    "they read like receipts, and were for no SMS of ours: if the SMSC's receipts don't say that they are any, set "
    "unflagged_receipts = true for the carrier"
)


def _in_every_spelling(owners: Owners) -> Owners:
    return {spelling: name for number, name in owners.items() for spelling in (number, phone_number(number))}


async def _arrivals(parts: Sequence[InboundPart], store: Store, ids: Ids, accounts: Owners) -> list[Arrival]:
    arrivals: list[Arrival] = []
    owners: dict[str | None, _Owner] = {}
    last_writer = _Owner(None, None)
    for part in parts:
        name = accounts.get(part.dst) or accounts.get(phone_number(part.dst, national=part.dst_national))
        src = phone_number(part.src, national=part.src_national)
        if name is None and src.startswith("+"):
            owner = last_writer
        elif name in owners:
            owner = owners[name]
        else:
            owner = owners[name] = await (_last_writer(store) if name is None else _owner(name, store))
        part = msgspec.structs.replace(
            part,
            src=phone_number(src, owner.country, national=part.src_national),
            dst=phone_number(part.dst, owner.country, national=part.dst_national),
            received_at=whole_ms(part.received_at),
        )
        arrivals.append(Arrival(part, ids.number(RANDOM_SPACE), owner.account))
    return arrivals


class _Owner(NamedTuple):
    """Whose SMS from phones are, None the account that last wrote to the phone; and whose national numbers it reads."""

    account: AccountId | None
    country: str | None


async def _owner(name: str, store: Store) -> _Owner:
    account = await store.account(name)
    if account is None:
        # Not the account that last wrote to the phone: it is known to be another's.
        log.error("inbound.account_unknown", account=name, remedy="add the account, or mend [[inbound]]")
        return _Owner(NOBODY, None)
    return _Owner(account.id, account.country)


async def _last_writer(store: Store) -> _Owner:
    """Who wrote to a phone is known by its E.164: a national number is of the country that the accounts share."""
    countries = {account.country for account in await store.accounts() if account.country}
    return _Owner(None, countries.pop() if len(countries) == 1 else None)


def _tell(received: Received, metrics: Metrics) -> None:
    for sms in received.sms:
        if sms.account == NOBODY:
            log.warning("inbound.for_nobody", sms_id=sms.sms_id, remedy="give its number to an account by [[inbound]]")
        else:
            log.info("inbound.received", sms_id=sms.sms_id, account=sms.account)
        wish = wish_of(sms.text)
        if wish is not None and wish_heard(sms) is None:
            log.warning("inbound.wish_not_kept", sms_id=sms.sms_id, wish=wish.value, remedy=_remedy(sms))
    metrics.inbound_sms.inc(len(received.sms))
    metrics.sms_finished(Status.BLOCKED.value, received.blocked_count)


def _remedy(sms: InboundSms) -> str:
    if sms.account == NOBODY:
        return "give the number that it was sent to, to an account by [[inbound]], or block the phone yourself"
    return (
        "its sender is no number in E.164: give the account the country of the carrier's national numbers, or have the "
        "carrier send international ones, and block the phone yourself"
    )
