"""Run all measurements, or those named: `python -m benchmarks accept lifecycle`."""

import asyncio
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import kannel as peer
from benchmarks import sdk as beside
from benchmarks.clustered import durable_postgres, forgetting, life_cycle
from benchmarks.load import Client, Result, poll
from benchmarks.service import PASSWORD, Service, job, json_of, npm_smsc, receiver, service, smsc
from tests.fakes.postgresql import PostgresServer


def _load(running: Service, requests: list[bytes], connections: int = 32, *, keep_bodies: bool = False) -> Result:
    return Client(running.port, "bench", PASSWORD).run(requests, connections, keep_bodies=keep_bodies)


def _post(running: Service, body: object) -> bytes:
    return Client(running.port, "bench", PASSWORD).request("POST", "/rest/v1/jobs", body)


def _report(name: str, figures: str) -> None:
    print(f"{name:<46} {figures}", flush=True)


def accept() -> None:
    """Accepted jobs a second, scheduled for tomorrow so that nothing else is going on."""
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    for recipients, count in ((1, 20_000), (100, 500), (3000, 40)):
        with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
            request = _post(running, job("Your code is 123456", recipients, jobPeriod=tomorrow))
            _load(running, [request] * 32)
            cpu_s = running.cpu_s
            result = _load(running, [request] * count, 32 if recipients < 3000 else 4)
            sms = count * recipients
            _report(
                f"accept, {recipients} recipients a job",
                f"{count / result.wall_s:8.0f} jobs/s {sms / result.wall_s:8.0f} SMS/s"
                f"   p50 {result.percentile_ms(50):6.1f} ms p99 {result.percentile_ms(99):6.1f} ms"
                f"   CPU {(running.cpu_s - cpu_s) / sms * 1e3:6.3f} ms/SMS   {result.statuses}",
            )


def lifecycle() -> None:
    """From the first request to the last final status, through the sandbox, with receipts."""
    for recipients, count in ((1, 20_000), (100, 600)):
        with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
            request = _post(running, job("Your code is 123456", recipients))
            _load(running, [request] * 32)
            running.wait_for("heliograph_parts_finished_total", 32 * recipients, 60)
            cpu_s, started = running.cpu_s, time.perf_counter()
            result = _load(running, [request] * count)
            sms = count * recipients
            running.wait_for("heliograph_parts_finished_total", sms + 32 * recipients, 120)
            wall_s = time.perf_counter() - started
            _report(
                f"life cycle, {recipients} recipients a job",
                f"{sms / wall_s:8.0f} SMS/s   accept p50 {result.percentile_ms(50):6.1f} ms"
                f" p99 {result.percentile_ms(99):6.1f} ms   CPU {(running.cpu_s - cpu_s) / sms * 1e3:6.3f} ms/SMS"
                f"   memory {running.memory_mb:.0f} MB   {result.statuses}",
            )


def clustered() -> None:
    """The same on PostgreSQL, by one node, by two and by four."""
    with durable_postgres() as server:
        for node_count in (1, 2, 4):
            for recipients, count in ((1, 20_000), (100, 600)):
                figures = life_cycle(server, node_count, recipients, count)
                _report(f"PostgreSQL, {node_count} nodes, {recipients} recipients a job", figures)


def history_on_postgresql() -> None:
    """The same with SMS in the database from before; and what it takes to be rid of those."""
    with durable_postgres() as server:
        for history in (100_000, 1_000_000, 3_000_000):
            figures = life_cycle(server, 1, 1, 10_000, history=history)
            _report(f"PostgreSQL, {history} SMS of history", figures)
        asyncio.run(_report_forgetting(server, 1_000_000))


async def _report_forgetting(server: PostgresServer, count: int) -> None:
    async for name, figures in forgetting(server, count):
        _report(f"PostgreSQL, {count} SMS {name}", figures)


def smpp() -> None:
    """From the first request to the last final status, over SMPP; the SMSC is a process of its own here."""
    for recipients, count, binds, window in (
        (1, 10_000, 1, 1),
        (1, 10_000, 1, 10),
        (1, 20_000, 1, 100),
        (1, 20_000, 8, 100),
        (100, 400, 1, 100),
        (100, 400, 8, 100),
    ):
        with tempfile.TemporaryDirectory() as folder, smsc(Path(folder)) as port:
            _over_smpp(port, recipients, count, binds, window)


