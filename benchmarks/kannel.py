"""Kannel under the same load as our service: its bearerbox and smsbox, messages in a file store, npm's `smpp` as SMSC.

Kannel tells of a receipt by calling a URL, and only so; that is therefore part of it, and a process of its own answers.
Its store is never synced to the disk, and it keeps in memory which receipts it awaits; ours survive a power cut.
"""

import asyncio
import contextlib
import multiprocessing
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from ctypes import c_long
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import uvloop

from benchmarks.load import Client, Result
from tests.interop.programs import HERE, can_connect, free_port, program_at

CONFIGURATION = """\
group = core
admin-port = {admin_port}
admin-password = secret
smsbox-port = {smsbox_port}
box-allow-ip = 127.0.0.1
dlr-storage = internal
store-type = file
store-location = {folder}/kannel.store
log-level = 4

group = smsc
smsc = smpp
smsc-id = npm
host = 127.0.0.1
port = {smsc_port}
smsc-username = bench
smsc-password = bench
system-type = ""
transceiver-mode = true
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http_port}
log-level = 4

group = sendsms-user
username = bench
password = bench
max-messages = 1
"""
PATIENCE_S = 20.0


class Kannel:
    """A running one. receipts: where it tells of them."""

    def __init__(self, http_port: int, receipts: "Receipts", processes: list["subprocess.Popen[bytes]"]) -> None:
        self._http_port = http_port
        self._receipts = receipts
        self._processes = processes

    @property
    def cpu_s(self) -> float:
        """Processor time that both boxes have used so far."""
        fields = [Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split() for each in self._processes]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")

    def load(self, count: int, connections: int) -> Result:
        """So many messages, one a request."""
        client = Client(self._http_port, "bench", "bench")
        fields = {"username": "bench", "password": "bench", "from": "12345", "text": "Your code is 123456"}
        fields |= {"to": "+491764000009", "dlr-mask": "3", "dlr-url": f"http://127.0.0.1:{self._receipts.port}/%d"}
        request = client.request("GET", f"/cgi-bin/sendsms?{urlencode(fields)}")
        return client.run([request] * count, connections)

    def wait_for_receipts(self, count: int, timeout_s: float) -> None:
        """Return when it has told of so many."""
        deadline = time.monotonic() + timeout_s
        while (found := self._receipts.count) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kannel got {found} receipts of {count}")
            time.sleep(0.02)


class Receipts:
    """Answers Kannel's calls, in a process of its own."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._counted: Any = context.Value(c_long, 0)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self._process = context.Process(target=_answer, args=(listener, self._counted), daemon=True)

    @property
    def count(self) -> int:
        """How many have come."""
        return self._counted.value

    @contextlib.contextmanager
    def answered(self) -> "Iterator[Receipts]":
        """While the block lasts."""
        self._process.start()
        try:
            yield self
        finally:
            self._process.terminate()
            self._process.join()


def _answer(listener: socket.socket, counted: Any) -> None:
    class Answering(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            requests = data.count(b"\r\n\r\n")
            counted.value += requests
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * requests)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
        await server.serve_forever()

    uvloop.run(serve())


class Figures(NamedTuple):
    """What was measured."""

    sms_per_s: float
    cpu_ms: float
    load: Result


def missing() -> str:
    """Why it can't be measured here; empty if it can."""
    if program_at("bearerbox") is None or program_at("smsbox") is None:
        return "Kannel is not installed (Debian: apt-get install kannel)"
    if not (HERE / "node_modules" / "smpp").is_dir():
        return "npm's smpp is not in tests/interop/node_modules (make test puts it there)"
    return ""


def measure(folder: Path, smsc_port: int, *, count: int, connections: int, window: int) -> Figures:
    """From the first request to the last receipt."""
    with _running(folder, smsc_port, window) as kannel:
        warm_up = 8 * connections
        kannel.load(warm_up, connections)
        kannel.wait_for_receipts(warm_up, 60)
        cpu_s, started = kannel.cpu_s, time.perf_counter()
        result = kannel.load(count, connections)
        kannel.wait_for_receipts(warm_up + count, 120)
        wall_s = time.perf_counter() - started
        return Figures(count / wall_s, (kannel.cpu_s - cpu_s) / count * 1e3, result)


@contextlib.contextmanager
def _running(folder: Path, smsc_port: int, window: int) -> Iterator[Kannel]:
    http_port, smsbox_port, admin_port = free_port(), free_port(), free_port()
    configuration = folder / "kannel.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, admin_port=admin_port, smsbox_port=smsbox_port, smsc_port=smsc_port, http_port=http_port,
            window=window,
        )
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        receipts = stack.enter_context(Receipts().answered())
        log = stack.enter_context((folder / "kannel.log").open("wb"))
        processes: list[subprocess.Popen[bytes]] = []
        for name, port in (("bearerbox", smsbox_port), ("smsbox", http_port)):
            command = [str(program_at(name)), "-v", "4", str(configuration)]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            processes.append(process)
            stack.callback(process.wait, PATIENCE_S)
            stack.callback(process.terminate)
            _eventually(lambda port=port: can_connect(port), name)
        # What smsbox is asked before it has found the bearerbox makes it panic.
        _eventually(lambda: _is_whole(admin_port), "smsbox and the bind")
        yield Kannel(http_port, receipts, processes)


def _is_whole(admin_port: int) -> bool:
    """Whether the boxes have found each other, and the SMSC."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/status.txt?password=secret", timeout=10) as answer:
        status = answer.read().decode("utf-8", "replace")
    return "smsbox:" in status and "(online" in status


def _eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start within {PATIENCE_S:g} s")
        time.sleep(0.05)
