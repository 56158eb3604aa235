"""Sending batches, one job after the other, each once.

One after the other, as a job's 3000 rows keep the service busy and the rate limit counts jobs; so at most one job is
ever of unknown fate.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from heliograph.cli.bulk.batches import Batch, batches
from heliograph.cli.bulk.interrupts import Interrupts
from heliograph.cli.bulk.progress import Shown
from heliograph.cli.bulk.results import Results, State
from heliograph.cli.bulk.rows import BadRow, Row
from heliograph.cli.exits import CommandFailed, Exit
from heliograph.clock import BlockingClock
from heliograph.sdk import ClientError, Duplicate, RateLimited, Unavailable

KEY_HOLDS = timedelta(hours=23)
"""For how long the same Idempotency-Key is surely the same job: 24 hours (contract), less what clocks differ by."""
DUPLICATES_ARE_SEEN = timedelta(minutes=9)
"""For how long an equal request is surely refused: 10 minutes, less the same."""
PATIENCE_S = 300.0
"""How long one job is tried: a service that restarts is back by then."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Unknown(Enum):
    """What is to be done with a job when nobody knows whether it was sent, and sending it again might send it twice."""

    SEND = "send"
    PASS_OVER = "skip"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file holds, as it was looked through. bad_rows: how many can't be sent. digests: of each batch."""

    rows: int
    bad_rows: int
    digests: tuple[str, ...]

    @property
    def content(self) -> str:
        """Changes whenever a row does."""
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()


def look_through(rows: Iterable[Row | BadRow], most: int, tell_bad: Callable[[BadRow], None]) -> Plan:
    """What a file holds; each row that can't be sent is told."""
    bad_count = 0
    row_count = 0

    def good() -> Iterable[Row]:
        nonlocal bad_count, row_count
        for row in rows:
            if isinstance(row, BadRow):
                bad_count += 1
                tell_bad(row)
            else:
                row_count += 1
                yield row

    digests = tuple(batch.digest() for batch in batches(good(), most))
    return Plan(row_count, bad_count, digests)


@dataclass(frozen=True, slots=True)
class Safety:
    """What keeps a job from being sent twice. keys: the service knows Idempotency-Keys. detects: the option is set."""

    keys: bool
    detects: bool

    def holds(self, sending_since: datetime, now: datetime) -> bool:
        """Whether a job that may have been sent since then can be sent again without being sent twice."""
        age = now - sending_since
        return (self.keys and age < KEY_HOLDS) or (self.detects and age < DUPLICATES_ARE_SEEN)


class Fate(CommandFailed):
    """A job may have been sent, and nobody can tell."""

    def __init__(self, batch: Batch, results: Results) -> None:
        first, last = batch.lines
        since = results.told[batch.number].sending_since
        super().__init__(
            f"nobody knows whether the rows of lines {first} to {last} were sent: the answer was lost at "
            f"{since:%Y-%m-%d %H:%M:%S} UTC, and it is too late to send them again without sending them twice. See "
            f"whether there is a job of {len(batch.rows)} SMS of that time (heliograph jobs), then give --resume with "
            "--unknown skip if there is, or --unknown send if there is none",
            Exit.UNCERTAIN,
        )


class Sender:
    """Sends batches, and keeps account in a results file.

    send: sends one batch under a key; its job's id. Raises ClientError.
    now: the wall clock. clock: for pauses.
    """

    def __init__(
        self,
        results: Results,
        send: Callable[[Batch, str], str],
        safety: Safety,
        *,
        unknown: Unknown | None,
        now: Callable[[], datetime],
        clock: BlockingClock,
        shown: Shown,
        interrupts: Interrupts,
    ) -> None:
        self._results = results
        self._send = send
        self._safety = safety
        self._unknown = unknown
        self._now = now
        self._clock = clock
        self._shown = shown
        self._interrupts = interrupts

    def send_all(self, found: Iterable[Batch], plan: Plan, tell_sent: Callable[[str], None]) -> None:
        """Send what was not sent yet. tell_sent: told each job's id, in the order of the rows.

        Raises CommandFailed, KeyboardInterrupt, or the ClientError of the batch that could not be sent.
        """
        count = 0
        for batch in found:
            count = batch.number
            if count > len(plan.digests) or batch.digest() != plan.digests[count - 1]:
                raise CommandFailed("the file changed while it was being sent; what was sent is as it was before")
            self._interrupts.check()
            done_before = self._is_done(batch)
            if not done_before:
                self._send_one(batch)
            self._shown.advance(len(batch.rows), just_now=not done_before)
            if job_id := self._results.told[count].job_id:
                tell_sent(job_id)
        if count != len(plan.digests):
            raise CommandFailed("the file became shorter while it was being sent")

    def _is_done(self, batch: Batch) -> bool:
        told = self._results.told.get(batch.number)
        if told is None or told.state is State.NOT_SENT:
            return False
        if told.is_done:
            return True
        if self._safety.holds(told.sending_since, self._now()) or self._unknown is Unknown.SEND:
            return False
        if self._unknown is Unknown.PASS_OVER:
            self._results.add(State.PASSED_OVER, batch, self._now())
            return True
        raise Fate(batch, self._results)

    def _send_one(self, batch: Batch) -> None:
        before = self._results.told.get(batch.number)
        in_doubt = before is not None and before.state is State.SENDING
        self._results.add(State.SENDING, batch, self._now())
        deadline = self._clock.monotonic() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                job_id = self._send(batch, self._results.key_of(batch))
                break
            except ClientError as error:
                in_doubt = in_doubt or error.uncertain
                if in_doubt and isinstance(error, Duplicate) and (error.job_id or not self._safety.keys):
                    job_id = error.job_id or ""  # It is the one whose answer was lost.
                    break
                wait_s = self._pause_s(error, pause_s, in_doubt=in_doubt)
                since = self._results.told[batch.number].sending_since
                if in_doubt and not self._safety.holds(since, self._now()):
                    wait_s = None
                if wait_s is None or self._clock.monotonic() + wait_s > deadline:
                    error.uncertain = in_doubt
                    if not in_doubt:
                        self._results.add(State.NOT_SENT, batch, self._now())
                    raise
                self._shown.note(f"{error}; trying again in {wait_s:.0f} s")
            try:
                self._clock.sleep(wait_s)
            except KeyboardInterrupt:
                if not in_doubt:
                    self._results.add(State.NOT_SENT, batch, self._now())
                raise
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        self._results.add(State.SENT, batch, self._now(), job_id)

    def _pause_s(self, error: ClientError, pause_s: float, *, in_doubt: bool) -> float | None:
        """Seconds until the next try; None where there is no use in one."""
        match error:
            case RateLimited():
                return error.retry_after_s
            case Unavailable():
                return pause_s
            case Duplicate() if in_doubt:
                return pause_s  # The first try of it is still being worked on.
            case _:
                return None
