"""The results file: what was sent of a CSV file, so that a run that was broken off can go on, and sends nothing twice.

A line is on disk before a job is sent, and another one after its answer; a job with only the first is one whose fate
nobody knows. Lines are only ever added. It is a CSV file, for people to look into; no number and no text stands in it.
"""

import csv
import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from heliograph.cli.bulk.batches import Batch
from heliograph.cli.exits import CommandFailed
from heliograph.wire.times import format_instant, parse_instant

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two runs at once over one results file are not kept apart there.
    fcntl = None

VERSION = 1
COLUMNS = ("time", "state", "batch", "rows", "firstLine", "lastLine", "jobId", "idempotencyKey", "detail")
_HEADER = (",".join(COLUMNS) + "\n").encode()


class State(StrEnum):
    """What a line says of a batch."""

    BEGUN = "begun"
    """Of the whole run, once."""
    SENDING = "sending"
    """It is being sent. As the last line of a batch: nobody knows whether it was."""
    SENT = "sent"
    NOT_SENT = "not sent"
    """It surely was not sent."""
    PASSED_OVER = "passed over"
    """Nobody knows whether it was sent, and whoever ran the command chose not to risk sending it twice."""


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one run sends, and how: going on, all of it must be the same.

    key: what its Idempotency-Keys begin with. rows: how many. content: digest of the rows. request: digest of what
    the command line says besides. service, username: to whom, and as whom.
    """

    key: str
    rows: int
    content: str
    request: str
    service: str
    username: str
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Told:
    """The last that is known of a batch. rows: how many it has. sending_since: when it was first being sent."""

    state: State
    rows: int
    job_id: str
    sending_since: datetime

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to happen to it."""
        return self.state in (State.SENT, State.PASSED_OVER)


class Results:
    """The results file of one run. Whoever has it open keeps others from it."""

    def __init__(self, path: Path, fd: int, run: Run | None, told: dict[int, Told]) -> None:
        self.path = path
        self.told = told
        self._fd = fd
        self._run = run

    @property
    def run(self) -> Run:
        """The run that it is of."""
        assert self._run is not None, "a file is used once its first line is written"
        return self._run

    @property
    def is_new(self) -> bool:
        """Whether nothing stands in it: a run that was broken off as it began counts as none."""
        return self._run is None

    @property
    def is_unused(self) -> bool:
        """Whether surely nothing was sent."""
        return all(told.state is State.NOT_SENT for told in self.told.values())

    def remove(self) -> None:
        """Take the file away; it stays locked until it is closed."""
        self.path.unlink(missing_ok=True)

    @property
    def rows_sent(self) -> int:
        """How many rows are sent for sure."""
        return sum(told.rows for told in self.told.values() if told.state is State.SENT)

    @property
    def job_ids(self) -> list[str]:
        """The ids of the jobs, in the order of the rows, as far as they are known."""
        return [self.told[number].job_id for number in sorted(self.told) if self.told[number].job_id]

    def begin(self, run: Run, now: datetime) -> None:
        """Write the first line."""
        self._run = run
        self._add([format_instant(now), State.BEGUN, "", run.rows, "", "", "", "", msgspec.json.encode(run).decode()])

    def add(self, state: State, batch: Batch, now: datetime, job_id: str = "") -> None:
        """Write what is known of a batch; once it returns, it is on disk."""
        before = self.told.get(batch.number)
        since = before.sending_since if before and before.state is State.SENDING else now
        self.told[batch.number] = Told(state, len(batch.rows), job_id, since)
        key = self.key_of(batch)
        first, last = batch.lines
        self._add([format_instant(now), state, batch.number, len(batch.rows), first, last, job_id, key, ""])

    def key_of(self, batch: Batch) -> str:
        """The batch's Idempotency-Key: the same in each run that goes on."""
        return f"{self.run.key}-{batch.number}"

    def _add(self, fields: list[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(fields)
        octets = line.getvalue().encode()
        while octets:
            octets = octets[os.write(self._fd, octets) :]
        os.fsync(self._fd)


@contextmanager
def new_results(path: Path) -> Generator[Results]:
    """A results file that is not there yet. Raises CommandFailed if it is."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        raise CommandFailed(
            f"there is a results file {path} already, of an earlier run; give --resume to send what that did not, "
            "or another --results to send everything anew"
        ) from None
    except OSError as error:
        raise CommandFailed(f"the results file {path} can't be made: {error.strerror or error}") from error
    try:
        _lock(fd, path)
        os.write(fd, _HEADER)
        _sync_folder(path)
        yield Results(path, fd, None, {})
    finally:
        os.close(fd)


@contextmanager
def earlier_results(path: Path) -> Generator[Results]:
    """The results file of an earlier run, to go on with. Raises CommandFailed."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        raise CommandFailed(f"there is no results file {path} to go on with; name it with --results") from None
    except OSError as error:
        raise CommandFailed(f"the results file {path} can't be used: {error.strerror or error}") from error
    try:
        _lock(fd, path)
        run, told = _read(fd, path)
        yield Results(path, fd, run, told)
    finally:
        os.close(fd)


def _read(fd: int, path: Path) -> tuple[Run | None, dict[int, Told]]:
    run: Run | None = None
    told: dict[int, Told] = {}
    whole = 0
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        for number, octets in enumerate(file, start=1):
            if not octets.endswith(b"\n"):
                break  # The run was broken off as it was written; what it was to say has not happened yet.
            whole += len(octets)
            try:
                [fields] = csv.reader([octets.decode().rstrip("\n")])
                if number == 1:
                    if tuple(fields) != COLUMNS:
                        raise ValueError("no results file of heliograph")
                    continue
                time, state, batch, rows, _, _, job_id, _, detail = fields
                if State(state) is State.BEGUN:
                    run = msgspec.json.decode(detail, type=Run)
                    if run.version != VERSION:
                        raise ValueError(f"of version {run.version}, and this program knows version {VERSION}")
                    continue
                before = told.get(int(batch))
                since = before.sending_since if before and before.state is State.SENDING else parse_instant(time, UTC)
                told[int(batch)] = Told(State(state), int(rows), job_id, since)
            except (ValueError, msgspec.MsgspecError) as error:
                raise CommandFailed(f"{path} can't be gone on with: its line {number} is wrong: {error}") from error
    if whole == 0:
        if not _HEADER.startswith(os.pread(fd, len(_HEADER) + 1, 0)):
            raise CommandFailed(f"{path} can't be gone on with: it is no results file of heliograph")
        os.write(fd, _HEADER[os.fstat(fd).st_size :])
    else:
        os.ftruncate(fd, whole)
    return run, told


def _lock(fd: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CommandFailed(f"another run is at work with the results file {path}") from error


def _sync_folder(path: Path) -> None:
    """See to it that the file is there after a loss of power, too."""
    try:
        fd = os.open(path.parent, os.O_RDONLY)
    except OSError:  # Windows opens no folders.
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
