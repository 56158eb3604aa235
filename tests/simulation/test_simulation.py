"""Many small worlds with disasters. A seed that fails: python -m tests.simulation --seed N [--store sqlite]."""

import pytest
import structlog

from heliograph.jobs.status import FINAL, MEANINGS, ProcessStatus, Status
from tests.simulation.world import World

STEPS = 100


@pytest.fixture(autouse=True)
def quiet():
    with structlog.testing.capture_logs():
        yield


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_happens_no_sms_is_lost_or_sent_when_it_should_not_be(seed):
    await World(seed).run(STEPS)


async def test_the_same_holds_on_sqlite(tmp_path):
    await World(1, database=tmp_path / "world.db").run(STEPS // 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
async def test_it_holds_in_many_worlds(seed):
    await World(seed).run(STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
async def test_it_holds_in_many_worlds_on_sqlite(seed, tmp_path):
    await World(seed, database=tmp_path / "world.db").run(STEPS)


async def test_a_seed_tells_the_whole_story():
    first, second = World(17), World(17)
    await first.run(50)
    await second.run(50)
    assert list(first.acknowledged) == list(second.acknowledged)
    assert first.final == second.final


async def test_a_world_sees_every_kind_of_end():
    unseen = {pair for pair in MEANINGS if pair[0] in FINAL} - {(ProcessStatus.DONE, Status.BLOCKED)}
    for seed in range(410, 470):  # One world in ten sees a job cancelled between two tries.
        world = World(seed)
        await world.run(STEPS)
        unseen -= set(world.verdicts)
        assert world.crash_count
        assert world.lost_answer_count
        if not unseen:
            break
    assert not unseen
