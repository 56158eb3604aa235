"""The rate limit on SQLite holds over a restart, and a kill forgets no more than the last second."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.sqlite import calls
from heliograph.store.sqlite.calls import Calls, KeepCalls
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, numbers
from tests.store.conformance import lease, submitted

ROOT = Path(__file__).parents[2]
ACCOUNT = AccountId(1)
SECOND_0 = int(NOW.timestamp())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "heliograph.db"


@pytest.fixture
def kept_at_once(monkeypatch):
    monkeypatch.setattr(calls, "KEEP_AFTER_S", 0.0)


async def take(path, *instants, limit, account=ACCOUNT):
    """Calls of one process that stops then; what it said of each."""
    async with open_sqlite(path, NOW) as store:
        return [await store.take_call(account, limit, after(at)) for at in instants]


def written(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT account, second, calls FROM call ORDER BY account, second").fetchall()


async def test_a_limit_holds_over_a_restart(path):
    limit = RateLimit(3, 60)
    await take(path, 0, 1, 30, limit=limit)
    quotas = await take(path, 31, 59.9, 60, 60.1, limit=limit)
    assert [quota.allowed for quota in quotas] == [False, False, True, False]
    assert [quota.remaining for quota in quotas] == [0, 0, 0, 0]
    assert quotas[0].reset_s == 29


async def test_so_it_does_for_each_account(path):
    limit = RateLimit(1, 60)
    await take(path, 0, limit=limit)
    assert [quota.allowed for quota in await take(path, 1, limit=limit, account=AccountId(2))] == [True]
    assert [quota.allowed for quota in await take(path, 2, limit=limit)] == [False]


@pytest.mark.parametrize("tenths_a_process", [3, 13, 47])
async def test_in_no_period_are_there_more_calls_than_the_limit_however_often_it_is_restarted(path, tenths_a_process):
    limit, taken = RateLimit(7, 5), []
    for begin in range(0, 200, tenths_a_process):
        tenths = range(begin, min(begin + tenths_a_process, 200))
        quotas = await take(path, *(tenth / 10 for tenth in tenths), limit=limit)
        taken += [tenth for tenth, quota in zip(tenths, quotas, strict=True) if quota.allowed]
    assert all(later - earlier >= 50 for earlier, later in zip(taken, taken[7:], strict=False))
    assert len(taken) >= 7 * 3, "a restart costs an account the rest of a second, and no more"


async def test_refused_calls_count_neither_before_a_restart_nor_after(path):
    limit = RateLimit(1, 60)
    await take(path, 0, 30, 59, limit=limit)
    assert [quota.allowed for quota in await take(path, 60, limit=limit)] == [True]


async def test_what_does_not_count_any_more_is_forgotten(path):
    await take(path, *range(100), limit=RateLimit(1000, 10))
    await take(path, 300, limit=RateLimit(1000, 10))
    assert written(path) == [(ACCOUNT, SECOND_0 + 300, 1)]


async def test_all_calls_of_a_second_are_one_row_and_reading_a_quota_waits_for_no_disk(path):
    async with open_sqlite(path, NOW) as store:
        asked: list[str] = []
        store.writer._db.raw.set_trace_callback(asked.append)
        for number in range(50):
            await store.take_call(ACCOUNT, RateLimit(100, 60), after(0.001 * (number + 1)))
        assert asked == []
    assert written(path) == [(ACCOUNT, SECOND_0 + 1, 50)]


@pytest.mark.usefixtures("kept_at_once")
async def test_what_was_counted_is_written_soon_and_not_only_when_it_stops(path):
    async with open_sqlite(path, NOW) as store:
        for number in range(1, 4):
            await store.take_call(ACCOUNT, RateLimit(100, 60), after(0.1 * number))
            await eventually(lambda number=number: written(path) == [(ACCOUNT, SECOND_0 + 1, number)])


async def eventually(condition):
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.002)  # noqa: TID251 # the disk's time
    raise AssertionError("it has not come to that")


@pytest.mark.usefixtures("kept_at_once")
async def test_what_could_not_be_written_is_written_with_what_comes_next():
    writes: list[KeepCalls] = []
    away = asyncio.Event()
    away.set()

    async def write(keep: KeepCalls) -> None:
        writes.append(keep)
        if away.is_set():
            raise StoreUnavailable("the database is locked, says the test")

    limit, counted = RateLimit(10, 60), Calls(lambda account: [], write)
    counted.take(ACCOUNT, limit, after(0))
    await eventually(lambda: len(writes) >= 3)
    counted.take(ACCOUNT, limit, after(5))
    away.clear()
    tries = len(writes)
    await eventually(lambda: len(writes) > tries)
    assert sorted(writes[tries].calls) == [(ACCOUNT, SECOND_0, 1), (ACCOUNT, SECOND_0 + 5, 1)]
    counted.take(AccountId(2), limit, after(6))
    await eventually(lambda: len(writes) > tries + 1)
    assert writes[-1].calls == [(AccountId(2), SECOND_0 + 6, 1)]
    assert counted.stop() is None


@pytest.mark.usefixtures("kept_at_once")
async def test_what_is_being_written_when_it_stops_is_written_once_more():
    begun, never = asyncio.Event(), asyncio.Event()

    async def write(_: KeepCalls) -> None:
        begun.set()
        await never.wait()

    limit, counted = RateLimit(10, 60), Calls(lambda account: [], write)
    counted.take(ACCOUNT, limit, after(0.5))
    await asyncio.wait_for(begun.wait(), 60)
    counted.take(ACCOUNT, limit, after(0.9))
    left = counted.stop()
    assert left is not None
    assert left.calls == [(ACCOUNT, SECOND_0 + 1, 2)]
    never.set()


async def test_what_was_counted_is_written_though_it_stops_in_the_midst_of_a_batch(path):
    async with open_sqlite(path, NOW) as store:
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(150))))
        parts = await lease(store, limit=150)
        await store.take_call(ACCOUNT, RateLimit(10, 60), NOW)
        recording = asyncio.ensure_future(store.record_outcomes("acme", [submitted(part) for part in parts]))
        for _ in range(10):
            if store.writer._db.raw.in_transaction:
                break
            await asyncio.sleep(0)  # noqa: TID251 # waits for nothing
        assert store.writer._db.raw.in_transaction
    with pytest.raises(StoreUnavailable):
        await recording
    assert written(path) == [(ACCOUNT, SECOND_0, 1)]


async def test_a_clock_that_was_far_ahead_keeps_nobody_out_for_long(path):
    limit = RateLimit(1, 60)
    await take(path, 86_400, limit=limit)
    assert [quota.allowed for quota in await take(path, 0, limit=limit)] == [True]


KILLED = """
import asyncio, sys
from pathlib import Path
from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW

async def main(path):
    async with open_sqlite(path, NOW) as store:
        for _ in range(5):
            await store.take_call(AccountId(1), RateLimit(5, 60), NOW)
        print("taken", flush=True)
        await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


@contextmanager
def a_process_that_took_5_calls(path):
    command = [sys.executable, "-c", KILLED, path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "taken\n"
            yield process
        finally:
            process.kill()


async def test_a_kill_forgets_no_more_than_the_last_second(path):
    with a_process_that_took_5_calls(path) as process:
        await asyncio.sleep(calls.KEEP_AFTER_S + 3)  # noqa: TID251 # another process keeps real time
        process.send_signal(signal.SIGKILL)
    assert [quota.allowed for quota in await take(path, 1, 59.9, 60, limit=RateLimit(5, 60))] == [False, False, True]
