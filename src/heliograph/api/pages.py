"""What is answered without credentials: health, metrics, and the description of the API."""

import asyncio
from http import HTTPStatus

import structlog

from heliograph.api.answers import Answer, json_answer
from heliograph.api.app import Page
from heliograph.api.problems import STORE_RETRY_AFTER_S
from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.status import ProcessStatus
from heliograph.metrics import Metrics
from heliograph.store.interface import Upkeep
from heliograph.wire.docs import CONTENT_SECURITY_POLICY, docs_page
from heliograph.wire.openapi import openapi_document
from heliograph.wire.operations import BASE_PATH

READY_FRESH_S = 1.0
"""Whether the store is ready is seen by a write, and anybody may ask: an answer holds for so long."""

COUNTS_FRESH_S = 5.0
"""Counting what waits reads all of it, so it is done no more often than this."""

COUNT_TIMEOUT_S = 2.0
"""How long the metrics wait for the store: whoever asks for them waits for ten seconds, mostly."""

log = structlog.get_logger()


class Pages:
    """The pages of one process. `stopping` makes it unready, so that a load balancer looks elsewhere."""

    def __init__(self, store: Upkeep, clock: Clock, metrics: Metrics, version: str) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._asking = asyncio.Lock()
        self._asked_s = float("-inf")
        self._is_ready = False
        self._counted_s = float("-inf")
        self._counting: asyncio.Task[bool] | None = None
        self._has_counts = False
        self.stopping = False
        self._openapi = json_answer(openapi_document(version))
        policy = [("Content-Security-Policy", CONTENT_SECURITY_POLICY), ("X-Content-Type-Options", "nosniff")]
        self._docs = Answer(HTTPStatus.OK, docs_page(version).encode(), policy, "text/html; charset=utf-8")

    def by_path(self) -> dict[str, Page]:
        """Each page under its path."""
        return {
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            f"{BASE_PATH}/openapi.json": self.openapi,
            f"{BASE_PATH}/docs": self.docs,
        }

    async def healthz(self) -> Answer:
        """Whether the process lives; a supervisor restarts it when it doesn't answer."""
        return json_answer({"status": "ok"})

    async def readyz(self) -> Answer:
        """Whether requests should come here."""
        if self.stopping:
            return _not_ready("stopping", "the service stops; ask another node, or this one again in a moment")
        async with self._asking:
            if self._clock.monotonic() - self._asked_s > READY_FRESH_S:
                self._is_ready = await self._ask()
                self._asked_s = self._clock.monotonic()
        if not self._is_ready:
            return _not_ready("database unavailable", "the database can't be used at the moment; the log says why")
        return json_answer({"status": "ok"})

    async def _ask(self) -> bool:
        """Whether the store can be used."""
        try:
            await self._store.ready()
        except StoreUnavailable as error:
            # Where the database is, and whose, is for the log alone: anybody may ask here.
            log.error("api.not_ready", error=str(error))
            return False
        return True

    async def metrics(self) -> Answer:
        """For Prometheus: what this process counts, and what is in the store, if that can be used."""
        now_s = self._clock.monotonic()
        if self._counting is None and now_s - self._counted_s > COUNTS_FRESH_S:
            self._counted_s = now_s
            # Owner: this object; where the database hangs it outlives the request, and the next one waits for it.
            self._counting = asyncio.ensure_future(self._count())
        counting = self._counting
        if counting is not None:
            await asyncio.wait((counting,), timeout=COUNT_TIMEOUT_S)
            if counting.done():
                self._counting = None
            # A database that hangs is left to answer, and not asked again meanwhile.
            self._has_counts = counting.done() and counting.result()
        media_type = "text/plain; version=0.0.4; charset=utf-8"
        return Answer(HTTPStatus.OK, self._metrics.exposition(stored=self._has_counts), media_type=media_type)

    async def _count(self) -> bool:
        """Whether it is known how much is in the store."""
        now = self._clock.now()
        try:
            counts = await self._store.counts(now)
        except StoreUnavailable as error:
            log.error("api.metrics_incomplete", error=str(error))
            return False
        for process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING):
            count = counts.by_process_status.get(process_status, 0)
            self._metrics.queue_depth.labels(process_status.value).set(count)
        self._metrics.events_waiting.set(counts.events_waiting)
        self._metrics.oldest_due.clear()
        for carrier, due_at in counts.oldest_due_at.items():
            self._metrics.oldest_due.labels(carrier).set((now - due_at).total_seconds())
        return True

    async def openapi(self) -> Answer:
        """The API, described for programs."""
        return self._openapi

    async def docs(self) -> Answer:
        """The API, described for people."""
        return self._docs


def _not_ready(status: str, message: str) -> Answer:
    code = HTTPStatus.SERVICE_UNAVAILABLE
    told = {"code": int(code), "message": message, "status": status}
    return json_answer(told, code, ("Retry-After", str(STORE_RETRY_AFTER_S)))
