"""How many parts may go to a carrier now. Decisions only."""

BURST_S = 0.1
"""So much of a second's worth may go at once after a pause."""


class Pacer:
    """Keeps to an agreed rate, in parts a second; a pause is not made up for.

    In any stretch of time no more goes than the rate allows, plus a burst of `BURST_S` (one part at least).
    """

    def __init__(self, rate_per_s: float | None) -> None:
        """rate_per_s: None for no limit."""
        self._rate_per_s = rate_per_s
        self._burst = max(1.0, (rate_per_s or 0) * BURST_S)
        self._tokens = self._burst
        self._filled_at_s: float | None = None

    def room(self, now_s: float) -> int | None:
        """How many parts may go now; None for any number."""
        if self._rate_per_s is None:
            return None
        if self._filled_at_s is not None:
            earned = (now_s - self._filled_at_s) * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + earned)
        self._filled_at_s = now_s
        return max(0, int(self._tokens + _ROUNDING))

    def spend(self, count: int) -> None:
        """So many parts are going."""
        self._tokens -= count

    def next_room_s(self) -> float:
        """How long from the last `room` it is worth waiting for more, in seconds.

        That is half a burst: each look at the store costs it a transaction, which one part alone isn't worth.
        """
        if self._rate_per_s is None:
            return 0.0
        worth_it = max(1.0, self._burst / 2)
        return max(0.0, (worth_it - self._tokens) / self._rate_per_s)


_ROUNDING = 1e-6
"""Parts; so that a wait for one part is not followed by another wait for what sums of fractions fall short."""
