"""Which carriers to try for an SMS, and in which order."""

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

import msgspec


class Route(msgspec.Struct, frozen=True):
    """Numbers that begin with one of `to` go to `carriers`, in that order; a lone `+` is everywhere.

    accounts, senders: whose SMS, and with which src; empty is all. weights: how many of every so many SMS begin with
    each carrier, for the others to follow in order; empty is that all begin with the first.
    """

    to: tuple[str, ...]
    carriers: tuple[str, ...]
    accounts: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    weights: tuple[int, ...] = ()

    @property
    def precedence(self) -> tuple[bool, bool]:
        """Among routes with one prefix, the greatest goes first: account and sender, sender, account, neither."""
        return bool(self.senders), bool(self.accounts)


class OwnAlphabet(msgspec.Struct, frozen=True):
    """In what a carrier takes STANDARD texts that doesn't take them in the GSM alphabet.

    codec: what Python calls it, `latin-1` or `ascii`. flash: whether flash texts are written in it, too.
    """

    codec: str
    flash: bool

    def lacks(self, text: str, *, flash: bool) -> str:
        """The first character of a STANDARD text that can't be written for the carrier; empty if there is none."""
        if flash and not self.flash:
            return ""
        try:
            text.encode(self.codec)
        except UnicodeEncodeError as fault:
            return text[fault.start]
        return ""


class Routing:
    """The routes of an installation; the longest prefix wins among those that hold for an account and a sender."""

    def __init__(
        self,
        routes: Sequence[Route],
        default: str,
        *,
        wide: Collection[str] = (),
        alphabets: Mapping[str, OwnAlphabet] | None = None,
    ) -> None:
        """default: the carrier that takes everything when there are no routes at all.

        wide: the carriers that join parts by a reference of 16 bits, so that a part holds a character less.
        alphabets: of the carriers that have one of their own for STANDARD texts.
        """
        self.wide = frozenset(wide)
        self.alphabets = dict(alphabets or {})
        self._by_prefix: dict[str, list[_Way]] = {}
        for route in routes or [Route(("+",), (default,))]:
            way = _Way(route)
            for prefix in route.to:
                self._by_prefix.setdefault(prefix, []).append(way)
        for ways in self._by_prefix.values():
            ways.sort(key=lambda way: way.route.precedence, reverse=True)
        self._longest = max(map(len, self._by_prefix), default=0)

    def carriers_for(self, e164: str, account: str = "", src: str = "", turn: int = 0) -> tuple[str, ...]:
        """The carriers for a number in E.164; empty when no route leads there.

        turn: tells SMS apart; where carriers share, those with successive turns go as the weights say.
        """
        for length in range(min(self._longest, len(e164)), 0, -1):
            for way in self._by_prefix.get(e164[:length], ()):
                if way.holds_for(account, src):
                    return way.carriers(turn)
        return ()


class _Way:
    """A route, and in which orders its carriers are tried."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._orders = [
            (first, *(other for other in route.carriers if other != first)) for first in dict.fromkeys(route.carriers)
        ]
        self._bounds = [*accumulate(route.weights)]

    def holds_for(self, account: str, src: str) -> bool:
        route = self.route
        return (not route.accounts or account in route.accounts) and (not route.senders or src in route.senders)

    def carriers(self, turn: int) -> tuple[str, ...]:
        if not self._bounds:
            return self._orders[0]
        place = turn % self._bounds[-1]
        return next(order for order, bound in zip(self._orders, self._bounds, strict=True) if place < bound)
