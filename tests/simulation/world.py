"""A whole gateway in one process, with carriers, customers and disasters around it; one seed decides everything.

After every step the world is looked at: see `World.look`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor, Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from heliograph.carriers.interface import Carrier
from heliograph.flow.accept import Acceptor
from heliograph.flow.cancel import Canceller
from heliograph.flow.dispatch.dispatcher import Dispatcher
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.flow.receipts import follow_receipts
from heliograph.flow.retention import forget_old_jobs
from heliograph.jobs.accounts import Account, OnUnknown
from heliograph.jobs.carriage import MessageState, Permanence, Segment, SegmentId
from heliograph.jobs.errors import JobDuplicate, JobUnknown, StoreUnavailable
from heliograph.jobs.naming import JobId, sms_id
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.records import StoredJob
from heliograph.jobs.request import JobRequest, Message, Recipient
from heliograph.jobs.routing import Route, Routing
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import FINAL, MEANINGS, ProcessStatus, SmsProgress, Status
from heliograph.metrics import Metrics
from heliograph.store.interface import Added, Store
from heliograph.store.memory import MemoryStore
from heliograph.store.sqlite.store import SqliteStore, open_sqlite
from heliograph.webhooks.retrying import RetryPolicy as WebhookRetryPolicy
from heliograph.webhooks.sender import Sender
from tests.fakes.builders import a_webhook, an_account
from tests.fakes.carrier import Play, ScriptedCarrier, refused, taken, unanswered, unreachable
from tests.fakes.clock import ManualClock, settle
from tests.fakes.ids import SeededIds
from tests.fakes.receivers import Play as Reception
from tests.fakes.receivers import Receivers, down, hanging
from tests.fakes.receivers import refused as not_taken
from tests.fakes.receivers import taken as received
from tests.flow.stores import ALL, StoreOnClock
from tests.webhooks.stores import EventStore

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
LEASES_S = (60.0, 20.0)
"""The second one runs out while answers are awaited: that costs nothing as long as the process lives."""
POLICIES = {
    "alpha": RetryPolicy(receipt_grace_s=HOUR_S),
    "beta": RetryPolicy(waits_s=(1, 2, 5), repeat_last=False, receipt_grace_s=HOUR_S),
}
WINDOWS = {"alpha": 7, "beta": 3}
EXPRESS_SHARE = 0.3
RATES = {"alpha": None, "beta": 20.0}
ROUTING = Routing([Route(("+49",), ("alpha", "beta"), weights=(3, 1)), Route(("+",), ("beta",))], default="alpha")
KEPT_DAYS, TEXT_KEPT_DAYS = 0.5, 0.1
SLACK_S = 5 * MINUTE_S
"""How late an end may come: a lease that must run out, an answer that is awaited, a full window."""
SLOWEST_STORE_S = 0.1
"""How long a lease may be under way: what is killed meanwhile still goes out."""
SHORTEST_LOOK_S = 20 * MINUTE_S
WEBHOOK_RETRIES = WebhookRetryPolicy((1, 5, *(60,) * 60))
TOLD_WITHIN_S = 30 * MINUTE_S
"""How late a webhook may be told something, while its receiver is away now and then."""
MOST_REFUSALS = 4
"""How often a receiver doesn't take what it is told, besides."""


