"""docs/reference/log-events.md: every event that the service logs, as the code logs it, and what it means."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PATH = "docs/reference/log-events.md"
SOURCE = Path(__file__).resolve().parent.parent / "src/heliograph"

LEVELS = ("debug", "info", "warning", "error", "exception")
FORWARDED = {"odd": "warning", "tell": "error", "_tell_fault": "error"}
"""What passes an event on to the log with the carrier's name, and its level then (carriers/smpp/faults.py)."""

INTRODUCTION = """\
<!-- Generated from src/heliograph and tools/log_events_reference.py by `make golden`; change it there. -->

# Log events

The service writes one line for each event to stderr: as JSON, or with `server.log_format = "console"` for people. Each
has `event`, `level` and `timestamp`, and of the fields below those that apply. No line has a text, a full number or a
password in it. What other libraries warn about has their own words as `event`.

Which of these to be woken by is in [Run the service](../how-to/operate.md#watch-it). "You" is whoever runs the service.
"""

NOBODY = "nobody"
IF_IT_GOES_ON = "you, if it goes on: the database, by what `error` says"
REPORT = "you: report it, with the line"

AREAS = {
    "server": "The process",
    "api": "Answers to HTTP requests",
    "http": "Requests",
    "agents": "Agents at `/mcp`",
    "dispatch": "Sending",
    "carrier": "SMPP carriers",
    "binds": "Binds, and which node has them",
    "receipts": "Receipts",
    "promises": "Receipts that a lost node owed",
    "recalls": "Cancelling at the carrier",
    "inbound": "SMS from phones",
    "webhooks": "Webhooks",
    "retention": "Forgetting what is old",
    "store": "The database",
    "log": "The log itself",
}
"""What an event's name begins with, and the headings, in the order of the page."""


class Described(NamedTuple):
    """What an event means, and who has to do what about it."""

    meaning: str
    action: str


