"""How client commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from heliograph.cli.exits import CommandFailed, Exit
from heliograph.jobs.status import MEANINGS, ProcessStatus
from heliograph.sdk import JobReport, Preview, PreviewedRecipient, RecipientReport

NARROW_WIDTH = 100
"""Below it a table leaves out what it can."""
COLUMN_GAP = 2
LEAST_REASON_WIDTH = 12
MOST_SHOWN_REPLACEMENTS = 8


def stdout() -> Console:
    """Where tables go: coloured on a terminal alone."""
    return Console(highlight=False)


def print_json(value: Any, *, compact: bool = False) -> None:
    """What the API answered, as JSON; compact: in one line. Escaped where stdout isn't in Unicode."""
    in_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    print(json.dumps(value, indent=None if compact else 2, ensure_ascii=not in_unicode))


def tell_sent(job_id: str, *, as_json: bool) -> None:
    """Print a job's id at once. Raises CommandFailed where that can't be, so that the job isn't taken for unsent."""
    try:
        if as_json:
            print_json({"jobId": job_id}, compact=True)
        else:
            print(job_id)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandFailed(
            f"job {job_id} is sent, though stdout can't be written: {error.strerror}; don't send it again",
            Exit.UNCERTAIN,
        ) from error


def jobs_table(jobs: Sequence[JobReport], width: int) -> Table:
    """Jobs, one a line."""
    table = _table()
    table.add_column("jobId", no_wrap=True, min_width=40)
    table.add_column("received (UTC)", no_wrap=True)
    table.add_column("SMS", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    wide = width >= NARROW_WIDTH
    if wide:
        table.add_column("src", no_wrap=True)
        table.add_column("customerRef", no_wrap=True, overflow="ellipsis")
    for job in jobs:
        more = (_cell(job.src), _cell(job.customer_ref)) if wide else ()
        state = Text("finished", "green") if job.finished else Text("open", "yellow")
        table.add_row(job.job_id, _time(job.receipt_ts), str(len(job.recipient_ids)), state, *more)
    return table


def job_lines(job: JobReport) -> str:
    """One job, a line for each of its fields."""
    fields: dict[str, object] = {
        "jobId": job.job_id,
        "received": f"{_time(job.receipt_ts)} UTC",
        "finished": f"{_time(job.finished_ts)} UTC" if job.finished_ts else "no",
        "SMS": len(job.recipient_ids),
        "src": job.src,
        "customerRef": job.customer_ref,
        "billcode": job.billcode,
        "encoding": job.encoding,
        "qos": job.qos,
        "statusRequested": _yes(job.status_requested),
        "flash": _yes(job.flash),
        "validityMin": job.validity_min or "0 (the carrier's default)",
    }
    return "\n".join(f"{name:<15}  {_cell(value)}".rstrip() for name, value in fields.items())


def sms_table(reports: Sequence[RecipientReport], width: int) -> Table:
    """What became of SMS, one a line; references only where there are any of one's own."""
    columns: dict[str, tuple[list[object], int]] = {"dst": ([report.dst for report in reports], 16)}
    if any(report.customer_ref not in ("", report.dst) for report in reports):
        columns["customerRef"] = ([report.customer_ref for report in reports], max(12, width // 6))
    columns["processStatus"] = ([report.process_status for report in reports], 13)
    columns["status"] = ([report.status for report in reports], 11)
    if width >= NARROW_WIDTH:
        columns["finished (UTC)"] = ([_time(report.finished_ts) for report in reports], 19)
    table = _table()
    taken = 0
    for name, (values, most) in columns.items():
        needed = max(map(len, [name, *map(str, values)]))
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=min(needed, most))
        taken += min(needed, most) + COLUMN_GAP
    table.add_column("reason", no_wrap=True, overflow="ellipsis", max_width=max(LEAST_REASON_WIDTH, width - taken))
    rows = zip(*(values for values, _ in columns.values()), strict=True)
    for report, row in zip(reports, rows, strict=True):
        table.add_row(*map(_cell, row), _cell(report.reason), style=_style(report))
    return table


def status_table(counts: Mapping[tuple[str, str], int]) -> Table:
    """How many SMS ended how, the most first."""
    table = _table()
    for column in ("processStatus", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("SMS", justify="right", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    meanings = {(str(process), str(status)): meaning for (process, status), meaning in MEANINGS.items()}
    for (process_status, status), count in sorted(counts.items(), key=lambda item: -item[1]):
        meaning = meanings.get((process_status, status), "")
        table.add_row(_cell(process_status), _cell(status), f"{count:,}", meaning)
    return table


def preview_tables(preview: Preview) -> tuple[Table, Table]:
    """How texts would travel, and how numbers are read."""
    messages = _table()
    for column in ("message", "encoding", "parts", "cut off", "replaced"):
        messages.add_column(column, no_wrap=column != "replaced", overflow="fold")
    recipients = _table()
    for column, most in (("message", None), ("dst", 17), ("read as", 21), ("due (UTC)", None)):
        recipients.add_column(column, no_wrap=True, overflow="ellipsis", max_width=most)
    for number, message in enumerate(preview.messages, start=1):
        replaced = [f"{each.character!r} → {each.replacement!r}" for each in message.replaced]
        more = len(replaced) - MOST_SHOWN_REPLACEMENTS
        told = ", ".join(replaced[:MOST_SHOWN_REPLACEMENTS]) + (f" and {more} more" if more > 0 else "")
        row = (number, message.encoding, message.parts, "yes" if message.truncated else "no", told or "nothing")
        messages.add_row(*map(_cell, row))
        for recipient in message.recipients:
            told = (recipient.dst, _read_as(recipient), _when(recipient))
            recipients.add_row(str(number), *map(_cell, told), style="red" if recipient.due_ts is None else None)
    return messages, recipients


def _read_as(recipient: PreviewedRecipient) -> str:
    country = f" ({recipient.country})" if recipient.country else ""
    return f"{recipient.e164}{country}" if recipient.e164 else ""


def _when(recipient: PreviewedRecipient) -> str:
    """When the SMS would be sent and by which carrier, or why not."""
    if recipient.due_ts is None:
        return f"never: {recipient.reason}"
    by = f" by {recipient.carrier}" if recipient.carrier else ""
    return f"{_time(recipient.due_ts)}{by}{f', {recipient.reason}' if recipient.reason else ''}"


def _style(report: RecipientReport) -> str | None:
    if report.succeeded:
        return "green"
    if report.process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING):
        return None
    return "red" if report.process_status == ProcessStatus.DONE else "yellow"


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _cell(value: object) -> Text:
    """A value as it is: no mark-up, and no character that moves the cursor."""
    return Text("".join(each if each.isprintable() else "�" for each in str(value)))


def _time(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
