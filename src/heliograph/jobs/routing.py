"""Which carriers to try for a number, and in which order."""

from collections.abc import Sequence

import msgspec


class Route(msgspec.Struct, frozen=True):
    """Numbers that begin with one of `to` go to `carriers`, in that order; a lone `+` is everywhere."""

    to: tuple[str, ...]
    carriers: tuple[str, ...]


class Routing:
    """The routes of an installation; the longest prefix wins."""

    def __init__(self, routes: Sequence[Route], default: str) -> None:
        """default: the carrier that takes everything when there are no routes at all."""
        self._by_prefix = {prefix: route.carriers for route in routes for prefix in route.to}
        if not routes:
            self._by_prefix = {"+": (default,)}
        self._longest = max(map(len, self._by_prefix), default=0)

    def carriers_for(self, e164: str) -> tuple[str, ...]:
        """The carriers for a number in E.164; empty when no route leads there."""
        for length in range(min(self._longest, len(e164)), 0, -1):
            carriers = self._by_prefix.get(e164[:length])
            if carriers is not None:
                return carriers
        return ()
