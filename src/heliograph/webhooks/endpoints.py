"""How much each webhook is given at a time: as much as it takes well, and next to nothing while it takes none. Pure."""

from heliograph.jobs.webhooks import WebhookId

PATIENCE = 3
"""How many failures in a row are nothing yet; from then on there is one attempt at a time, with pauses."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""The pause doubles with each further failure."""


class Endpoint:
    """One webhook, as this process has come to know it. most: how many POSTs it may have under way at best.

    It begins with one POST at a time. Each that is taken makes it one more, each that isn't halves them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = 1
        self._under_way = 0
        self._failures = 0
        self._paused_until_s = 0.0

    def room(self, now_s: float) -> int:
        """How many more POSTs it may have."""
        return 0 if now_s < self._paused_until_s else max(0, self._allowed - self._under_way)

    @property
    def paused_until_s(self) -> float:
        """Until when it is given nothing."""
        return self._paused_until_s

    @property
    def is_idle(self) -> bool:
        """Whether it has no POST under way."""
        return not self._under_way

    def begin(self) -> None:
        """A POST begins."""
        self._under_way += 1

    def end(self, now_s: float, *, taken: bool) -> None:
        """A POST is over."""
        self._under_way -= 1
        if taken:
            self._failures = 0
            self._paused_until_s = 0.0
            self._allowed = min(self._most, self._allowed + 1)
            return
        self._failures += 1
        self._allowed = max(1, self._allowed // 2)
        if self._failures >= PATIENCE:
            self._allowed = 1
            pause_s = FIRST_PAUSE_S * 2.0 ** min(self._failures - PATIENCE, 32)
            self._paused_until_s = now_s + min(pause_s, LONGEST_PAUSE_S)


class Endpoints:
    """All webhooks that have been told something lately. A new one begins carefully."""

    new_room = 1
    """The room of a webhook that nothing is known of."""

    def __init__(self, most: int, most_remembered: int = 10_000) -> None:
        self._most = most
        self._most_remembered = most_remembered
        self._by_webhook: dict[WebhookId, Endpoint] = {}

    def of(self, webhook: WebhookId) -> Endpoint:
        """What is known of a webhook; it is used, so it is forgotten later than others."""
        endpoint = self._by_webhook.pop(webhook, None) or Endpoint(self._most)
        self._by_webhook[webhook] = endpoint
        return endpoint

    def rooms(self, now_s: float) -> dict[WebhookId, int]:
        """The room of each that something is known of."""
        return {webhook: endpoint.room(now_s) for webhook, endpoint in self._by_webhook.items()}

    def next_pause_over_s(self, now_s: float) -> float:
        """In how many seconds the first pause is over; LONGEST_PAUSE_S if there is none."""
        ends = (endpoint.paused_until_s - now_s for endpoint in self._by_webhook.values())
        return min((end for end in ends if end > 0), default=LONGEST_PAUSE_S)

    def forget_some(self) -> None:
        """Forget what was used longest ago, beyond those that can be remembered; never one with POSTs under way."""
        excess = len(self._by_webhook) - self._most_remembered
        for webhook, endpoint in list(self._by_webhook.items())[: max(0, excess)]:
            if endpoint.is_idle:
                del self._by_webhook[webhook]
