"""docs/reference/metrics.md, from the metrics themselves."""

from prometheus_client import Counter, Gauge, Histogram

from heliograph.metrics import Metrics

PATH = "docs/reference/metrics.md"

INTRODUCTION = """\
<!-- Generated from src/heliograph/metrics.py and tools/metrics_reference.py by `make golden`; change it there. -->

# Metrics

`GET /metrics` answers in the Prometheus text format, without credentials: see
[Run the service](../how-to/operate.md#pages-without-a-password). Labels name carriers, statuses and operations, never
numbers or accounts.

Metrics of a *process* begin at 0 when it starts, so add up those of all nodes. What is *stored* is counted in the
database, at most every five seconds, and is the same on every node: take the highest, not the sum. It is missing while
the database can't be used. Counters come with a gauge that ends in `_created`: when counting began.

| Metric | Type | Labels | Of | Meaning |
| --- | --- | --- | --- | --- |
"""

LABELS = {
    "carrier": "the carrier's name in the settings",
    "status": "a [status of an SMS](api.md#status-of-an-sms)",
    "process_status": "`OPEN` or `RUNNING`",
    "operation": "the operation's name in the API; `page` for what needs no password, `mcp` for agents, `none` for "
    "paths that there aren't",
    "code": "the HTTP status of the answer",
    "heliograph_submit_outcomes_total outcome": "`accepted`, `refused`, `unanswered` (may have been sent), "
    "`unreachable` (was not)",
    "heliograph_webhook_attempts_total outcome": "`delivered` or `failed`",
}
"""What a label may say: by its name, or by metric and name."""


def families() -> dict[str, Counter | Gauge | Histogram]:
    """Every metric, by its name at `/metrics`."""
    metrics = [each for each in vars(Metrics()).values() if isinstance(each, Counter | Gauge | Histogram)]
    return {_name(each): each for each in metrics}


def files() -> dict[str, str]:
    """The document. Raises KeyError if a label isn't described."""
    process = Metrics().exposition(stored=False).decode()
    rows = [_row(name, each, is_stored=f"# TYPE {name} " not in process) for name, each in families().items()]
    return {PATH: INTRODUCTION + "".join(rows)}


def _name(metric: Counter | Gauge | Histogram) -> str:
    (described,) = metric.describe()
    return f"{described.name}_total" if described.type == "counter" else described.name


def _row(name: str, metric: Counter | Gauge | Histogram, *, is_stored: bool) -> str:
    (described,) = metric.describe()
    labels = [
        f"`{label}`: {LABELS[f'{name} {label}'] if f'{name} {label}' in LABELS else LABELS[label]}"
        for label in metric._labelnames
    ]
    of = "stored" if is_stored else "process"
    return f"| `{name}` | {described.type} | {'; '.join(labels)} | {of} | {described.documentation} |\n"
