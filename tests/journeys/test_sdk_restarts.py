"""A client sends while its service is killed, and started again: each job is there once."""

import asyncio
import os
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from heliograph import Client
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, add_accounts, password_hash

JOB_COUNT = 400
KILL_COUNT = 4
LIFE_S = 4.0
"""Of the service; on a busy machine, starting takes most of it."""


class Network(httpx2.HTTPTransport):
    """It counts what goes wrong."""

    fault_count = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return super().handle_request(request)
        except httpx2.TransportError:
            self.fault_count += 1
            raise


class Mortal:
    """A service that is killed every few seconds, and started again; the last time it stays."""

    def __init__(self, directory, port):
        self._directory = directory
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join(30)

    def _live(self):
        for life in range(KILL_COUNT + 1):
            program = subprocess.Popen(
                [sys.executable, "-m", "heliograph", "serve", "--listen", f"127.0.0.1:{self._port}"],
                cwd=self._directory,
                env={name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._over.wait(LIFE_S if life < KILL_COUNT else 120)
            program.kill()
            program.wait(10)


@pytest.mark.slow
def test_a_client_outlives_its_service_and_sends_each_job_once(tmp_path):
    asyncio.run(add_accounts(tmp_path / "heliograph.db", an_account(password_hash=password_hash(), rate_limit=None)))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    network = Network()
    with (
        Mortal(tmp_path, port),
        Client(f"http://127.0.0.1:{port}", "acme", PASSWORD, timeout_s=60, transport=network) as client,
    ):
        sent = []
        while len(sent) < JOB_COUNT or network.fault_count < KILL_COUNT:
            sent.append(client.send(f"Message {len(sent)}", to="+4917612345678"))
        assert sorted(client.job_ids()) == sorted(set(sent)) == sorted(sent)
