"""Two nodes on one PostgreSQL database and one SMSC: one is killed under load, and the other goes on with its work."""

import asyncio
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.fakes.postgresql import PostgresServer, running_postgres
from tests.journeys.test_contract import (
    CLOCK,
    LONGEST_WAIT_S,
    MOBILE,
    PROGRAM,
    Customer,
    a_job,
    add_account,
    eventually,
    program,
)

pytestmark = pytest.mark.slow

PROMISED_AFTER_S = 20
"""So long that a node surely owes receipts when it is killed, also on a busy machine."""
WINDOW, RECIPIENTS = 20, 5
JOBS = 20
"""So many are accepted before the kill, and so many after it."""
BURIED_WITHIN_S = 120
"""What a dead node had leased is free after some ten seconds; the rest is patience with a busy machine."""
LEASED, SUBMITTED = 1, 2
"""What the database keeps for those states of a part."""


@pytest.fixture(scope="module")
def durable_postgres():
    with running_postgres(fsync="on", synchronous_commit="on") as server:
        yield server


@pytest.fixture
def smsc(tmp_path):
    """A simulated SMSC: its port, and what it says at its end."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (tmp_path / "smsc").open("wb") as said:
        # Its answers take so long that the window is full when the node is killed.
        command = [PROGRAM, "simulator", "--listen", f"127.0.0.1:{port}", "--latency", "0.05"]
        process = subprocess.Popen(command, stdout=said, stderr=said)
    deadline = CLOCK.monotonic() + LONGEST_WAIT_S
    while "listens at" not in (tmp_path / "smsc").read_text():
        assert CLOCK.monotonic() < deadline
        time.sleep(0.02)

    def ended() -> str:
        process.send_signal(signal.SIGTERM)
        process.wait(LONGEST_WAIT_S)
        return (tmp_path / "smsc").read_text()

    yield port, ended
    process.kill()
    process.wait()


def test_a_node_goes_on_with_the_work_of_one_that_was_killed(
    durable_postgres: PostgresServer, smsc, tmp_path, monkeypatch
):
    port, smsc_ended = smsc
    name = asyncio.run(durable_postgres.new_database())
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", durable_postgres.url_over_tcp(name))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "heliograph.toml").write_text(
            f'[[carriers]]\nname = "smsc"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "helio"\n'
            f'password = "secret"\nwindow = {WINDOW}\n',
            "utf-8",
        )
    add_account(folders[0], "acme")
    acknowledged: list[str] = []
    stopped: list[bool] = []

    def keep_sending(customer: Customer) -> None:
        while not stopped:
            try:
                reply = customer.post(a_job("Hello", *[MOBILE] * RECIPIENTS, statusRequested=True))
            except httpx2.HTTPError:
                return
            if reply.status_code == 201:
                acknowledged.append(reply.json()["jobId"])

    with program(folders[0]) as first, program(folders[1]) as second, ThreadPoolExecutor(4) as hands:
        customers = [Customer(node.url, "acme") for node in (first, second, first, second)]
        for customer in customers:
            hands.submit(keep_sending, customer)
        try:
            eventually(lambda: len(acknowledged) > JOBS)
            eventually(lambda: asyncio.run(held(durable_postgres, name, LEASED)) > 0)
            first.stop(signal.SIGKILL)
            known = len(acknowledged)
            eventually(lambda: len(acknowledged) > known + JOBS)
        finally:
            stopped.append(True)
        hands.shutdown()
        for customer in customers:
            customer.http.close()
        customer = second.customer()
        for job_id in acknowledged:
            assert [sms["status"] for sms in customer.ended(job_id, BURIED_WITHIN_S)] == ["SUC_FIN"] * RECIPIENTS
        eventually(lambda: "store.leases_freed" in (folders[1] / "log").read_text("utf-8"))
        assert second.stop() == 0
    submitted = int(re.search(r"(\d+) accepted", smsc_ended())[1])
    # Jobs that the killed node had stored and not yet acknowledged are sent as well: two connections' worth.
    at_least = RECIPIENTS * len(acknowledged)
    assert at_least <= submitted <= at_least + WINDOW + 2 * RECIPIENTS


def test_a_node_gives_the_sandbox_receipts_that_one_owed_which_was_killed(
    durable_postgres: PostgresServer, tmp_path, monkeypatch
):
    name = asyncio.run(durable_postgres.new_database())
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", durable_postgres.url_over_tcp(name))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "heliograph.toml").write_text(
            f'[[carriers]]\nname = "sandbox"\nkind = "sandbox"\ndelay = {PROMISED_AFTER_S}\n', "utf-8"
        )
    add_account(folders[0], "acme")
    with program(folders[0]) as first, program(folders[1]) as second:
        numbers = [f"+491761231{place:03}" for place in range(50)] + ["+491761230001"]
        job_ids = []
        customer, deadline = second.customer(), CLOCK.monotonic() + LONGEST_WAIT_S
        # Whichever node is quicker takes a job: on a busy machine that may be the second for several in a row.
        while not asyncio.run(held(durable_postgres, name, SUBMITTED)):
            assert CLOCK.monotonic() < deadline, f"the first node took none of {len(job_ids)} jobs"
            job_ids.append(first.customer().sent(a_job("Hello", *numbers, statusRequested=True)))
            while "OPEN" in {sms["processStatus"] for sms in customer.sms(job_ids[-1])}:
                assert CLOCK.monotonic() < deadline
                time.sleep(0.02)
        first.stop(signal.SIGKILL)
        assert asyncio.run(held(durable_postgres, name, SUBMITTED)) > 0, "the killed node had work"
        for job_id in job_ids:
            ended = customer.ended(job_id, BURIED_WITHIN_S)
            assert [sms["status"] for sms in ended] == ["SUC_FIN"] * 50 + ["FAILED_FIN"]
        assert second.stop() == 0


async def held(server: PostgresServer, database: str, state: int) -> int:
    """How many parts in a state are with the node that started first: those whose receipts it owes are SUBMITTED."""
    connection = await server.connect(database)
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM live WHERE state = $1 AND node = (SELECT min(id) FROM node)", state
        )
    finally:
        await connection.close()
