"""The same life cycle on PostgreSQL, by several nodes and with history, with the server's own processor time."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.load import Client
from benchmarks.service import PASSWORD, Service, job, service
from heliograph.store.postgresql.partitions import PARTITIONS
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.postgresql import PostgresServer, running_postgres

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "autovacuum": "on",
    "autovacuum_naptime": "10s",
}
"""As an operator has it."""


@contextlib.contextmanager
def nodes(server: PostgresServer, count: int, history: int = 0) -> Iterator[list[Service]]:
    """So many nodes on a new database, in which so many SMS are already."""
    database = server.url(asyncio.run(server.new_database()))
    if history:
        asyncio.run(_fill(database, history))
    with contextlib.ExitStack() as stack:
        running: list[Service] = []
        for number in range(count):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            accounts = ("bench",) if number == 0 else ()
            running.append(stack.enter_context(service(folder, accounts=accounts, database=database)))
        yield running


def life_cycle(server: PostgresServer, node_count: int, recipients: int, count: int, *, history: int = 0) -> str:
    """From the first request to the last final status."""
    with nodes(server, node_count, history) as running:
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


async def _fill(database: str, count: int) -> None:
    """Jobs of one SMS each, finished in the last hour, in a database with as many partitions as it ever has."""
    async with open_postgresql(PostgresqlUrl.parse(database), serving=False) as store:
        for day in range(PARTITIONS + 1):
            await store.keep_in_order(datetime.now(UTC) + timedelta(days=day), PARTITIONS)
        async with store._database.writing() as db:
            await db.script(f"SET statement_timeout = 0; {HISTORY.format(count=count)}", timeout_s=1800)
            for table in ("job", "message", "sms"):
                await db.script(f"VACUUM ANALYZE {table}", timeout_s=1800)
            await db.script("CHECKPOINT", timeout_s=1800)


HISTORY = """
CREATE TEMPORARY TABLE old AS SELECT n::bigint AS sms, (ms << 20) + n % 1048576 AS job, ms FROM (
  SELECT n, (extract(epoch FROM now()) * 1000)::bigint - 3600000 + n::bigint * 3500000 / {count} AS ms
  FROM generate_series(1, {count}) AS n) AS numbers;
INSERT INTO job (id, public_id, account, first_sms, sms_count, give_up, options, blank, finished)
SELECT job, 'J.' || ms || '.' || md5(sms::text), 1, sms, 1, false, '{{}}', false, ms + 100 FROM old ORDER BY job;
INSERT INTO message (job, place, text, encoding, parts)
SELECT job, 0, 'Your code is 123456', 'STANDARD', NULL FROM old ORDER BY job;
INSERT INTO sms (id, job, message, dst, customer_ref, parts, process_status, status, reason, sent, finished)
SELECT sms, job, 0, '+49176' || 10000000 + sms, '', 1, 'DONE', 'SUC_FIN', '', ms + 50, ms + 100 FROM old ORDER BY sms;
SELECT setval('sms_block', ({count} / 16384 + 1) * 16384);
"""


async def forgetting(server: PostgresServer, count: int) -> AsyncIterator[tuple[str, str]]:
    """How long it takes to be rid of so many SMS: row by row, of which a twentieth is measured, and in a partition."""
    url = PostgresqlUrl.parse(server.url(await server.new_database()))
    await _fill(server.url(url.dsn.partition("@/")[2].partition("?")[0]), count)
    async with open_postgresql(url, serving=False) as store:
        await store.forget_jobs(datetime.now(UTC), 1)  # Who wrote to whom is gathered, once.
        for name, row_by_row, most in (("row by row", True, count // 20), ("hidden", False, count)):
            async with store._database.writing() as db:
                await db.script(f"UPDATE partition SET row_by_row = {row_by_row} WHERE number = 0")
                wal: int = await db.raw.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
            done, cpu_s, started = 0, _cpu_s(server), time.perf_counter()
            until = datetime.now(UTC) + timedelta(days=3)
            while done < most and (step := await store.forget_jobs(until, 100)):
                done += step
            wall_s, cpu_s = time.perf_counter() - started, _cpu_s(server) - cpu_s
            async with store._database.writing() as db:
                wal = await db.raw.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint") - wal
            yield (
                f"{name}, in steps of 100 jobs",
                f"{done / wall_s:8.0f} SMS/s   CPU {cpu_s / done * 1e3:6.3f} ms/SMS   WAL {wal / done:6.0f} octets/SMS",
            )
        started = time.perf_counter()
        await store.keep_in_order(datetime.now(UTC) + timedelta(days=PARTITIONS), PARTITIONS)
        wall_s = time.perf_counter() - started
        async with store._database.writing() as db:
            assert await db.raw.fetchval("SELECT min(number) FROM partition") > 0
        yield "dropped, with all that is in it", f"{wall_s:8.3f} s"


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
