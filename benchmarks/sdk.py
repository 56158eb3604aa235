"""Our SDK beside the vendor's own: the same calls to the same service, each by a process that does nothing else."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import Client
from benchmarks.service import PASSWORD, Service, job, json_of, service

VENDOR_PYTHON = Path(__file__).parents[1] / ".venv-vendor" / "bin" / "python"
PROGRAM = Path(__file__).with_name("sdk_program.py")
OURS, VENDORS = "heliograph", "retarus-sms"
CALLS = {"send": "send one SMS", "job": "read a job of 10", "recipients": "read its recipients"}
ONLY_OURS = {"recipients"}
COUNT = 700
"""Calls a round."""
ROUNDS = 3
"""Of both in turn, so that what else the machine does meets both; a figure is the one in the middle."""
AT_ONCE = (1, 10)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round, or the middle of several, came to. cpu_ms: of the client, a call."""

    calls_per_s: float
    p50_ms: float
    cpu_ms: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One call by both. at_once: 1 is the synchronous clients. theirs: None where they have no such call."""

    call: str
    at_once: int
    ours: Figures
    theirs: Figures | None


def missing() -> str:
    """Why it can't be measured here; empty if it can."""
    if not VENDOR_PYTHON.exists():
        return "there is no .venv-vendor with the vendor's SDK (`make setup` makes it)"
    return ""


def compare() -> Iterator[Comparison]:
    """Each call, first by the synchronous clients and then by the asynchronous ones."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        job_id = _finished_job(running)
        for at_once in AT_ONCE:
            for call in CALLS:
                sdks = (OURS,) if call in ONLY_OURS else (OURS, VENDORS)
                rounds = [[_run(sdk, running.port, call, job_id, at_once) for sdk in sdks] for _ in range(ROUNDS)]
                ours, *theirs = (_middle(each) for each in zip(*rounds, strict=True))
                yield Comparison(CALLS[call], at_once, ours, theirs[0] if theirs else None)


def _finished_job(running: Service) -> str:
    client = Client(running.port, "bench", PASSWORD)
    request = client.request("POST", "/rest/v1/jobs", job("Your code is 123456", 10))
    sent = client.run([request], 1, keep_bodies=True)
    running.wait_for("heliograph_parts_finished_total", 10, 20)
    return json_of(sent.bodies[0])["jobId"]


def _run(sdk: str, port: int, call: str, job_id: str, at_once: int) -> Figures:
    python = VENDOR_PYTHON if sdk == VENDORS else Path(sys.executable)
    environment = {"PYTHONUTF8": "1", "NO_PROXY": "*"}
    if sdk == OURS and "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    # -P: the folder of the program is not a place to import from.
    command = [python, "-P", PROGRAM, sdk, f"http://127.0.0.1:{port}", "bench", PASSWORD, call, job_id]
    program = subprocess.run(
        [*command, str(COUNT), str(at_once)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    if program.returncode:
        raise RuntimeError(f"{sdk} could not {CALLS[call]}: {program.stderr}")
    told: dict[str, Any] = json.loads(program.stdout)
    return Figures(
        calls_per_s=COUNT / told["wall_s"],
        p50_ms=statistics.median(told["latencies_s"]) * 1e3,
        cpu_ms=told["cpu_s"] / COUNT * 1e3,
        memory_mb=told["memory_mb"],
    )


def _middle(rounds: tuple[Figures, ...]) -> Figures:
    """Each figure's median."""
    return Figures(
        *(statistics.median(getattr(each, name) for each in rounds) for name in Figures.__dataclass_fields__)
    )
