"""The service under measurement: a process of its own, with a file database and a sandbox carrier."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.interop.programs import NODE

PASSWORD = "benchmark"


class Service:
    """A running `heliograph serve`."""

    def __init__(self, folder: Path, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.port = port
        self._process = process

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mb(self) -> float:
        """Resident memory that is not shared files' pages."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def wait_for(self, name: str, value: float, timeout_s: float) -> None:
        """Return when a metric has come to a value."""
        deadline = time.monotonic() + timeout_s
        while self.metric(name) < value:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} came to {self.metric(name)} only, of {value}")
            time.sleep(0.02)


SANDBOX = 'name = "sandbox"\nkind = "sandbox"\ndelay = 0.05'


@contextlib.contextmanager
def smsc(folder: Path) -> Iterator[int]:
    """Start a simulated SMSC whose receipts come after 50 ms; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "heliograph", "simulator", "--listen", f"127.0.0.1:{port}", "--delay", "0.05"]
    process = subprocess.Popen(program, stdout=(folder / "smsc").open("wb"), stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the simulator didn't start: {(folder / 'smsc').read_text()}")
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextlib.contextmanager
def npm_smsc() -> Iterator[int]:
    """Start an SMSC that others wrote, npm's `smpp`, whose receipts come after 50 ms; its port."""
    process = subprocess.Popen(
        [NODE, Path(__file__).with_name("smsc.js"), "50"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(60)
        process.stdin.close()
        process.stdout.close()


@contextlib.contextmanager
def receiver() -> Iterator[int]:
    """Start a receiver of webhooks; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.receiver", str(port)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield port
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


@contextlib.contextmanager
def service(
    folder: Path,
    *,
    accounts: tuple[str, ...] = ("bench",),
    carrier: str = SANDBOX,
    database: str | None = None,
    more: str = "",
) -> Iterator[Service]:
    """Start the service on a folder; stop it at the end.

    carrier: its lines in the configuration; more: others. database: its URL; None is a file in the folder.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = folder / "heliograph.toml"
    config.write_text(
        f'[server]\nlisten = "127.0.0.1:{port}"\n[database]\nurl = "{database or f"sqlite:///{folder}/bench.db"}"\n'
        f"{more}\n[[carriers]]\n{carrier}\n"
    )
    program = [sys.executable, "-m", "heliograph"]
    for name in accounts:
        subprocess.run(
            [*program, "account", "add", name, "--rate-limit", "none", "--password-stdin", "--config", str(config)],
            input=f"{PASSWORD}\n".encode(), capture_output=True, check=True,
        )  # fmt: skip
    process = subprocess.Popen([*program, "serve", "--config", str(config)], stderr=(folder / "log").open("wb"))
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the service didn't start: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        yield Service(folder, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def job(text: str, recipients: int, *, status_requested: bool = True, **options: object) -> dict[str, object]:
    """A job to numbers that the sandbox delivers to."""
    return {
        "options": {"statusRequested": status_requested, **options},
        "messages": [
            {"text": text, "recipients": [{"dst": f"+49176{4000000 + 10 * i + 9}"} for i in range(recipients)]}
        ],
    }


def json_of(body: bytes) -> object:
    """A body's value."""
    return json.loads(body)
