"""MemoryStore does what any Store must do."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.store.conformance import StoreConformance
from tests.store.jobs_conformance import JobsConformance
from tests.store.recalls_conformance import RecallsConformance
from tests.store.receipts_conformance import ReceiptsConformance
from tests.store.webhooks.conformance import WebhookConformance


class TestMemoryStore(StoreConformance, JobsConformance, RecallsConformance, ReceiptsConformance, WebhookConformance):
    @pytest.fixture
    async def store(self):
        return MemoryStore()
