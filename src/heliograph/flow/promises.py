"""Receipts that a carrier in our own process owed when that process went: another gives them."""

import structlog

from heliograph.carriers.interface import PromisingCarrier
from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import WorkStore

LOOK_EVERY_S = 1.0
"""How often to ask whether other nodes have gone and left receipts behind."""

log = structlog.get_logger()


async def keep_promises(carrier: PromisingCarrier, store: WorkStore, clock: Clock) -> None:
    """Promise what earlier processes promised, at first, and then what nodes did that go; until cancelled.

    Every node does it for every other: whichever gives a receipt first, it decides, and the others change nothing.
    """
    ask = store.awaiting_receipts
    while True:
        try:
            carrier.awaiting(await ask(carrier.name))
            ask = store.abandoned_receipts
        except StoreUnavailable as error:
            log.error("promises.store_unavailable", carrier=carrier.name, error=str(error))
        await clock.sleep(LOOK_EVERY_S)
