"""docs/decisions/0039: whichever node is left gives the receipts that a carrier in a lost process owed."""

import asyncio

from heliograph.carriers.sandbox import Sandbox
from heliograph.flow.promises import LOOK_EVERY_S, keep_promises
from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock, settle
from tests.flow.stores import ALL, StoreOnClock


class Abandoned(MemoryStore):
    """What other processes have left, `earlier` before we began, each of `since` at one asking."""

    def __init__(self, earlier: list[str], *since: list[str]) -> None:
        super().__init__()
        self._earlier = earlier
        self._since = [*since]

    async def awaiting_receipts(self, carrier: str) -> list[str]:
        assert carrier == "sandbox"
        return self._earlier

    async def abandoned_receipts(self, carrier: str) -> list[str]:
        assert carrier == "sandbox"
        return self._since.pop(0) if self._since else []


async def given(store, seconds, away_s=0.0):
    """The ids of the receipts given within some time."""
    clock, ids = ManualClock(), []
    sandbox = Sandbox("sandbox", clock, delay_s=0.5)
    on_clock = StoreOnClock(store, clock)

    async def read():
        while True:
            async with sandbox.receipts() as receipts:
                ids.extend(receipt.message_id for receipt in receipts)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(keep_promises(sandbox, on_clock, clock)), tasks.create_task(read())]
        on_clock.away = ALL if away_s else ()
        await settle()
        await clock.advance(away_s)
        on_clock.away = ()
        await clock.advance(seconds)
        for each in running:
            each.cancel()
    return ids


async def test_what_earlier_processes_owed_is_given_first():
    assert await given(Abandoned(["1-0000", "2-0000"]), 0.5) == ["1-0000", "2-0000"]


async def test_what_nodes_owe_that_go_is_given_a_second_later():
    assert await given(Abandoned([], [], ["1-0000"], [], ["2-0000"]), 4 * LOOK_EVERY_S + 0.5) == ["1-0000", "2-0000"]


async def test_while_the_store_is_away_nothing_is_forgotten():
    store = Abandoned(["1-0000"], ["2-0000"])
    assert await given(store, 2 * LOOK_EVERY_S + 0.5, away_s=30) == ["1-0000", "2-0000"]
