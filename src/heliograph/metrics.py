"""What an operator watches, as Prometheus metrics. Labels are carriers and statuses, never numbers or accounts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stored = CollectorRegistry()
        self._children: dict[tuple[Counter, tuple[str, ...]], Counter] = {}
        self.jobs_accepted = Counter("heliograph_jobs_accepted", "Jobs accepted.", registry=self.registry)
        self.sms_accepted = Counter(
            "heliograph_sms_accepted", "SMS accepted, one per recipient.", registry=self.registry
        )
        self._finished = Counter(
            "heliograph_parts_finished",
            "Final words on parts of SMS (an SMS of one part is one), by status.",
            ["status"],
            registry=self.registry,
        )
        self._outcomes = Counter(
            "heliograph_submit_outcomes",
            "What carriers answered to submitted parts.",
            ["carrier", "outcome"],
            registry=self.registry,
        )
        self.submit_latency = Histogram(
            "heliograph_submit_latency_seconds",
            "From handing a part to the carrier to its answer.",
            ["carrier"],
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "heliograph_parts_in_flight",
            "Parts handed to the carrier and not answered.",
            ["carrier"],
            registry=self.registry,
        )
        self.inbound_sms = Counter(
            "heliograph_inbound_sms",
            "SMS from phones that are whole, or as whole as they get.",
            registry=self.registry,
        )
        self.webhook_attempts = Counter(
            "heliograph_webhook_attempts",
            "POSTs to webhooks, by what came of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.events_given_up = Counter(
            "heliograph_webhook_events_given_up",
            "Events that no further attempt is made to deliver.",
            registry=self.registry,
        )
        self.events_waiting = Gauge(
            "heliograph_webhook_events_waiting",
            "Events that webhooks are to be told.",
            registry=self._stored,
        )
        self.log_lines_lost = Counter(
            "heliograph_log_lines_lost",
            "Lines of the log that could not be written.",
            registry=self.registry,
        )
        self._requests = Counter(
            "heliograph_http_requests",
            "HTTP requests, by operation and status.",
            ["operation", "code"],
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "heliograph_sms_not_final",
            "SMS that are not final, by process status.",
            ["process_status"],
            registry=self._stored,
        )
        self.oldest_due = Gauge(
            "heliograph_oldest_due_age_seconds",
            "How long the oldest SMS that is due has been waiting.",
            ["carrier"],
            registry=self._stored,
        )

    def sms_finished(self, status: str, count: int = 1) -> None:
        """Count final words."""
        self._child(self._finished, status).inc(count)

    def answered(self, carrier: str, outcome: str, count: int = 1) -> None:
        """Count a carrier's answers."""
        self._child(self._outcomes, carrier, outcome).inc(count)

    def requested(self, operation: str, code: int) -> None:
        """Count a request that was answered."""
        self._child(self._requests, operation, str(code)).inc()

    def _child(self, counter: Counter, *labels: str) -> Counter:
        """A counter's child, found faster than `labels` does, which takes a lock each time."""
        key = counter, labels
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = counter.labels(*labels)
        return child

    def exposition(self, *, stored: bool = True) -> bytes:
        """All metrics in the Prometheus text format; stored: those of what is in the store as well."""
        return generate_latest(self.registry) + (generate_latest(self._stored) if stored else b"")
