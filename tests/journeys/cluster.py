"""Nodes on one PostgreSQL database, customers who send to them without a pause, and who counts in the end."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx2

from heliograph.clock import SystemClock
from tests.fakes.service import PASSWORD, a_job
from tests.fakes.smsc import FakeSmsc
from tests.journeys.test_service import customer

CLOCK = SystemClock()
BINDS, WINDOW = 2, 8
LONGEST_WAIT_S = 60.0
"""A lease whose fate is unknown holds for half a minute; the rest is patience with a busy machine."""
CUSTOMERS, RECIPIENTS = 3, 4
PACE_S = 0.03
"""A customer's pause between two jobs, and before another try of one that was turned away."""
PROBE_S = 0.1
"""How often the load balancer asks whether a node is ready."""
PAGE = 1000
DELIVERED = "DONE", "SUC_FIN"


def until(condition: Callable[[], object], what: str, within_s: float = LONGEST_WAIT_S) -> None:
    """Other processes keep real time, so this waits in it."""
    deadline = CLOCK.monotonic() + within_s
    while not condition():
        assert CLOCK.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)


class Node:
    """`heliograph serve`, to be stopped, killed and started again; `url` changes with each start."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir()
        (folder / "heliograph.toml").write_text(config, "utf-8")
        self.url = ""
        self._folder = folder
        self._program: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it serves."""
        before = len(self.log)
        command = [sys.executable, "-m", "heliograph", "serve", "--listen", "127.0.0.1:0"]
        with (self._folder / "log").open("ab") as log:
            self._program = subprocess.Popen(command, cwd=self._folder, stderr=log, stdout=log)
        until(lambda: '"server.started"' in self.log[before:] or self._program.poll() is not None, "it starts")
        started = self.log[before:]
        assert '"server.started"' in started, started
        self.url = started.rpartition('"url": "')[2].partition('"')[0]

    def begin_to_stop(self) -> None:
        """As its operator does, who gives a load balancer time to notice."""
        self._program.terminate()

    def stop(self) -> None:
        """The same, and no time is given."""
        self._program.terminate()
        assert self._program.wait(LONGEST_WAIT_S) == 0, self.log

    def kill(self) -> None:
        """As nobody should; without effect on one that has gone."""
        if self._program is not None:
            self._program.kill()
            self._program.wait(LONGEST_WAIT_S)

    def says(self, path: str) -> int:
        """The status of a page; 0 if nobody answers."""
        try:
            return httpx2.get(self.url + path, trust_env=False, timeout=LONGEST_WAIT_S).status_code
        except httpx2.HTTPError:
            return 0

    @property
    def log(self) -> str:
        file = self._folder / "log"
        return file.read_text("utf-8") if file.exists() else ""

    @property
    def bind_count(self) -> int:
        """How many binds it has claimed, by its log."""
        log = self.log.rpartition('"server.started"')[2]
        return log.count('"binds.claimed"') - log.count('"binds.lost"')


@contextmanager
def cluster(
    folder: Path, database: str, smsc: FakeSmsc, server: str = "", on_unknown: str = "resend"
) -> Generator[list[Node]]:
    """Two nodes, with one bind of the carrier each. server: more of its settings. on_unknown: the account's."""
    config = (
        f'[server]\nlog_format = "json"\n{server}\n[database]\nurl = "{database}"\n[delivery]\nretry = [0.2, 0.5]\n'
        f'[[carriers]]\nname = "acme"\nkind = "smpp"\nhost = "127.0.0.1"\nport = {smsc.port}\nsystem_id = "helio"\n'
        f'password = "secret"\nbinds = {BINDS}\nwindow = {WINDOW}\nreconnect = 0.2\nresponse_timeout = 3\n'
    )
    nodes = [Node(folder / name, config) for name in ("first", "second")]
    add = [sys.executable, "-m", "heliograph", "account", "add", "acme", "--password-stdin", "--rate-limit", "none"]
    add += ["--on-unknown", on_unknown]
    subprocess.run(add, cwd=folder / "first", input=PASSWORD, text=True, check=True, capture_output=True)
    try:
        for node in nodes:
            node.start()
        until(lambda: [node.bind_count for node in nodes] == [1, 1] and len(smsc.bound) == BINDS, "each has a bind")
        yield nodes
    finally:
        for node in nodes:
            node.kill()