DESCRIBED = {
    "server.started": Described("The service takes requests at `url`.", NOBODY),
    "server.stopping": Described("SIGTERM or Ctrl-C came, and the service drains.", NOBODY),
    "server.stopped": Described("It has stopped in good order.", NOBODY),
    "server.unanswered": Described(
        "The service stopped before carriers had answered `segment_count` submissions, or webhooks `event_count` "
        "POSTs, within `server.shutdown_timeout`. These segments may be sent twice; these events are posted again.",
        "you, if it happens often: raise `server.shutdown_timeout`, and how long your supervisor waits",
    ),
    "server.no_tls": Described(
        "The service listens beyond this machine without encryption.",
        "you, unless a proxy before it speaks TLS: [TLS](../how-to/operate.md#tls)",
    ),
    "server.variables_ignored": Described(
        "There are `HELIOGRAPH_*` variables that mean nothing here.", "you, if one of them is a setting misspelt"
    ),
    "server.no_dispatch": Described(
        "This process has only the role `api`: jobs wait for a process with the role `dispatch`.", NOBODY
    ),
    "api.not_ready": Described("`/readyz` said 503, because the database can't be used.", IF_IT_GOES_ON),
    "api.store_unavailable": Described(
        "A request was answered 503, because the database can't be used.", IF_IT_GOES_ON
    ),
    "api.outcome_unknown": Described(
        "The database went away while it committed a request, and whether it did so isn't known. The customer was "
        "told.",
        IF_IT_GOES_ON,
    ),
    "api.metrics_incomplete": Described(
        "`/metrics` left out what is counted in the database, because that can't be used.", IF_IT_GOES_ON
    ),
    "api.failed": Described("A request was answered 500: a bug. `where` says at which lines.", REPORT),
    "http.request": Described("A request was answered; only with `server.log_requests = true`.", NOBODY),
    "agents.sent": Described("An agent sent a job.", NOBODY),
    "agents.cancelled": Described("An agent cancelled a job.", NOBODY),
    "agents.store_unavailable": Described("A tool did nothing, because the database can't be used.", IF_IT_GOES_ON),
    "agents.outcome_unknown": Described(
        "The database went away while it committed what a tool did. The agent was told to call again.", IF_IT_GOES_ON
    ),
    "agents.slow": Described("The MCP server wasn't ready in time; the request was answered 503.", IF_IT_GOES_ON),
    "agents.failed": Described(
        "The MCP server failed, or a tool did: a bug, or an `mcp` package that doesn't fit.", REPORT
    ),
    "dispatch.store_unavailable": Described(
        "Nothing is sent, or answers of carriers aren't stored yet, because the database can't be used. Both are tried "
        "again each second.",
        IF_IT_GOES_ON,
    ),
    "dispatch.carrier_missing": Described(
        "`sms_count` SMS wait for a carrier that no node has in its settings. Those without another carrier end with "
        "their validity. Told again while it lasts.",
        "you: configure a carrier of this name, or let them end",
    ),
    "dispatch.stand_in_ended": Described("This node stands in for that carrier no longer.", NOBODY),
    "dispatch.moved": Described("Parts of a job's SMS went to the next carrier of their route.", NOBODY),
    "dispatch.number_throttled": Described(
        "The carrier says of one number only that it is too much: that SMS is tried again from time to time, and "
        "others go on.",
        "the carrier, if it is often",
    ),
    "dispatch.only_throttled": Described(
        "The carrier has done nothing but throttle for a minute.",
        "the carrier; your `rate`, if it is above the agreed one",
    ),
    "dispatch.throttling_over": Described("After `dispatch.only_throttled`: it takes SMS again.", NOBODY),
    "dispatch.called_back": Described(
        "A long SMS failed with one part, and `told_count` of its other `part_count` parts are being called back.",
        NOBODY,
    ),
    "dispatch.answer_late": Described(
        "A carrier answered after its time-out. `sent_again`: the segment had been sent a second time by then. The "
        "first ten are told, then each hundredth.",
        "you, if they are many: raise `response_timeout` of the carrier, or ask it why it is slow",
    ),
    "dispatch.answer_unexpected": Described("A carrier's code answered for what it wasn't given: a bug.", REPORT),
    "carrier.bound": Described("A bind is up.", NOBODY),
    "carrier.unbound": Described(
        "A bind ended after `lasted_s`; it is bound again.", "you, if it happens often: `reason` says who ended it"
    ),
    "carrier.will_bind_again": Described("The next try to bind comes after `after_s` seconds.", NOBODY),
    "carrier.unreachable": Described(
        "The SMSC can't be connected to, or didn't answer the bind. SMS wait, or go to the next carrier. Told once for "
        "each reason, and again after ten minutes.",
        "you: `remedy` says what to look at; then the carrier",
    ),
    "carrier.bind_refused": Described(
        "The SMSC refused the bind, because of `system_id`, password or the number of binds, for the most part.",
        "you: `remedy` says what to look at; `heliograph carrier check`",
    ),
    "carrier.settings_doubtful": Described(
        "The SMSC refused an SMS for what is between it and us: our settings, or the sender. Told once for each "
        "status; the SMS ended, or went to the next carrier.",
        "you, with the carrier: the settings, or the registration of the sender",
    ),
    "carrier.parameters_doubtful": Described(
        "The settings use optional parameters, and the SMSC doesn't say that it knows them.",
        "you, with the carrier: `concatenation`, `flash`",
    ),
    "carrier.ids_learnt": Described(
        "How the SMSC writes message ids in receipts is now known, until the process stops.",
        "you: put what `settings` says into the carrier's settings",
    ),
    "carrier.no_message_id": Described(
        "The SMSC takes SMS without giving a message id, so no receipt can be matched.", "the carrier"
    ),
    "carrier.receipt_without_id": Described(
        "A receipt names no SMS, and changes nothing. The first ten are told, then each hundredth.", "the carrier"
    ),
    "carrier.refused_late": Described(
        "The SMSC refused a submission after the time-out; it counts as unanswered. The first ten are told, then each "
        "hundredth.",
        "you, if they are many: raise `response_timeout`",
    ),
    "carrier.inbound_refused": Described(
        "The SMSC handed over an SMS from a phone to a process that takes none, and was told so. The first ten are "
        "told, then each hundredth.",
        REPORT,
    ),
    "carrier.oddity": Described(
        "The SMSC sent a PDU that doesn't belong there, or that can't be read. It was answered as the standard says. "
        "The first ten are told, then each hundredth.",
        "the carrier, if there are many",
    ),
    "carrier.errand_refused": Described(
        "The SMSC says no to `query_sm` or `cancel_sm`: the message is final already, or it doesn't know this "
        "operation. Told once for each status.",
        "you, if it never works: leave `query_sm` or `cancel_sm` out",
    ),
    "carrier.errand_impossible": Described("`query_sm` or `cancel_sm` couldn't be encoded: a bug.", REPORT),
    "carrier.phones_acknowledgement": Described(
        "A phone acknowledged an SMS by itself; it counts for nothing. Not written: the log begins at `info`.", NOBODY
    ),
    "binds.claimed": Described("This node has that bind now.", NOBODY),
    "binds.lost": Described(
        "This node has that bind no longer: `reason`.", "you, if the reason is the store: the database"
    ),
    "binds.not_given_back": Described(
        "A node that stopped couldn't give its binds back; others have them after `after_s` seconds.", NOBODY
    ),
    "binds.store_unavailable": Described("Binds can't be claimed, because the database can't be used.", IF_IT_GOES_ON),
    "receipts.store_unavailable": Described(
        "Receipts can't be stored. They aren't acknowledged, and the SMSC sends them again.", IF_IT_GOES_ON
    ),
    "promises.store_unavailable": Described(
        "Receipts that a lost node's sandbox owed can't be looked for yet.", IF_IT_GOES_ON
    ),
    "recalls.told": Described(
        "How many parts of cancelled SMS the carrier was told to drop, and what it answered.", NOBODY
    ),
    "recalls.store_unavailable": Described(
        "What is to be cancelled at the carrier can't be read, or its answers can't be stored, yet.", IF_IT_GOES_ON
    ),
    "inbound.received": Described("An SMS from a phone is whole, and belongs to `account`.", NOBODY),
    "inbound.for_nobody": Described(
        "An SMS from a phone belongs to no account. It is kept, and nobody can read it by the API.",
        "you: give its number to an account by `[[inbound]]`",
    ),
    "inbound.account_unknown": Described(
        "`[[inbound]]` names an account that isn't there. What comes belongs to nobody.",
        "you: add the account, or mend `[[inbound]]`",
    ),
    "inbound.wish_not_kept": Described(
        "Somebody wrote STOP or START, and whom it concerns can't be known: `remedy` says why.",
        "you: put the number on the blocklist, or take it off",
    ),
    "inbound.like_receipts": Described(
        "SMS from phones read like receipts, and were for no SMS of ours.",
        "you, if the SMSC's receipts look like that: `unflagged_receipts = true`",
    ),
    "inbound.store_unavailable": Described(
        "SMS from phones can't be stored. They aren't acknowledged, and the SMSC sends them again.", IF_IT_GOES_ON
    ),
    "webhooks.given_up": Described(
        "An event was posted `attempts` times without success. It is kept, and `replay` posts it again.",
        "the account's owner: `GET /webhooks/{id}/failures` says why",
    ),
    "webhooks.gone": Described("A webhook answered that it is gone; it was disabled, or ended if a flow's.", NOBODY),
    "webhooks.store_unavailable": Described(
        "Events can't be read, or what became of them can't be stored, because the database can't be used.",
        IF_IT_GOES_ON,
    ),
    "webhooks.failed": Described("A POST failed by a bug; it is tried again like any other.", REPORT),
    "retention.done": Described("What was old enough was deleted.", NOBODY),
    "retention.store_unavailable": Described(
        "What is old wasn't deleted, because the database can't be used; it is tried again.", IF_IT_GOES_ON
    ),
    "store.unavailable": Described(
        "PostgreSQL can't be reached, or doesn't answer. Customers get 503, nothing is sent, and nothing is lost.",
        "you, if it lasts for longer than a failover: the database, the network, `error`",
    ),
    "store.reconnected": Described("PostgreSQL is back.", NOBODY),
    "store.leases_freed": Described(
        "Another node is gone; what it had with carriers, `segment_count` of it, is sent again, or given up for "
        "accounts with `--on-unknown give-up`.",
        "you, if that node lives: its network, or its clock",
    ),
    "store.leases_in_doubt": Described(
        "Whether segments were leased isn't known, since the commit was cut off; the node looks again.", IF_IT_GOES_ON
    ),
    "store.leases_given_back": Described("They were, and are free again. It counts as no try.", NOBODY),
    "store.jobs_in_doubt": Described(
        "Whether jobs were kept isn't known, since the commit was cut off; the node looks again for some seconds.",
        IF_IT_GOES_ON,
    ),
    "store.node_not_deleted": Described(
        "A node that stopped couldn't say farewell; the others find out after ten seconds.", NOBODY
    ),
    "store.presence_failed": Described("What keeps a node known to the others failed: a bug. It begins anew.", REPORT),
    "store.partition_dropped": Described("A partition of history whose jobs were all forgotten is gone.", NOBODY),
    "store.partitions_postponed": Described(
        "Partitions couldn't be made or dropped, mostly as a long reading stood in the way; the next try is ten "
        "minutes later.",
        "you, if it lasts for days: end long statements such as `pg_dump`",
    ),
    "log.lines_lost": Described(
        "Lines of the log could not be written before this one: stderr's disk was full, or its reader had stopped.",
        "you: the disk, or whatever reads stderr",
    ),
    "store.calls_not_kept": Described(
        "On SQLite the rate limits' calls of a second couldn't be written; they are written with the next.",
        "you, if it goes on: the disk",
    ),
}


