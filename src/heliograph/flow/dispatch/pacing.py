"""How many parts may go to a carrier now. Decisions only."""

import math

BURST_S = 0.1
"""So much of a second's worth may go at once after a pause."""
SLOWEST_PER_S = 1.0
"""Below this no throttling brings the rate."""
RECOVERY_S = 10.0
"""After throttling, in how many seconds as much rate comes back as was left."""
UNPACED_PER_S = 10_000.0
"""A carrier without an agreed rate that has recovered so far is not held back any more."""
_RATE_WINDOW_S = 1.0
"""Over what time it is measured how fast parts went."""


class Pacer:
    """Keeps to an agreed rate, in parts a second; a pause is not made up for.

    In any stretch of time no more goes than the rate allows, plus a burst of `BURST_S` (one part at least).
    A carrier that says that this is too much gets a pause, then half of what went last, then slowly more.
    """

    def __init__(self, rate_per_s: float | None, *, throttle_pause_s: float | None = None) -> None:
        """rate_per_s: None for no limit. throttle_pause_s: the pause; None if throttling is not the pacer's affair."""
        self._whole_per_s = self._agreed_per_s = rate_per_s
        self._throttle_pause_s = throttle_pause_s
        self._burst = max(1.0, (rate_per_s or 0) * BURST_S)
        self._tokens = self._burst
        self._filled_at_s: float | None = None

        self._paused_until_s = -math.inf
        self._left_per_s: float | None = None
        """What throttling has left of the rate, when the pause ends; None if it is as agreed."""
        self._rate_per_s = rate_per_s
        self._looked_at_s = 0.0
        self._measured_from_s = 0.0
        self._spent = 0
        self._measured_per_s = 0.0

    def room(self, now_s: float) -> int | None:
        """How many parts may go now; None for any number."""
        self._looked_at_s = now_s
        if now_s < self._paused_until_s:
            return 0
        self._recover(now_s)
        rate_per_s = self._rate_per_s
        if rate_per_s is None:
            return None
        if self._filled_at_s is not None:
            earned = (now_s - self._filled_at_s) * rate_per_s
            self._tokens = min(self._burst, self._tokens + earned)
        self._filled_at_s = now_s
        return max(0, int(self._tokens + _ROUNDING))

    def spend(self, count: int) -> None:
        """So many parts are going."""
        self._tokens -= count
        self._measure()
        self._spent += count

    def next_room_s(self) -> float:
        """How long from the last `room` it is worth waiting for more, in seconds.

        That is half a burst: each look at the store costs it a transaction, which one part alone isn't worth.
        """
        if self._looked_at_s < self._paused_until_s:
            return self._paused_until_s - self._looked_at_s
        if self._rate_per_s is None:
            return 0.0
        worth_it = max(1.0, self._burst / 2)
        return max(0.0, (worth_it - self._tokens) / self._rate_per_s)

    def throttled(self, now_s: float) -> None:
        """The carrier says that it was too much. What it says of parts that went before the pause counts once."""
        if self._throttle_pause_s is None or now_s < self._paused_until_s:
            return
        self._looked_at_s = now_s
        self._measure()
        self._recover(now_s)
        went_per_s = max(self._measured_per_s, self._spent / _RATE_WINDOW_S)
        if self._rate_per_s is not None:
            went_per_s = min(went_per_s, self._rate_per_s)
        self._left_per_s = max(SLOWEST_PER_S, went_per_s / 2)
        self._paused_until_s = now_s + self._throttle_pause_s
        self._set_rate(self._left_per_s)
        self._tokens = 1.0
        self._filled_at_s = self._paused_until_s

    def forgive(self) -> None:
        """It was not too much after all: the rate is as agreed again, at once."""
        self._left_per_s = None
        self._paused_until_s = -math.inf
        self._set_rate(self._agreed_per_s)

    def take_share(self, share: float) -> None:
        """Keep to a part of the rate, above 0 and up to 1, because others send to the same carrier."""
        if self._whole_per_s is None:
            return
        self._agreed_per_s = self._whole_per_s * share
        if self._left_per_s is None or self._left_per_s >= self._agreed_per_s:
            self._left_per_s = None
            self._set_rate(self._agreed_per_s)

    @property
    def throttle_pause_s(self) -> float:
        """How long nothing goes after throttling."""
        return self._throttle_pause_s or 0.0

    @property
    def paused_until_s(self) -> float:
        """Until when nothing may go; in the past if something may."""
        return self._paused_until_s

    def _measure(self) -> None:
        elapsed_s = self._looked_at_s - self._measured_from_s
        if elapsed_s >= _RATE_WINDOW_S:
            self._measured_per_s = self._spent / elapsed_s
            self._measured_from_s, self._spent = self._looked_at_s, 0

    def _recover(self, now_s: float) -> None:
        if self._left_per_s is None:
            return
        regained = self._left_per_s * (now_s - self._paused_until_s) / RECOVERY_S
        rate_per_s = self._left_per_s + max(0.0, regained)
        enough = self._agreed_per_s or UNPACED_PER_S
        if rate_per_s >= enough:
            self._left_per_s = None
            self._set_rate(self._agreed_per_s)
        else:
            self._set_rate(rate_per_s)

    def _set_rate(self, rate_per_s: float | None) -> None:
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, (rate_per_s or 0) * BURST_S)
        self._tokens = min(self._tokens, self._burst)


_ROUNDING = 1e-6
"""Parts; so that a wait for one part is not followed by another wait for what sums of fractions fall short."""
