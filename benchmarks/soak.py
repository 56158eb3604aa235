"""Half an hour at half the top speed, over SMPP: is memory flat, and do all counts agree? `make soak MINUTES=30 RATE=`

Of each ten SMS one is in three parts, and one ends as undelivered. The simulated SMSC is a process of its own; its
receipts come after 50 ms. Exit code 1 says that memory isn't flat, or that counts differ.

Memory is flat if its median over the last third of the samples is no more than `MOST_GROWTH_MB` above that over the
first third, the first fifth of the time left out: caches fill, and the allocator finds its size.
"""

import argparse
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.load import Client
from benchmarks.service import PASSWORD, Service, service, smsc

MOST_GROWTH_MB = 8.0
SAMPLE_S = 60.0
FEWEST_SAMPLES = 10
CONNECTIONS = 32
CALIBRATION_SMS = 10_000
ROUND = ["one part"] * 8 + ["undelivered", "three parts"]
PARTS_A_ROUND = 8 + 1 + 3
CARRIER = (
    'name = "smsc"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "soak"\npassword = "soak"\n'
    "binds = 2\nwindow = 100"
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="SMS a second; half the top speed if not given")
    arguments = parser.parse_args()
    sys.exit(soak(arguments.minutes, arguments.rate))


def soak(minutes: float, rate_per_s: float | None) -> int:
    """Run it; the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with smsc(folder) as port, service(folder, carrier=CARRIER.format(port=port)) as running:
            load = _Load(running)
            if rate_per_s is None:
                rate_per_s = load.top_speed() / 2
            print(f"{rate_per_s:.0f} SMS/s for {minutes:g} minutes", flush=True)
            samples = _samples(running, load, minutes, rate_per_s)
            drained = load.is_final_within(120)
        finals = _finals(folder)
        told = (folder / "smsc").read_text("utf-8")
    return _verdict(samples, load, finals, told, drained=drained)


class _Load:
    """What has been asked of the service so far."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._client = Client(running.port, "bench", PASSWORD)
        requests = {kind: self._client.request("POST", "/rest/v1/jobs", _job(kind)) for kind in set(ROUND)}
        self._requests = cycle([requests[kind] for kind in ROUND])
        self.statuses = Counter[int]()
        self.p99_ms = 0.0

    def run(self, sms_count: int, rate_per_s: float | None) -> None:
        """Whole rounds, about so many SMS."""
        count = max(1, round(sms_count / len(ROUND))) * len(ROUND)
        result = self._client.run(islice(self._requests, count), CONNECTIONS, rate_per_s=rate_per_s)
        self.statuses.update(result.statuses)
        self.p99_ms = result.percentile_ms(99)

    def top_speed(self) -> float:
        """SMS a second, from the first request to the last final status."""
        started = time.monotonic()
        self.run(CALIBRATION_SMS, None)
        # Not by how many aren't final: that is counted every few seconds only.
        parts = CALIBRATION_SMS // len(ROUND) * PARTS_A_ROUND
        self._running.wait_for("heliograph_parts_finished_total", parts, 300)
        return CALIBRATION_SMS / (time.monotonic() - started)

    def is_final_within(self, timeout_s: float) -> bool:
        """Whether every SMS comes to its end."""
        deadline = time.monotonic() + timeout_s
        while self._running.metric("heliograph_sms_not_final") > 0:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


def _job(kind: str) -> dict[str, Any]:
    text = "Your code is 123456. " * (20 if kind == "three parts" else 1)
    dst = "+49176120001" if kind == "undelivered" else "+49176123459"
    return {"options": {"statusRequested": True}, "messages": [{"text": text, "recipients": [{"dst": dst}]}]}


def _samples(running: Service, load: _Load, minutes: float, rate_per_s: float) -> list[float]:
    """The service's memory in MB, told as it is taken."""
    every_s = min(SAMPLE_S, minutes * 60 / FEWEST_SAMPLES)
    started = time.monotonic()
    samples: list[float] = []
    while (elapsed_s := time.monotonic() - started) < minutes * 60 - every_s / 2:
        cpu_s, sent_before = running.cpu_s, load.statuses.total()
        load.run(round(rate_per_s * every_s), rate_per_s)
        took_s = time.monotonic() - started - elapsed_s
        samples.append(running.memory_mb)
        count = load.statuses.total() - sent_before
        print(
            f"{(time.monotonic() - started) / 60:6.1f} min   memory {samples[-1]:6.1f} MB   {count / took_s:6.0f} SMS/s"
            f"   accept p99 {load.p99_ms:6.1f} ms   CPU {(running.cpu_s - cpu_s) / count * 1e3:6.3f} ms/SMS",
            flush=True,
        )
    return samples


def _finals(folder: Path) -> Counter[str]:
    """How many SMS have which status; those without are not final."""
    with closing(sqlite3.connect(folder / "bench.db")) as database:
        return Counter(dict(database.execute("SELECT coalesce(status, 'not final'), count(*) FROM sms GROUP BY 1")))


def _verdict(samples: list[float], load: _Load, finals: Counter[str], told: str, *, drained: bool) -> int:
    accepted = load.statuses[201]
    rounds = accepted // len(ROUND)
    sent, acknowledged = _told(told, "submissions", "accepted"), _told(told, "receipts", "acknowledged")
    checks = {
        "HTTP requests that were not accepted": load.statuses.total() - accepted,
        "SMS accepted, and not in the database": accepted - finals.total(),
        "SMS without a final status": finals["not final"] + (0 if drained else 1),
        "delivered, of those that should be": accepted - rounds - finals["SUC_FIN"],
        "undelivered, of those that should be": rounds - finals["FAILED_FIN"],
        "parts sent, of those accepted": rounds * PARTS_A_ROUND - sent,
        "receipts acknowledged, of parts sent": sent - acknowledged,
    }
    print(f"accepted {accepted}   parts sent {sent}   receipts {acknowledged}   final {dict(finals)}")
    for name, drift in checks.items():
        print(f"drift {drift:+8d}   {name}")
    growth_mb = growth_of(samples)
    is_flat = growth_mb <= MOST_GROWTH_MB
    print(f"memory grew by {growth_mb:+.1f} MB; {'flat' if is_flat else f'not flat: more than {MOST_GROWTH_MB:g} MB'}")
    return 0 if is_flat and not any(checks.values()) else 1


def growth_of(samples: list[float]) -> float:
    """From the first third of the samples to the last, the first fifth left out, in MB."""
    steady = samples[len(samples) // 5 :]
    third = max(1, len(steady) // 3)
    return statistics.median(steady[-third:]) - statistics.median(steady[:third])


def _told(summary: str, row: str, word: str) -> int:
    found = re.search(rf"^{row} .*?(\d+) {word}", summary, re.MULTILINE)
    if found is None:
        raise ValueError(f"the simulator's last words have no {word} {row}: {summary[-500:]}")
    return int(found[1])


if __name__ == "__main__":
    main()
