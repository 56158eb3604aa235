"""`heliograph send --csv` and `heliograph preview --csv`."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from heliograph.cli.bulk.batches import Batch
from heliograph.cli.bulk.interrupts import InterruptibleClock, Interrupts
from heliograph.cli.bulk.progress import Shown, progress
from heliograph.cli.bulk.results import Results, Run, earlier_results, new_results
from heliograph.cli.bulk.rows import BadRow
from heliograph.cli.bulk.sending import Plan, Safety, Sender, Unknown, look_through
from heliograph.cli.bulk.source import STDIN, Source, source
from heliograph.cli.client_flags import ClientFlags
from heliograph.cli.connecting import connected, failure, with_json
from heliograph.cli.exits import CommandFailed, Exit, UsageInvalid, exit_of, say
from heliograph.cli.tables import print_json, status_table, stdout, tell_sent
from heliograph.clock import BlockingSystemClock, SystemClock
from heliograph.ids import RandomIds
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.sdk import Client, ClientError, Encoding, InvalidRequest, Options, Preview
from heliograph.sdk.calls import get_sms, preview_job, raw
from heliograph.sdk.services import service_at

KNOWS_KEYS = "heliograph "
"""What the versionInfo of a service begins with that knows Idempotency-Keys."""
STDIN_TWICE = "--csv - and --password-stdin both read stdin; set HELIOGRAPH_PASSWORD instead"
NO_KEYS_NOTE = (
    "This service knows no Idempotency-Key, so --duplicate-detection is set: a run that is broken off can be resumed "
    "within 9 minutes without asking."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRun:
    """What the command line says of a run."""

    path: Path
    text: str | None
    options: Options
    results: Path | None
    resume: bool
    skip_invalid: bool
    unknown: Unknown | None
    rows_per_job: int
    wait_timeout_s: float | None
    as_json: bool
    client: ClientFlags

    def check(self) -> None:
        """Raises UsageInvalid where flags don't go together."""
        if self.path == STDIN and self.client.password_stdin:
            raise UsageInvalid(STDIN_TWICE)
        if self.path == STDIN and self.resume and self.results is None:
            raise UsageInvalid("--resume needs --results where the rows come from stdin")
        if self.unknown is not None and not self.resume:
            raise UsageInvalid("--unknown is for --resume")

    def results_path(self, now: datetime) -> Path:
        """The results file: beside the CSV file, if nothing is said."""
        if self.results is not None:
            return self.results
        if self.path == STDIN:
            return Path(f"heliograph-{now:%Y%m%dT%H%M%SZ}.results.csv")
        return self.path.with_name(f"{self.path.name}.results.csv")


def send_csv(run: CsvRun) -> Exit:
    """Send the rows of a CSV file, and print the ids of the jobs."""
    run.check()
    interrupts = Interrupts()
    clock = BlockingSystemClock()
    with source(run.path, run.text, run.rows_per_job) as rows:
        plan = _looked_through(rows, skip_invalid=run.skip_invalid)
        path = run.results_path(SystemClock().now())
        with connected(run.client, clock=InterruptibleClock(clock, interrupts, told=True)) as service:
            safety, options = _safety(service, run.options)
            opened = earlier_results(path) if run.resume else new_results(path)
            with opened as results, interrupts.noticed():
                _begin(results, run, plan, options, rows.name)
                _send(
                    service,
                    rows,
                    plan,
                    results,
                    safety,
                    options,
                    run,
                    InterruptibleClock(clock, interrupts),
                    interrupts,
                )
            if run.wait_timeout_s is None:
                return Exit.OK
            return _wait(service, results.job_ids, plan.rows, run.wait_timeout_s, as_json=run.as_json)