class InlineExecutor(Executor):
    """Runs everything at once, so that a world with a database is the same each time."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 # handed on, as any executor does
            future.set_exception(error)
        return future


class SimulatedStore(StoreOnClock):
    """Waits for work until something falls due, however far away: simulated days of polling take real minutes.

    (That the real stores are asked often enough is what `tests/flow/test_dispatcher.py` sees to.)
    """

    def __init__(self, inner: Store, clock: ManualClock, before_forgetting: Callable[[], Awaitable[None]]) -> None:
        super().__init__(inner, clock)
        self._clock = clock
        self._before_forgetting = before_forgetting
        self._changed = asyncio.Event()
        self.plans: dict[JobId, JobPlan] = {}

    async def add_job(self, plan: JobPlan) -> Added:
        self.plans[plan.job_id] = plan
        added = await self.__getattr__("add_job")(plan)
        self._changed.set()
        return added

    async def record_outcomes(self, *arguments) -> None:
        await self.__getattr__("record_outcomes")(*arguments)
        self._changed.set()

    async def forget_jobs(self, *arguments) -> int:
        await self._before_forgetting()
        return await self.__getattr__("forget_jobs")(*arguments)

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        self._changed.clear()
        next_due = self._next_due(carrier)
        if next_due is None:
            await self._changed.wait()
        else:
            until_s = (next_due - self._clock.now()).total_seconds()
            await self._clock.wait(self._changed, max(timeout_s, until_s))

    def _next_due(self, carrier: str) -> datetime | None:
        if isinstance(self.inner, SqliteStore):
            rows = self.inner._reader.raw.execute("SELECT min(due) FROM live WHERE carrier = ?", (carrier,))
            due_ms = rows.fetchone()[0]
            return None if due_ms is None else datetime.fromtimestamp(due_ms / 1000, self._clock.now().tzinfo)
        return min(
            (
                part.due_at
                for sms in self.inner._sms.values()
                if sms.final is None and sms.carrier == carrier
                for part in sms.parts
                if part.state.name != "DONE"
            ),
            default=None,
        )


@dataclass
class Mood:
    """What is wrong with a carrier, and until when."""

    name: str = "well"
    until_s: float = 0.0


@dataclass
class Process:
    """One run of the gateway, from its start to its end."""

    acceptor: Acceptor
    canceller: Canceller
    dispatchers: list[Dispatcher]
    tasks: list[asyncio.Task] = field(default_factory=list)


class World:
    """Everything there is. `run` it once."""

    def __init__(self, seed: int, *, database: Path | None = None, verbose: bool = False) -> None:
        """database: of the SQLite store; None for the store in memory."""
        self.seed = seed
        self.verbose = verbose
        self._random = random.Random(f"{seed} world")
        self._database = database
        self.clock = ManualClock()
        self._ids = SeededIds(seed)
        self._lease_s = self._random.choice(LEASES_S)
        self._fate = random.Random(f"{seed} carriers")
        self._moods = {name: Mood() for name in WINDOWS}
        self._recoveries: list[asyncio.Task[None]] = []
        self.carriers = {
            name: ScriptedCarrier(name, self.clock, self._script(name), window=window)
            for name, window in WINDOWS.items()
        }
        self._accounts = [
            an_account("careful", id=1, on_unknown=OnUnknown.GIVE_UP),
            an_account("insistent", id=2, on_unknown=OnUnknown.RESEND),
        ]
        self.webhooks = {
            account.id: a_webhook(account=account.id, url=f"https://{account.name}.example/")
            for account in self._accounts
        }
        self.receivers = Receivers(self.clock)
        self._refusals: Counter[str] = Counter()
        self._whim = random.Random(f"{seed} receivers")
        for webhook in self.webhooks.values():
            self.receivers.scripts[webhook.url] = self._receive
        self._memory = MemoryStore()
        self._process: Process | None = None
        self._number = 0
        self._requests: list[tuple[JobRequest, Account]] = []
        # What customers were told, and what has been seen.
        self.acknowledged: dict[JobId, Account] = {}
        self.final: dict[tuple[JobId, int], SmsProgress] = {}
        self._running: set[tuple[JobId, int]] = set()
        self._finished: set[JobId] = set()
        self._forgotten: set[JobId] = set()
        self._plans: dict[JobId, JobPlan] = {}
        self._promised: dict[SegmentId, set[MessageState | None]] = {}
        self._segments: dict[tuple[JobId, str], set[SegmentId]] = {}
        # What excuses a delay, or a second sending.
        self.away_s = 0.0
        self.lost_answer_count = 0
        self.crash_count = 0
        self.unknown_at_stop_count = 0
        self.step_count = 0

    async def run(self, steps: int) -> None:
        """Let so many things happen, then let everything come to its end."""
        async with AsyncExitStack() as stack:
            self._stack = stack
            await self._start()
            try:
                for self.step_count in range(1, steps + 1):
                    await self._step()
                    await self.look()
                await self._finish()
            finally:
                for recovery in self._recoveries:
                    recovery.cancel()
                await self._kill()

    def say(self, what: str) -> None:
        if self.verbose:
            print(f"{self.clock.now():%d %H:%M:%S.%f} step {self.step_count}: {what}")

    # Things that happen

    async def _step(self) -> None:
        happenings: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (8, self._submit_jobs),
            (2, self._cancel_job),
            (8, self._moments_pass),
            (5, self._minutes_pass),
            (1, self._hours_pass),
            (2, self._carrier_sickens),
            (2, self._crash),
            (1, self._restart),
            (1, self._store_goes_away),
        ]
        weights, choices = zip(*happenings, strict=True)
        await self._random.choices(choices, weights)[0]()

    async def _submit_jobs(self) -> None:
        for _ in range(self._random.randint(1, 3)):
            account = self._random.choice(self._accounts)
            if self._requests and self._random.random() < 0.05:
                request, account = self._random.choice(self._requests)
            else:
                request = self._request()
                self._requests.append((request, account))
            self._process.tasks.append(asyncio.create_task(self._accept(self._process.acceptor, request, account)))
        await self.clock.advance(self._random.choice([0, 0.001, 0.02, 1]))

    async def _accept(self, acceptor: Acceptor, request: JobRequest, account: Account) -> None:
        try:
            job_id = await acceptor.accept(request, account)
        except JobDuplicate as refusal:
            self._check_duplicate(refusal.job_id)
        except StoreUnavailable:
            self.say("a job is turned away")
        else:
            assert job_id not in self.acknowledged, f"the id {job_id} was given twice"
            self.acknowledged[job_id] = account
            self.say(f"{job_id} accepted, {len(self._store.plans[job_id].sms)} SMS, for {account.name}")

    async def _cancel_job(self) -> None:
        left = [job_id for job_id in self.acknowledged if job_id not in self._forgotten]
        if not left:
            return
        # More often one that is still on its way.
        opened = [job_id for job_id in left if job_id not in self._finished]
        job_id = self._random.choice(opened or left)
        self._process.tasks.append(asyncio.create_task(self._cancel(self._process.canceller, job_id)))
        await self.clock.advance(self._random.choice([0, 0.001, 0.02, 1]))

    async def _cancel(self, canceller: Canceller, job_id: JobId) -> None:
        try:
            job = await canceller.cancel(self.acknowledged[job_id], job_id)
        except StoreUnavailable:
            self.say(f"{job_id} can't be cancelled now")
        except JobUnknown:
            assert job_id in self._forgotten, f"{job_id} is lost"
        else:
            assert job.finished_at is not None, f"{job_id} was cancelled, and goes on"
            self.say(f"{job_id} cancelled")

    def _check_duplicate(self, first: str) -> None:
        assert first in self._plans, f"a duplicate of {first}, of which nobody has heard"
        self.say(f"duplicate of {first}")

    def _request(self) -> JobRequest:
        draw, now = self._random, self.clock.now()
        options = JobOptions(
            status_requested=draw.random() < 0.8,
            validity_min=draw.choice([0, 5, 5, 10, 60, 300]),
            qos=draw.choice(list(Qos)),
            job_period=draw.choice([None, None, None, now + timedelta(seconds=draw.randint(-100, 10_000))]),
            blackout_periods=self._blackouts(),
            duplicate_detection=draw.random() < 0.3,
        )
        messages = tuple(
            Message(draw.choice(["Hello", "x" * 400, "日本" * 50]), tuple(self._recipients()))
            for _ in range(draw.randint(1, 2))
        )
        return JobRequest(options, messages, fingerprint=draw.randbytes(16))

    def _recipients(self) -> list[Recipient]:
        recipients: list[Recipient] = []
        for _ in range(self._random.randint(1, 4)):
            self._number += 1
            prefix = self._random.choice(["+4917", "+4917", "+436641"])
            dst = "12" if self._random.random() < 0.03 else f"{prefix}{61_000_000 + self._number}"
            own = self._random.choice([None, None, (), self._blackouts()])
            recipients.append(Recipient(dst, f"number {self._number}", own))
        return recipients

    def _blackouts(self) -> tuple[Period, ...]:
        draw = self._random
        periods: list[Period] = []
        while draw.random() < 0.3:
            start = self.clock.now() + timedelta(milliseconds=draw.randint(-3_600_000, 7_200_000))
            start = start.replace(microsecond=0)
            periods.append(Period(start, start + timedelta(seconds=draw.randint(60, 20_000))))
        return tuple(periods)

    async def _moments_pass(self) -> None:
        await self._pass_time(self._random.choice([0.001, 0.01, 0.1, 1, 5]))

    async def _minutes_pass(self) -> None:
        await self._pass_time(self._random.uniform(5, 600))

    async def _hours_pass(self) -> None:
        await self._pass_time(self._random.uniform(600, 20_000))

    async def _pass_time(self, seconds: float) -> None:
        self.say(f"{seconds:.3f} s pass")
        await self.clock.advance(round(seconds, 3))

    async def _carrier_sickens(self) -> None:
        name = self._random.choice(list(self.carriers))
        mood = self._random.choice(["down", "throttling", "silent", "shaky"])
        seconds = self._random.uniform(1, 300)
        self._moods[name] = Mood(mood, self.clock.monotonic() + seconds)
        self._recoveries.append(asyncio.create_task(self._recover(name, self._moods[name])))
        self.say(f"{name} is {mood} for {seconds:.0f} s")
        # A carrier may know that it is down, or find out with each segment.
        self.carriers[name].unreachable = (
            "no bind, says the world" if mood == "down" and self._random.random() < 0.5 else ""
        )

    async def _recover(self, name: str, mood: Mood) -> None:
        # At its instant: a carrier that is away for hours is asked for four times a second, and each time the store.
        await self.clock.sleep(mood.until_s - self.clock.monotonic())
        if self._moods[name] is mood:
            self.carriers[name].unreachable = ""

    async def _store_goes_away(self) -> None:
        # What a broken connection hides after a commit, only the store in memory can play.
        unsaid = self._random.choice([(), ("record",), ("lease", "record")]) if self._database is None else ()
        seconds = round(self._random.uniform(0.1, 200), 3)
        self.say(f"the store is away for {seconds} s" if not unsaid else f"{unsaid} seem to fail for {seconds} s")
        self._store.unsaid, self._store.away = unsaid, () if unsaid else self._random.choice([ALL, ("record",)])
        self._events_store.unsaid, self._events_store.away = self._store.unsaid, self._store.away
        self.away_s += seconds + 2
        await self.clock.advance(seconds)
        self._store.unsaid = self._store.away = ()
        self._events_store.unsaid = self._events_store.away = ()

    async def _crash(self) -> None:
        await self.clock.advance(self._random.choice([0, 0.001, 0.003, 0.01, 0.02, 0.05]))
        # At most a window's worth for each carrier, so: that is what the contract allows to be sent twice.
        for dispatcher in self._process.dispatchers:
            assert len(dispatcher._in_flight) <= WINDOWS[dispatcher._carrier.name], (
                "more in flight than the window holds"
            )
            self.unknown_at_stop_count += len(dispatcher._in_flight)
        self.crash_count += 1
        self.say("crash")
        await self._kill()
        await self._down_for_a_while()

    async def _restart(self) -> None:
        missing = 0
        for dispatcher in self._process.dispatchers:
            drain = asyncio.create_task(dispatcher.drain(40))
            while not drain.done():
                await self.clock.advance(0.05)
            missing += drain.result()
        self.unknown_at_stop_count += missing
        self.say(f"restart, {missing} answers missing")
        await self._kill()
        await self._down_for_a_while()

    async def _down_for_a_while(self) -> None:
        seconds = self._random.choice([0, 0.5, 10, 200])
        self.away_s += seconds
        await self.clock.advance(seconds)
        await self._start()

    async def _finish(self) -> None:
        self.say("everything comes to its end")
        for name, mood in self._moods.items():
            mood.until_s = 0
            self.carriers[name].unreachable = ""
        last = max((sms.window.expires for plan in self._plans.values() for sms in plan.sms), default=self.clock.now())
        end = last + timedelta(seconds=HOUR_S + SLACK_S + self.away_s)
        while self.clock.now() < end:
            await self.clock.advance(SHORTEST_LOOK_S)
            await self.look()
        for job_id in self.acknowledged:
            assert job_id in self._finished, f"{job_id} never came to its end"

    # The process

    async def _start(self) -> None:
        inner = self._memory if self._database is None else await self._open_database()
        known = self._store.plans if self._process is not None or hasattr(self, "_store") else {}
        self._store = SimulatedStore(inner, self.clock, self._look_before_forgetting)
        self._store.plans = self._plans = known
        self._store.latency_s = lambda: self._random.choice([0, 0, 0.001, 0.004, SLOWEST_STORE_S / 5])
        self._events_store = EventStore(inner, self.clock)
        for webhook in self.webhooks.values():
            if webhook not in await inner.webhooks(webhook.account):
                await inner.add_webhook(webhook)
        metrics = Metrics()
        dispatchers = [self._dispatcher(carrier, metrics) for carrier in self.carriers.values()]
        acceptor = Acceptor(self._store, ROUTING, self.clock, self._ids, metrics)
        process = Process(acceptor, Canceller(self._store, self.clock, metrics), dispatchers)
        work = [
            *(dispatcher.run() for dispatcher in dispatchers),
            *(follow_receipts(carrier, self._store, self.clock, metrics) for carrier in self.carriers.values()),
            forget_old_jobs(self._store, self.clock, days=KEPT_DAYS, text_days=TEXT_KEPT_DAYS),
            self._sender(metrics).run(),
        ]
        process.tasks += [asyncio.create_task(each) for each in work]
        self._process = process
        await settle()

    def _sender(self, metrics: Metrics) -> Sender:
        return Sender(
            self._events_store,
            self.receivers,
            self.clock,
            metrics,
            policy=WEBHOOK_RETRIES,
            concurrency=5,
            lease_s=LEASES_S[0],
        )

    def _receive(self, headers: dict[str, str]) -> Reception:
        """What a receiver answers: away for five minutes of each thirty-five, and moody."""
        if self.clock.monotonic() // 300 % 7 == 3:
            return down()
        luck, number = self._whim.random(), headers["webhook-id"]
        if luck < 0.7 or self._refusals[number] == MOST_REFUSALS:
            return received(self._whim.choice([0, 0.01, 1, 5]))
        self._refusals[number] += 1
        return hanging() if luck < 0.8 else not_taken(500)

    def _dispatcher(self, carrier: Carrier, metrics: Metrics) -> Dispatcher:
        return Dispatcher(
            carrier,
            self._store,
            self.clock,
            metrics,
            policy=POLICIES[carrier.name],
            pacer=Pacer(RATES[carrier.name]),
            lease_s=self._lease_s,
            carriers=[*self.carriers.values()],
            express_share=EXPRESS_SHARE,
        )

    async def _open_database(self) -> SqliteStore:
        return await self._stack.enter_async_context(inline_sqlite(self._database, self.clock.now()))

    async def _kill(self) -> None:
        if self._process is None:
            return
        for task in self._process.tasks:
            task.cancel()
        await settle()
        self._raise_what_went_wrong()
        self._process = None
        for carrier in self.carriers.values():
            carrier.lose_connection()
        if self._database is not None:
            await self._stack.aclose()

    def _raise_what_went_wrong(self) -> None:
        for task in self._process.tasks:
            if task.done() and not task.cancelled():
                task.result()

    # What carriers do

    def _script(self, name: str) -> Callable[[Segment], Play]:
        def play(segment: Segment) -> Play:
            self._check_submission(segment)
            chosen = self._play(self._moods[name])
            states = {state for _, state in chosen.receipts}
            if chosen.taken:
                self._promised.setdefault(segment.id, set()).update(states)
            return chosen

        return play

    def _play(self, mood: Mood) -> Play:
        well = mood.until_s <= self.clock.monotonic()
        luck = self._fate.random()
        if not well:
            match mood.name:
                case "down":
                    return unreachable()
                case "throttling" if luck < 0.9:
                    return refused(Permanence.THROTTLED)
                case "silent":
                    return self._lose_answer()
                case "shaky" if luck < 0.3:
                    return self._lose_answer()
                case "shaky" if luck < 0.6:
                    return refused(Permanence.PASSING)
                case _:
                    pass
        luck = self._fate.random()
        if luck < 0.02:
            return self._lose_answer()
        if luck < 0.10:
            return refused(self._fate.choice(list(Permanence)), after_s=self._latency_s())
        delivered, failed = MessageState.DELIVERED, MessageState.UNDELIVERABLE
        states = self._fate.choices(
            [
                (delivered,),
                (failed,),
                (MessageState.EXPIRED,),
                (delivered, delivered),
                (delivered, failed),
                (failed, delivered),
                (MessageState.ENROUTE, delivered),
                (None,),
                (),
            ],
            [80, 5, 3, 3, 3, 3, 3, 2, 2],
        )[0]
        receipt_after_s = self._fate.choice([0.001, 0.5, 3, 60, 20_000])
        return taken(*states, after_s=self._latency_s(), receipt_after_s=receipt_after_s)

    def _latency_s(self) -> float:
        return self._fate.choice([0, 0.01, 0.05, 0.2, 2, 10])

    def _lose_answer(self) -> Play:
        was_taken = self._fate.random() < 0.7
        self.lost_answer_count += was_taken
        return unanswered(taken=was_taken)

    def _check_submission(self, segment: Segment) -> None:
        """Nothing is submitted that shouldn't be, or when it shouldn't be."""
        now, plan = self.clock.now(), self._plans[segment.job_id]
        index, sms = next((index, sms) for index, sms in enumerate(plan.sms) if sms.dst == segment.dst)
        what = f"{segment.dst} of {segment.job_id}"
        assert sms.window.due <= now, f"{what} is submitted before it is due"
        assert now < sms.window.expires, f"{what} is submitted after its validity"
        assert not any(now in period for period in sms.blackouts), f"{what} is submitted in a blackout period"
        self._check_not_cancelled(what, self.final.get((segment.job_id, index)))
        text = plan.messages[sms.message].parts[segment.part - 1]
        assert segment.text == text, f"{what} is submitted with another text"
        self._segments.setdefault((segment.job_id, segment.dst), set()).add(segment.id)

    def _check_not_cancelled(self, what: str, final: SmsProgress | None) -> None:
        if final is None:
            return
        assert final.process_status is not ProcessStatus.CANCELED, f"{what} is submitted, though cancelled"
        if final.process_status is ProcessStatus.KILL:
            late_s = (self.clock.now() - final.finished_at).total_seconds()
            assert late_s < SLOWEST_STORE_S, f"{what} is submitted {late_s} s after it was killed"

    # What is looked at

    async def look(self) -> None:
        """Check what must be true at any moment."""
        if self._process is not None:
            self._raise_what_went_wrong()
        for job_id, account in self.acknowledged.items():
            if job_id not in self._forgotten:
                await self._look_at(job_id, account)
        self._look_at_second_sendings()

    async def _look_before_forgetting(self) -> None:
        await self.look()

    async def _look_at(self, job_id: JobId, account: Account) -> None:
        store, now, plan = self._store.inner, self.clock.now(), self._plans[job_id]
        job, reports = await store.job(account.id, job_id), await store.sms_of_job(account.id, job_id)
        if job is None:
            assert job_id in self._finished, f"{job_id} is lost"
            assert now - plan.received_at > timedelta(days=KEPT_DAYS), f"{job_id} was forgotten too early"
            self._forgotten.add(job_id)
            return
        assert reports is not None
        assert len(reports) == len(plan.sms), f"{job_id} has lost SMS"
        for index, (sms, report) in enumerate(zip(plan.sms, reports, strict=True)):
            progress, what = report.progress, f"{sms.dst} of {job_id}"
            assert (progress.process_status, progress.status) in MEANINGS, f"{what} is {progress}"
            before = self.final.get((job_id, index))
            if before is not None and before.process_status is ProcessStatus.KILL:
                before = msgspec.structs.replace(before, reason=progress.reason)
            assert before in (None, progress), f"{what} was {before} and is {progress}"
            if progress.process_status in FINAL:
                if before is None:
                    self.say(f"{what} {progress.status.value} {progress.reason}")
                    self._check_verdict(what, job_id, sms.dst, sms.parts, progress)
                self.final[job_id, index] = progress
            else:
                if progress.process_status is ProcessStatus.RUNNING:
                    self._running.add((job_id, index))
                assert (job_id, index) not in self._running or progress.process_status is ProcessStatus.RUNNING, (
                    f"{what} was RUNNING and is {progress}"
                )
                late_s = (now - sms.window.expires).total_seconds() - HOUR_S - SLACK_S - self.away_s
                assert late_s <= 0, f"{what} should have come to its end {late_s:.0f} s ago, and is {progress}"
        self._look_at_what_was_told(job, account)
        all_final = all((job_id, index) in self.final for index in range(len(plan.sms)))
        assert (job.finished_at is not None) == all_final, f"{job_id} finished at {job.finished_at}, {all_final=}"
        if all_final:
            self._finished.add(job_id)

    def _look_at_what_was_told(self, job: StoredJob, account: Account) -> None:
        """What is final for long enough was told, with its status, and its job after it."""
        told: dict[str, tuple[int, str]] = {}
        for place, post in enumerate(self.receivers.told(self.webhooks[account.id].url)):
            subject = post.data.get("smsId") or post.data["jobId"]
            told.setdefault(subject, (place, post.data.get("status", "")))
        late = self.clock.now() - timedelta(seconds=TOLD_WITHIN_S + self.away_s)
        all_sms = [(index, sms_id(job.job_id, index)) for index in range(job.sms_count)]
        for index, sms in all_sms:
            final = self.final.get((job.job_id, index))
            if final is not None and final.finished_at is not None and final.finished_at < late:
                assert sms in told, f"nobody was told of {sms}, final since {final.finished_at}"
                assert told[sms][1] == final.status.value, f"{sms} is {final}, and that isn't what was told"
        if job.finished_at is not None and job.finished_at < late:
            assert job.job_id in told, f"nobody was told of {job.job_id}, finished since {job.finished_at}"
            assert told[job.job_id][0] > max(told[sms][0] for _, sms in all_sms), f"{job.job_id} came before its SMS"

    def _check_verdict(self, what: str, job_id: JobId, dst: str, part_count: int, progress: SmsProgress) -> None:
        segments = self._segments.get((job_id, dst), set())
        promised = [self._promised.get(segment) for segment in segments]
        taken_parts = [states for states in promised if states is not None]
        match progress.status:
            case Status.TIMEOUT if progress.reason == "no receipt came in time":
                heard = [segment for segment in segments if self._was_told_of_delivery(segment)]
                assert len(heard) < part_count, f"{what} was delivered, and we were told so"
            case Status.SUC_FIN:
                delivered = [states for states in taken_parts if MessageState.DELIVERED in states]
                assert len(delivered) == part_count, f"{what} was not delivered, but is said to be"
            case Status.SUC_ACC:
                assert len(taken_parts) == part_count, f"{what} was not taken, but is said to be"
            case Status.FAILED_FIN:
                failed = [states for states in taken_parts if MessageState.UNDELIVERABLE in states]
                assert failed, f"{what} did not fail, but is said to have"
            case Status.NONE | Status.NOT_ACC_REC if progress.process_status is ProcessStatus.CANCELED:
                assert not taken_parts, f"{what} is said to be cancelled, and its carrier has it"
            case _:
                pass

    def _was_told_of_delivery(self, segment: SegmentId) -> bool:
        """Where it was submitted once, so that there is no doubt which submission the receipt is for."""
        return any(
            segment in carrier.delivered and carrier.submit_counts[segment] == 1 for carrier in self.carriers.values()
        )

    def _look_at_second_sendings(self) -> None:
        twice = 0
        takers: dict[tuple[JobId, int], str] = {}
        taken = [(name, s) for name, carrier in self.carriers.items() for s in carrier.taken]
        for (job_id, segment), count in Counter((s.job_id, s.id) for _, s in taken).items():
            if count > 1:
                careful = self._plans[job_id].on_unknown is OnUnknown.GIVE_UP
                assert not careful, f"{segment} of {job_id} was sent {count} times, which its account forbids"
                twice += count - 1
        for name, s in taken:
            taker = takers.setdefault((s.job_id, s.reference), name)
            assert taker == name, f"an SMS of {s.job_id} was taken by {taker} and by {name}"
        allowed = self.unknown_at_stop_count + self.lost_answer_count
        assert twice <= allowed, f"{twice} parts were sent twice, and only {allowed} can have been unknown"

    @property
    def verdicts(self) -> Counter[tuple[ProcessStatus, Status]]:
        """How many SMS ended how."""
        return Counter((progress.process_status, progress.status) for progress in self.final.values())


@asynccontextmanager
async def inline_sqlite(path: Path, now: datetime) -> AsyncGenerator[SqliteStore]:
    """A SQLite store without threads."""
    async with open_sqlite(path, now) as store:
        store._writers.shutdown()
        store._readers.shutdown()
        store._writers, store._readers = InlineExecutor(), InlineExecutor()
        yield store