def kannel() -> None:
    """Kannel, and our service after it, to the same SMSC, which neither wrote: one message a request, with receipts."""
    reason = peer.missing()
    if reason:
        _report("Kannel", f"left out: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder, npm_smsc() as port:
        theirs = peer.measure(Path(folder), port, count=20_000, connections=32, window=100)
    _report(
        "Kannel, 1 a request, 1 bind, window 100",
        f"{theirs.sms_per_s:8.0f} SMS/s   accept p50 {theirs.load.percentile_ms(50):6.1f} ms"
        f" p99 {theirs.load.percentile_ms(99):6.1f} ms   CPU {theirs.cpu_ms:6.3f} ms/SMS   {theirs.load.statuses}",
    )
    with npm_smsc() as port:
        ours, cpu_ms = _over_smpp(port, 1, 20_000, 1, 100)
    _report("the disk, between these", f"a sync takes {_sync_ms():.2f} ms (median), which Kannel doesn't wait for")
    _report(
        "heliograph beside Kannel",
        f"{ours / theirs.sms_per_s:8.2f} times the SMS/s, {cpu_ms / theirs.cpu_ms:.2f} times the CPU",
    )


def _sync_ms() -> float:
    """How long it takes to have a page on the disk, in the middle of 200 times."""
    taken_s: list[float] = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken_s.append(time.perf_counter() - started)
    return statistics.median(taken_s) * 1e3


def _over_smpp(port: int, recipients: int, count: int, binds: int, window: int) -> tuple[float, float]:
    """SMS a second, and CPU milliseconds an SMS."""
    with tempfile.TemporaryDirectory() as folder:
        carrier = (
            f'name = "smsc"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "bench"\n'
            f'password = "bench"\nbinds = {binds}\nwindow = {window}'
        )
        with service(Path(folder), carrier=carrier) as running:
            request = _post(running, job("Your code is 123456", recipients))
            _load(running, [request] * 8)
            running.wait_for("heliograph_parts_finished_total", 8 * recipients, 60)
            cpu_s, started = running.cpu_s, time.perf_counter()
            result = _load(running, [request] * count)
            sms = count * recipients
            running.wait_for("heliograph_parts_finished_total", sms + 8 * recipients, 120)
            wall_s = time.perf_counter() - started
            cpu_ms = (running.cpu_s - cpu_s) / sms * 1e3
            _report(
                f"SMPP, {recipients} a job, {binds} binds, window {window}",
                f"{sms / wall_s:8.0f} SMS/s   accept p50 {result.percentile_ms(50):6.1f} ms"
                f" p99 {result.percentile_ms(99):6.1f} ms   CPU {cpu_ms:6.3f} ms/SMS"
                f"   memory {running.memory_mb:.0f} MB   {result.statuses}",
            )
            return sms / wall_s, cpu_ms


def webhooks() -> None:
    """Events delivered a second, beside the SMS that they tell of; and what a webhook that hangs costs the others."""
    for recipients, count, hanging in ((1, 5000, 0), (100, 200, 0), (100, 200, 20)):
        with (
            tempfile.TemporaryDirectory() as folder,
            receiver() as port,
            socket.create_server(("127.0.0.1", 0), backlog=100) as silent,
            service(Path(folder), more="[webhooks]\nallow_private = true") as running,
        ):
            client = Client(running.port, "bench", PASSWORD)
            urls = [f"http://127.0.0.1:{port}/"] + [f"http://127.0.0.1:{silent.getsockname()[1]}/"] * hanging
            for url in urls:
                hook = {"url": url, "events": ["sms.finished"]}
                client.run([client.request("POST", "/rest/v1/webhooks", hook)], 1)
            request = _post(running, job("Your code is 123456", recipients))
            cpu_s, started = running.cpu_s, time.perf_counter()
            _load(running, [request] * count)
            sms = count * recipients
            running.wait_for('heliograph_webhook_attempts_total{outcome="delivered"}', sms, 120)
            wall_s = time.perf_counter() - started
            _report(
                f"webhooks, {recipients} recipients a job" + (f", {hanging} that hang" if hanging else ""),
                f"{sms / wall_s:8.0f} events/s   CPU {(running.cpu_s - cpu_s) / sms * 1e3:6.3f} ms an SMS and its event"
                f"   memory {running.memory_mb:.0f} MB",
            )


def waiting() -> None:
    """Memory and disk of SMS that wait."""
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        request = _post(running, job("Your code is 123456", 1000, jobPeriod=tomorrow))
        _load(running, [request] * 10, 4)
        before = running.memory_mb
        _load(running, [request] * 100, 4)
        disk_mb = sum(path.stat().st_size for path in Path(folder).glob("bench.db*")) / 2**20
        _report(
            "100 000 waiting SMS",
            f"{running.memory_mb - before:+8.1f} MB of memory, {disk_mb:.0f} MB on disk (110 000)",
        )


def history() -> None:
    """Listing and reading as what is stored grows."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        client = Client(running.port, "bench", PASSWORD)
        request = _post(running, job("Your code is 123456", 10, status_requested=False))
        stored = 0
        ids: list[str] = []
        for total in (10_000, 100_000, 1_000_000):
            result = _load(running, [request] * ((total - stored) // 10), keep_bodies=total == 10_000)
            ids = ids or [json_of(body)["jobId"] for body in result.bodies]
            running.wait_for("heliograph_submit_outcomes_total", total, 600)
            stored = total
            figures: list[str] = []
            for name, path in (
                ("list 100 ids", "/rest/v1/jobs?jobIdsOnly=true"),
                ("list 100 open", "/rest/v1/jobs?jobIdsOnly=true&open=true"),
                ("page at 900", "/rest/v1/jobs?jobIdsOnly=true&offset=900"),
                ("job", f"/rest/v1/jobs/{ids[0]}"),
                ("its SMS", f"/rest/v1/sms?jobId={ids[0]}"),
            ):
                read = _load(running, [client.request("GET", path)] * 300, 1)
                figures.append(f"{name} {read.percentile_ms(50):.2f}")
            _report(f"{total:>9} SMS stored, p50 in ms", ", ".join(figures))


BACKLOGS = 5
READ_FOR_S = 2.0
"""Shorter than a backlog lasts."""


def reading_under_load() -> None:
    """Reading a job of 10 while a backlog of 100 000 SMS drains, at random moments, as somebody who polls does.

    Some backlogs one after the other, and their reads together: of some 200 alone, the slowest two make the p99.
    """
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        first = _load(running, [_post(running, job("Your code is 123456", 10))], keep_bodies=True)
        job_id = json_of(first.bodies[0])["jobId"]
        paths = [f"/rest/v1/jobs/{job_id}", f"/rest/v1/sms?jobId={job_id}"]
        backlog = _post(running, job("Your code is 123456", 1000))
        total = 10
        seen: dict[str, list[Result]] = {"while draining": [], "idle": []}
        for _ in range(BACKLOGS):
            _load(running, [backlog] * 100, 4)
            total += 100_000
            for state, reads in seen.items():
                if state == "idle":
                    running.wait_for("heliograph_parts_finished_total", total, 120)
                polled = poll(f"http://127.0.0.1:{running.port}", ("bench", PASSWORD), paths, READ_FOR_S)
                left = total - running.metric("heliograph_parts_finished_total")
                if state != "idle" and not left:
                    raise RuntimeError("the backlog was gone before the last read; give it more SMS")
                reads += polled
        for state, reads in seen.items():
            for place, path in enumerate(paths):
                read = Result(latencies_s=[s for each in reads[place :: len(paths)] for s in each.latencies_s])
                p50, p99 = read.percentile_ms(50), read.percentile_ms(99)
                _report(
                    f"GET {path[:14]}… {state}",
                    f"p50 {p50:.2f} ms p99 {p99:.2f} ms   ratio {p99 / p50:.2f}   of {len(read.latencies_s)} reads",
                )


def sdk() -> None:
    """Our SDK and the vendor's: one SMS sent, a job of ten read; in turn, and ten calls at once."""
    reason = beside.missing()
    if reason:
        _report("SDKs", f"left out: {reason}")
        return
    for compared in beside.compare():
        kind = "in turn" if compared.at_once == 1 else f"{compared.at_once} at once"
        for name, figures in ((beside.OURS, compared.ours), (beside.VENDORS, compared.theirs)):
            _report(
                f"{compared.call}, {kind}, {name}",
                f"{figures.calls_per_s:8.0f} calls/s   p50 {figures.p50_ms:6.2f} ms"
                f"   CPU {figures.cpu_ms:6.3f} ms/call   memory {figures.memory_mb:.0f} MB"
                if figures
                else "has no such call",
            )
        if compared.theirs:
            ours, theirs = compared.ours, compared.theirs
            _report(
                "  beside each other",
                f"{ours.calls_per_s / theirs.calls_per_s:8.2f} times the calls/s,"
                f" {ours.cpu_ms / theirs.cpu_ms:.2f} times the CPU",
            )


MEASUREMENTS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        accept,
        lifecycle,
        clustered,
        history_on_postgresql,
        smpp,
        kannel,
        sdk,
        webhooks,
        waiting,
        reading_under_load,
        history,
    )
}


def main() -> None:
    for name in sys.argv[1:] or MEASUREMENTS:
        MEASUREMENTS[name]()


if __name__ == "__main__":
    main()
