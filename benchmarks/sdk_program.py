"""A customer's program that makes one call again and again, by our SDK or by the vendor's, and times it.

    python sdk_program.py heliograph|retarus-sms URL NAME PASSWORD send|job|recipients JOB_ID COUNT AT_ONCE

It imports the one SDK and nothing else of ours, for the vendor's is in .venv-vendor.
JOB_ID: the job that is read. AT_ONCE: how many calls are under way together, by the asynchronous client; with 1 the
synchronous client makes them in turn. The asynchronous ones run on asyncio's own loop.
Prints as JSON: `wall_s`, `cpu_s` of this process, `latencies_s` of the calls and `memory_mb` at the end.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

TEXT = "Your code is 123456"
NUMBER = "+491764000009"
WARM_UP = 50


def main() -> None:
    sdk, url, name, password, call, job_id, count, at_once = sys.argv[1:]
    calls = {"heliograph": heliograph_calls, "retarus-sms": vendor_calls}[sdk]

    def chosen(*, is_async: bool) -> Callable[[], Any]:
        return calls(url, name, password, job_id, is_async=is_async)[call]

    if int(at_once) > 1:
        figures = asyncio.run(_together(chosen, int(count), int(at_once)))
    else:
        figures = _in_turn(chosen(is_async=False), int(count))
    status = Path("/proc/self/status").read_text()
    print(json.dumps(figures | {"memory_mb": int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024}))


def heliograph_calls(
    url: str, name: str, password: str, job_id: str, *, is_async: bool
) -> dict[str, Callable[[], Any]]:
    """By our SDK, with one client for all calls."""
    from heliograph import AsyncClient, Client

    client = (AsyncClient if is_async else Client)(url, name, password)
    return {
        "send": lambda: client.send(TEXT, to=NUMBER),
        "job": lambda: client.job(job_id),
        "recipients": lambda: client.sms(job_id),
    }


def vendor_calls(url: str, name: str, password: str, job_id: str, *, is_async: bool) -> dict[str, Callable[[], Any]]:
    """The same by the vendor's, which has no call that reads a job's recipients."""
    from retarus.commons.config import Configuration
    from retarus.commons.region import Region, RegionUri
    from retarus.sms.client import SmsClient
    from retarus.sms.model import SmsJob

    SmsClient._SmsClient__sms_uris = [RegionUri(region=Region.Europe, ha_uri=url, urls=[url, url])]
    Configuration.set_auth(name, password)
    client = SmsClient(is_async=is_async).client
    return {
        "send": lambda: client.send_sms(SmsJob.minimal(NUMBER, TEXT)),
        "job": lambda: client.get_sms_job(job_id),
    }


def _in_turn(call: Callable[[], object], count: int) -> dict[str, Any]:
    for _ in range(WARM_UP):
        call()
    stopwatch = _Stopwatch()
    for _ in range(count):
        started = time.perf_counter()
        stopwatch.note(started, call())
    return stopwatch.figures()


async def _together(chosen: Callable[..., Callable[[], Awaitable[object]]], count: int, at_once: int) -> dict[str, Any]:
    call = chosen(is_async=True)

    async def work(turns: Iterator[int], stopwatch: "_Stopwatch") -> None:
        for _ in turns:
            started = time.perf_counter()
            stopwatch.note(started, await call())

    async def workers(turns: int) -> "_Stopwatch":
        left, stopwatch = iter(range(turns)), _Stopwatch()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work(left, stopwatch))
        return stopwatch

    await workers(WARM_UP)
    return (await workers(count)).figures()


class _Stopwatch:
    """Starts when it is made."""

    def __init__(self) -> None:
        self._latencies_s: list[float] = []
        self._cpu_s, self._started = time.process_time(), time.perf_counter()

    def note(self, started: float, answer: object) -> None:
        """A call that started at that instant has been answered."""
        self._latencies_s.append(time.perf_counter() - started)
        if not answer:  # The vendor's SDK returns False for what is not found.
            raise AssertionError(f"a call was answered {answer!r}")

    def figures(self) -> dict[str, Any]:
        """Since it was made."""
        wall_s, cpu_s = time.perf_counter() - self._started, time.process_time() - self._cpu_s
        return {"wall_s": wall_s, "cpu_s": cpu_s, "latencies_s": self._latencies_s}


if __name__ == "__main__":
    main()
