"""The same life cycle on PostgreSQL, by one node and by two, with the server's own processor time."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import Client
from benchmarks.service import PASSWORD, Service, job, service
from tests.fakes.postgresql import PostgresServer, running_postgres

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "10s",
}
"""As an operator has it."""


@contextlib.contextmanager
def nodes(server: PostgresServer, count: int) -> Iterator[list[Service]]:
    """So many nodes on a new database."""
    database = server.url(asyncio.run(server.new_database()))
    with contextlib.ExitStack() as stack:
        running: list[Service] = []
        for number in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            accounts = ("bench",) if number == 0 else ()
            running.append(stack.enter_context(service(folder, accounts=accounts, database=database)))
        yield running


def life_cycle(server: PostgresServer, node_count: int, recipients: int, count: int) -> str:
    """From the first request to the last final status."""
    with nodes(server, node_count) as running:
        client = Client([node.port for node in running], "bench", PASSWORD)
        request = client.request("POST", "/rest/v1/jobs", job("Your code is 123456", recipients))
        client.run([request] * 64, 32)
        _wait_for(running, 64 * recipients)
        cpu_s, server_cpu_s, started = sum(node.cpu_s for node in running), _cpu_s(server), time.perf_counter()
        result = client.run([request] * count, 32)
        sms = count * recipients
        _wait_for(running, sms + 64 * recipients)
        wall_s = time.perf_counter() - started
        cpu_ms = (sum(node.cpu_s for node in running) - cpu_s) / sms * 1e3
        server_cpu_ms = (_cpu_s(server) - server_cpu_s) / sms * 1e3
        return (
            f"{sms / wall_s:8.0f} SMS/s   accept p50 {result.percentile_ms(50):6.1f} ms"
            f" p99 {result.percentile_ms(99):6.1f} ms   CPU {cpu_ms:6.3f} + {server_cpu_ms:6.3f} ms/SMS"
            f"   memory {max(node.memory_mb for node in running):.0f} MB   {result.statuses}"
        )


def _wait_for(running: list[Service], parts: int, timeout_s: float = 300) -> None:
    deadline = time.monotonic() + timeout_s
    while (finished := sum(node.metric("heliograph_parts_finished_total") for node in running)) < parts:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{finished} parts finished only, of {parts}")
        time.sleep(0.02)


def _cpu_s(server: PostgresServer) -> float:
    """Processor time of the server's processes that are there, and of those that have ended."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == server.pid:
                total += int(fields[11]) + int(fields[12])
            if stat.parent.name == str(server.pid):
                total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def durable_postgres() -> Iterator[PostgresServer]:
    """A server that waits for the disk."""
    with running_postgres(**DURABLE) as server:
        yield server