def preview_csv(path: Path, text: str | None, options: Options, client: ClientFlags, *, as_json: bool) -> None:
    """Show what would become of the rows of a CSV file."""
    if path == STDIN and client.password_stdin:
        raise UsageInvalid(STDIN_TWICE)
    seen: Counter[str] = Counter()
    with source(path, text, MAX_RECIPIENTS) as rows:
        plan = _looked_through(rows, skip_invalid=True)
        seen["rows that can't be sent"] = plan.bad_rows
        with connected(client) as service, progress("Previewing", plan.rows) as shown:
            for batch in rows.batches():
                told, found = service.call(with_json(preview_job(batch.messages(), options)))
                if as_json:
                    print_json(told, compact=True)
                else:
                    _count(found, batch, seen, shown)
                shown.advance(len(batch.rows))
    if not as_json:
        print("\n".join(f"{what:<36}  {count:>9,}" for what, count in seen.items()))


def _count(found: Preview, batch: Batch, seen: Counter[str], shown: Shown) -> None:
    seen["jobs"] += 1
    seen["jobs refused for their characters"] += found.refused
    for message_place, message in enumerate(found.messages):
        numbers = sum(recipient.valid for recipient in message.recipients)
        seen["texts"] += 1
        seen["texts in UTF-16"] += message.encoding == Encoding.UTF_16
        seen["texts that are cut off"] += message.truncated
        seen["texts with replaced characters"] += bool(message.replaced)
        seen["SMS to possible numbers"] += numbers
        seen["parts of these SMS"] += numbers * message.parts
        seen["SMS to impossible numbers"] += len(message.recipients) - numbers
        for place, recipient in enumerate(message.recipients):
            row = batch.row_at(message_place, place)
            if row is not None and not recipient.valid:
                shown.note(f"line {row.line}: {recipient.reason or 'not a possible number'}")


def _looked_through(rows: Source, *, skip_invalid: bool) -> Plan:
    def tell_bad(row: BadRow) -> None:
        say(f"line {row.line}: {row.reason}")

    with progress("Looking through", None) as shown:
        found = (_counted(row, shown.advance) for row in rows.rows())
        plan = look_through(found, rows.most, tell_bad)
    if plan.bad_rows and not skip_invalid:
        raise UsageInvalid(
            f"{plan.bad_rows:,} of {_rows(plan.bad_rows + plan.rows)} of {rows.name} can't be sent, and nothing was; "
            "mend them, or give --skip-invalid to leave them out"
        )
    if not plan.rows:
        raise UsageInvalid(f"{rows.name} has no rows to send")
    return plan


def _counted(row: Any, advance: Callable[[int], None]) -> Any:
    advance(1)
    return row


def _safety(service: Client, options: Options) -> tuple[Safety, Options]:
    """What keeps jobs from being sent twice at this service, and the options with what that takes."""
    keys = service.version().version_info.startswith(KNOWS_KEYS)
    if not keys and "duplicate_detection" not in options:
        say(NO_KEYS_NOTE)
        options = options | Options(duplicate_detection=True)
    return Safety(keys=keys, detects=options.get("duplicate_detection") is True), options


def _begin(results: Results, run: CsvRun, plan: Plan, options: Options, name: str) -> None:
    request = [options, run.text, run.rows_per_job, run.skip_invalid]
    url, username = run.client.named()
    now = Run(
        key=RandomIds().password(),
        rows=plan.rows,
        content=plan.content,
        request=hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest(),
        service=service_at(url).url,
        username=username,
    )
    if results.is_new:
        results.begin(now, SystemClock().now())
        return
    then = results.run
    if then.content != now.content:
        raise CommandFailed(
            f"{name} is not what it was when this run began: it had {_rows(then.rows)}, and has {now.rows:,}, or other "
            f"ones; put it back as it was. What was sent is in {results.path}, by its lines"
        )
    if then.request != now.request:
        raise CommandFailed(
            "the text, the options, --rows-per-job or --skip-invalid are not those that this run began with; give "
            "the same ones, and --resume"
        )
    if (then.service, then.username) != (now.service, now.username):
        raise CommandFailed(
            f"this run began as {then.username} at {then.service}, and only there is known what was sent; now it is "
            f"{now.username} at {now.service}"
        )


