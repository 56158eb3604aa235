"""SMS from phones: recorded first, acknowledged after."""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from heliograph.carriers.interface import InboundCarrier
from heliograph.clock import Clock
from heliograph.ids import Ids
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.inbound import NOBODY, REASSEMBLY_TIMEOUT, InboundPart, phone_number
from heliograph.jobs.naming import RANDOM_SPACE
from heliograph.jobs.status import Status
from heliograph.metrics import Metrics
from heliograph.store.interface import Arrival, Received, Store

STORE_RETRY_S = 1.0
GIVING_UP_S = 60.0
"""How often is looked for SMS whose missing parts needn't be waited for any longer."""

log = structlog.get_logger()

Owners = Mapping[str, str]
"""To which account, by name, the configuration gives one of our numbers."""


async def follow_inbound(
    carrier: InboundCarrier, store: Store, clock: Clock, ids: Ids, metrics: Metrics, owners: Owners
) -> None:
    """Record the SMS that a carrier passes on from phones, until cancelled. It keeps those that can't be recorded."""
    accounts = {phone_number(number): name for number, name in owners.items()}
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
        now = clock.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        try:
            _tell(await store.give_up_missing_parts(now - REASSEMBLY_TIMEOUT, now), metrics)
        except StoreUnavailable as error:
            log.error("inbound.store_unavailable", error=str(error))
        await clock.sleep(GIVING_UP_S)


async def _arrivals(parts: Sequence[InboundPart], store: Store, ids: Ids, accounts: Owners) -> list[Arrival]:
    arrivals: list[Arrival] = []
    owners: dict[str, AccountId] = {}
    for part in parts:
        at = part.received_at
        part = msgspec.structs.replace(
            part,
            src=phone_number(part.src),
            dst=phone_number(part.dst),
            received_at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        )
        name = accounts.get(part.dst)
        if name is not None and name not in owners:
            owners[name] = await _owner(name, store)
        arrivals.append(Arrival(part, ids.number(RANDOM_SPACE), None if name is None else owners[name]))
    return arrivals


async def _owner(name: str, store: Store) -> AccountId:
    account = await store.account(name)
    if account is None:
        # Not the account that last wrote to the phone: it is known to be another's.
        log.error("inbound.account_unknown", account=name, remedy="add the account, or mend [[inbound]]")
        return NOBODY
    return account.id


def _tell(received: Received, metrics: Metrics) -> None:
    for sms in received.sms:
        if sms.account == NOBODY:
            log.warning("inbound.for_nobody", sms_id=sms.sms_id, remedy="give its number to an account by [[inbound]]")
        else:
            log.info("inbound.received", sms_id=sms.sms_id, account=sms.account)
    metrics.inbound_sms.inc(len(received.sms))
    metrics.sms_finished(Status.BLOCKED.value, received.blocked_count)