class Logged(NamedTuple):
    """An event as one place of the code logs it."""

    name: str
    level: str
    fields: tuple[str, ...]
    where: str


def logged() -> Iterator[Logged]:
    """Each place that logs an event by its name."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield from _logged(node, node.func, f"{path.relative_to(SOURCE)}:{node.lineno}")


def _logged(call: ast.Call, function: ast.Attribute, where: str) -> Iterator[Logged]:
    is_log = isinstance(function.value, ast.Name) and function.value.id == "log" and function.attr in LEVELS
    if not is_log and function.attr not in FORWARDED:
        return
    fields = tuple(each.arg for each in call.keywords if each.arg)
    texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    for text in texts:
        if text.partition(".")[0] in AREAS and " " not in text:
            if is_log:
                yield Logged(text, "error" if function.attr == "exception" else function.attr, fields, where)
            else:
                more = () if function.attr == "odd" else ("bind", "reason", "address", "system_id", "remedy")
                yield Logged(text, FORWARDED[function.attr], ("carrier", *more, *fields), where)


def files() -> dict[str, str]:
    """The document. Raises ValueError if an event is described that nothing logs, or the other way round."""
    events: dict[str, list[Logged]] = {}
    for each in logged():
        events.setdefault(each.name, []).append(each)
    if odd := sorted(events.keys() ^ DESCRIBED.keys()):
        raise ValueError(
            f"logged and not described, or the other way round: {', '.join(odd)}; see {__name__}.DESCRIBED"
        )
    parts = [INTRODUCTION]
    for area, heading in AREAS.items():
        rows = [_row(name, events[name]) for name in DESCRIBED if name.partition(".")[0] == area]
        head = "| Event | Level | Fields | Meaning | Who acts |\n| --- | --- | --- | --- | --- |"
        parts.append("\n".join([f"## {heading}", "", head, *rows, ""]))
    return {PATH: "\n".join(parts)}


def _row(name: str, places: list[Logged]) -> str:
    levels = ", ".join(sorted({each.level for each in places}))
    fields = ", ".join(f"`{field}`" for field in dict.fromkeys(field for each in places for field in each.fields))
    described = DESCRIBED[name]
    return f"| `{name}` | {levels} | {fields} | {described.meaning} | {described.action} |"