def _send(
    service: Client,
    rows: Source,
    plan: Plan,
    results: Results,
    safety: Safety,
    options: Options,
    run: CsvRun,
    clock: InterruptibleClock,
    interrupts: Interrupts,
) -> None:
    under_way: list[Batch] = []

    def send(batch: Batch, key: str) -> str:
        under_way[:] = [batch]
        [job_id] = service.send_messages(batch.messages(), idempotency_key=key, **options)
        return job_id

    sent_before = results.rows_sent
    began_s = clock.monotonic()
    try:
        with progress("Sending", plan.rows) as shown:
            sender = Sender(
                results,
                send,
                safety,
                unknown=run.unknown,
                now=SystemClock().now,
                clock=clock,
                shown=shown,
                interrupts=interrupts,
            )
            sender.send_all(rows.batches(), plan, lambda job_id: tell_sent(job_id, as_json=run.as_json))
    except (ClientError, CommandFailed) as error:
        told = failure(error, lambda field: _line_of(field, under_way[0])) if isinstance(error, ClientError) else error
        refused = isinstance(error, InvalidRequest) and not error.uncertain
        advice = _mended(results, under_way[0], resumed=run.resume) if refused else _how_far(results, plan)
        raise CommandFailed(f"{told}. {advice}", exit_of(told)) from error
    except (KeyboardInterrupt, BrokenPipeError):  # The latter: who read the ids has gone.
        say(_how_far(results, plan))
        raise
    took_s = clock.monotonic() - began_s
    count = results.rows_sent - sent_before
    if not count:
        say(f"Nothing was left to send: {results.path} has {_rows(sent_before)} as sent.")
        return
    again = f", after {sent_before:,} by an earlier run" if sent_before else ""
    say(
        f"{_rows(count)} sent in {took_s:.1f} s ({count / max(took_s, 0.001):,.0f}/s){again}; "
        f"which job has which lines is in {results.path}."
    )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _how_far(results: Results, plan: Plan) -> str:
    return (
        f"{results.rows_sent:,} of {_rows(plan.rows)} sent for sure; the same command with --resume --results "
        f"{results.path} sends the rest"
    )


def _mended(results: Results, refused: Batch, *, resumed: bool) -> str:
    """How to go on after the service refused a job: a run whose rows or options change can't be resumed."""
    if results.is_unused:
        results.remove()
        return f"Nothing was sent; mend that, and give the command again{', without --resume' if resumed else ''}"
    line = refused.lines[0]
    return (
        f"{_rows(results.rows_sent)} sent for sure, none from line {line} on: mend that, and send the lines from there "
        "on as a file of their own"
    )


def _line_of(field: str, batch: Batch) -> str | None:
    """The line of a field of a request, such as `line 17: dst` for `messages[0].recipients[15].dst`."""
    found = re.fullmatch(r"messages\[(\d+)\]\.(?:recipients\[(\d+)\]\.)?(\w+)", field)
    row = batch.row_at(int(found[1]), int(found[2] or 0)) if found else None
    return f"line {row.line}: {found[3]}" if found and row else None


def _wait(service: Client, job_ids: list[str], rows: int, timeout_s: float, *, as_json: bool) -> Exit:
    clock = BlockingSystemClock()
    deadline = clock.monotonic() + timeout_s
    counts: Counter[tuple[str, str]] = Counter()
    good = True
    try:
        with progress("Waiting", rows) as shown:
            for job_id in job_ids:
                reports = service.wait(job_id, timeout_s=max(0.0, deadline - clock.monotonic()))
                if as_json:
                    print_json(service.call(raw(get_sms(job_id))), compact=True)
                counts.update((str(report.process_status), str(report.status)) for report in reports)
                good = good and all(report.succeeded for report in reports)
                shown.advance(len(reports))
    except KeyboardInterrupt:
        say("The jobs go on; heliograph sms ID shows what becomes of each.")
        raise
    if not as_json:
        stdout().print(status_table(counts))
    return Exit.OK if good else Exit.UNDELIVERED
