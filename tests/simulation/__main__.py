"""Replay one simulated world with a full log: python -m tests.simulation --seed 17."""

import argparse
import asyncio
import tempfile
from pathlib import Path

import structlog

from tests.simulation.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--store", choices=["memory", "sqlite"], default="memory")
    parser.add_argument("--until", type=int, metavar="SEED", help="run all seeds up to this one, saying less")
    arguments = parser.parse_args()
    if arguments.until is not None:
        structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    for seed in range(arguments.seed, (arguments.until or arguments.seed) + 1):
        with tempfile.TemporaryDirectory() as folder:
            database = Path(folder) / "world.db" if arguments.store == "sqlite" else None
            world = World(seed, database=database, verbose=arguments.until is None)
            try:
                asyncio.run(world.run(arguments.steps))
            except BaseException:
                print(f"seed {seed} fails at step {world.step_count}")
                raise
        ends = ", ".join(
            f"{count} {process_status.value} {status.value}".strip()
            for (process_status, status), count in world.verdicts.most_common()
        )
        print(
            f"seed {seed}: {len(world.acknowledged)} jobs, {world.crash_count} crashes, "
            f"{world.lost_answer_count} lost answers; {ends}"
        )


main()
