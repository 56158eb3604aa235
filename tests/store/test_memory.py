"""MemoryStore does what any Store must do."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.store.conformance import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    async def store(self):
        return MemoryStore()
