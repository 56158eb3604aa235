"""What carriers say later: recorded first, acknowledged after."""

from collections import Counter

import structlog

from heliograph.carriers.interface import Carrier
from heliograph.clock import Clock
from heliograph.jobs.carriage import MessageState, Receipt, receipt_reason
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.status import Status
from heliograph.metrics import Metrics
from heliograph.store.interface import ReceiptNews, WorkStore

STORE_RETRY_S = 1.0

log = structlog.get_logger()

FINAL_STATUSES = {
    MessageState.DELIVERED: Status.SUC_FIN,
    MessageState.EXPIRED: Status.TIMEOUT,
    MessageState.DELETED: Status.FAILED_FIN,
    MessageState.UNDELIVERABLE: Status.FAILED_FIN,
    MessageState.REJECTED: Status.FAILED_FIN,
    MessageState.SKIPPED: Status.FAILED_FIN,
}
"""What a receipt's state makes of an SMS; after any other state more is to come (contract, "Status of one SMS")."""


async def follow_receipts(carrier: Carrier, store: WorkStore, clock: Clock, metrics: Metrics) -> None:
    """Record a carrier's receipts, until cancelled. The carrier keeps those that can't be recorded."""
    while True:
        try:
            async with carrier.receipts() as receipts:
                news = [_news(receipt) for receipt in receipts]
                await store.record_receipts(carrier.name, news)
        except StoreUnavailable as error:
            log.error("receipts.store_unavailable", carrier=carrier.name, error=str(error))
            await clock.sleep(STORE_RETRY_S)
            continue
        for status, count in Counter(each.status for each in news if each.status is not None).items():
            metrics.sms_finished(status.value, count)


def _news(receipt: Receipt) -> ReceiptNews:
    state = receipt.state
    status = None if state is None else FINAL_STATUSES.get(state)
    if receipt.is_last and state is MessageState.ACCEPTED:
        status = Status.SUC_ACC  # The carrier took it, and that is all that it will ever say.
    if receipt.is_intermediate:
        status = None
    return ReceiptNews(
        message_id=receipt.message_id,
        status=status,
        reason=receipt_reason(receipt),
        at=receipt.received_at,
        spellings=receipt.spellings,
        phones=receipt.phones,
        is_phone_known=receipt.is_phone_known,
        text=receipt.text,
    )