class Balancer:
    """Gives a node to each call, in turn, and leaves out those that aren't ready."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.ready = list(nodes)
        self._turns = count()
        self._stopped = threading.Event()
        self._probing = threading.Thread(target=self._probe, name="balancer")

    def __enter__(self) -> "Balancer":
        self._probing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._probing.join(LONGEST_WAIT_S)

    def pick(self) -> Node:
        ready = self.ready
        return ready[next(self._turns) % len(ready)]

    def _probe(self) -> None:
        while not self._stopped.wait(PROBE_S):
            self.ready = [node for node in self.nodes if node.says("/readyz") == 200]


def in_turn(nodes: Sequence[Node]) -> Callable[[], Node]:
    """Gives one node after the other, ready or not."""
    turns = count()
    return lambda: nodes[next(turns) % len(nodes)]


class Load:
    """Customers who send jobs while the block runs, each job until it is accepted, and read each of them back.

    accepted: the numbers of each job, by its id. troubles: how often what else came than 201 and 200.
    """

    def __init__(self, pick: Callable[[], Node]) -> None:
        self.accepted: dict[str, list[str]] = {}
        self.troubles: Counter[str] = Counter()
        self._pick = pick
        self._stopped = threading.Event()
        self._numbers = count()
        self._failures: list[BaseException] = []
        self._turns = [0] * CUSTOMERS
        self._customers = [
            threading.Thread(target=self._send, args=(n,), name=f"customer {n}") for n in range(CUSTOMERS)
        ]

    def __enter__(self) -> "Load":
        for each in self._customers:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for each in self._customers:
            each.join(2 * LONGEST_WAIT_S)
        assert not any(each.is_alive() for each in self._customers)
        assert not self._failures, self._failures

    def goes_on(self) -> None:
        """Wait until more jobs are accepted."""
        before = len(self.accepted)
        until(lambda: len(self.accepted) >= before + 10 * CUSTOMERS or self._failures, "jobs are accepted")

    def comes_round(self) -> None:
        """Wait until each customer has done what it was doing, with whichever node it had picked for that."""
        before = [*self._turns]
        until(
            lambda: self._failures or all(now > then for now, then in zip(self._turns, before, strict=True)),
            "each customer begins anew",
        )

    def _send(self, customer: int) -> None:
        try:
            with httpx2.Client(auth=("acme", PASSWORD), trust_env=False, timeout=LONGEST_WAIT_S) as client:
                while not self._stopped.wait(PACE_S):
                    self._send_job(client)
                    self._turns[customer] += 1
        except BaseException as error:  # noqa: BLE001 # told to the test
            self._failures.append(error)

    def _send_job(self, client: httpx2.Client) -> None:
        numbers = [f"+49176{next(self._numbers):07}9" for _ in range(RECIPIENTS)]
        job = a_job("Hello", statusRequested=True)
        job["messages"][0]["recipients"] = [{"dst": dst} for dst in numbers]
        key = {"Idempotency-Key": numbers[0]}
        job_id = self._insisting(client, "POST", "/jobs", 201, json=job, headers=key).json()["jobId"]
        self.accepted[job_id] = numbers
        read = self._insisting(client, "GET", f"/jobs/{job_id}", 200).json()
        assert len(read["recipientIds"]) == RECIPIENTS

    def _insisting(self, client: httpx2.Client, method: str, path: str, wanted: int, **keywords) -> httpx2.Response:
        deadline = CLOCK.monotonic() + LONGEST_WAIT_S
        while True:
            assert CLOCK.monotonic() < deadline, f"{method} {path}: {self.troubles}"
            try:
                reply = client.request(method, f"{self._pick().url}/rest/v1{path}", **keywords)
            except httpx2.HTTPError as error:
                self.troubles[type(error).__name__] += 1
            else:
                if reply.status_code == wanted:
                    return reply
                self.troubles[str(reply.status_code)] += 1
                # 409: its first try is under way yet, on a node that is gone or waits for the database.
                assert reply.status_code in (503, 409), reply.text
                assert reply.status_code == 409 or "Retry-After" in reply.headers
            time.sleep(PACE_S)


class Totals(NamedTuple):
    """What became of the SMS of accepted jobs. final: by final status. submit_count: at the SMSC, by destination."""

    accepted: int
    final: Counter[tuple[str, str]]
    submit_count: Counter[str]

    @property
    def duplicates(self) -> int:
        return self.submit_count.total() - len(self.submit_count)


def counted(what: str, nodes: Sequence[Node], load: Load, smsc: FakeSmsc) -> Totals:
    """Wait for the end of all jobs, and see that nodes, customers and SMSC agree; prints the counts."""
    with customer(nodes[0].url) as first, customer(nodes[1].url) as second:
        until(lambda: not _listed(first, open=True), "all jobs come to their end")
        assert _listed(second) == set(load.accepted), "there is no job of which no customer knows"
        final: Counter[tuple[str, str]] = Counter()
        ids: set[str] = set()
        for job_id, numbers in load.accepted.items():
            reports = first.get("/sms", params={"jobId": job_id}).json()
            assert [report["dst"] for report in reports] == numbers
            assert second.get("/sms", params={"jobId": job_id}).json() == reports, "final is final, on every node"
            final.update((report["processStatus"], report["status"]) for report in reports)
            ids.update(report["smsId"] for report in reports)
    totals = Totals(len(ids), final, Counter("+" + each.destination_addr.decode() for each in smsc.submitted))
    print(
        f"\n{what}: accepted {totals.accepted} SMS in {len(load.accepted)} jobs; final {dict(final)}; "
        f"submitted twice {totals.duplicates}; never submitted {totals.accepted - len(totals.submit_count)}; "
        f"customers saw besides {dict(load.troubles)}"
    )
    assert totals.accepted == RECIPIENTS * len(load.accepted)
    assert final == {DELIVERED: totals.accepted}
    assert totals.submit_count.keys() == {dst for numbers in load.accepted.values() for dst in numbers}
    assert smsc.most_unanswered <= WINDOW
    return totals


def _listed(client: httpx2.Client, **criteria: object) -> set[str]:
    found: set[str] = set()
    for offset in count(0, PAGE):
        page = client.get("/jobs", params={"jobIdsOnly": True, "limit": PAGE, "offset": offset, **criteria})
        assert page.status_code == 200, page.text
        found.update(job["jobId"] for job in page.json())
        if len(page.json()) < PAGE:
            break
    return found
