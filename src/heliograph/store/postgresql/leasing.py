"""How segments that are due are leased: lane after lane, account after account, around other nodes."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from heliograph.store.interface import PART_BITS, DuePart
from heliograph.store.postgresql.connection import Connection, Row
from heliograph.store.postgresql.doubt import LeaseTaken
from heliograph.store.postgresql.locks import SUBJECTS, Subject
from heliograph.store.postgresql.presence import Presence
from heliograph.store.postgresql.settling import SmsAtWork
from heliograph.store.postgresql.texts import told
from heliograph.store.postgresql.writes import Lease
from heliograph.store.rows import due_parts, instant_ms, instant_ms_up

ACCOUNTS_A_LEASE = 64
"""How many accounts one lease looks at; the next one goes on where it stopped."""


class Leased(NamedTuple):
    """What a lease took, as parts and as rows, and the account whose turn it was last."""

    parts: list[DuePart]
    taken: LeaseTaken
    last_served: int


class Leasing:
    """Leases of one node. last_served: by carrier, the account whose turn it was last."""

    def __init__(self, presence: Presence | None = None) -> None:
        self._presence = presence
        self._node = presence.node if presence is not None else None
        self.last_served: dict[str, int] = {}

    async def lease(self, db: Connection, work: SmsAtWork, lease: Lease) -> Leased:
        """Take what is due, for one carrier."""
        await db.query("lock", SUBJECTS, [Subject.BLOCKLIST], [False])
        now = instant_ms(lease.now)
        while True:
            last = self.last_served.get(lease.carrier, 0)
            wanted: list[int] = []
            for lane in (0, 1):
                room = lease.limit - len(wanted)
                if lane and lease.normal_limit is not None:
                    room = min(room, lease.normal_limit)
                if room > 0:
                    taken, last = await self._take_turns(db, lease, lane, room, now, last)
                    wanted += taken
            rows = await db.query("leased", wanted) if wanted else ()
            ended, busy = await _end_blocked(work, rows, lease.now)
            if not ended:
                break
        rows = [row for row in rows if row[0] >> PART_BITS not in busy]
        segments, until = [row[0] for row in rows], instant_ms_up(lease.until)
        if rows:
            await db.run("lease", segments, until, self._node)
        taken = LeaseTaken(lease.carrier, segments, [row[1] for row in rows], now, until)
        return Leased([*due_parts(_as_told(row) for row in rows)], taken, last)

    async def _take_turns(
        self, db: Connection, lease: Lease, lane: int, limit: int, now: int, last: int
    ) -> tuple[list[int], int]:
        takes_over = self._presence is None or self._presence.sees_clearly
        turns = [row[0] for row in await db.query("accounts_due", lease.carrier, lane, last, now, ACCOUNTS_A_LEASE)]
        if not turns:
            return [], last
        # Every account is asked for the same number, so that going round them in turn never runs short by mistake.
        depth = -(-limit // len(turns))
        while True:
            found: dict[int, list[int]] = {account: [] for account in turns}
            due = await db.query("take_due", turns, lease.carrier, lane, now, depth, takes_over, self._node)
            for account, segment in due:
                found[account].append(segment)
            if sum(map(len, found.values())) >= limit or all(len(each) < depth for each in found.values()):
                break
            depth *= 2
        taken: list[int] = []
        for turn in range(depth):
            for account, segments in found.items():
                if turn < len(segments) and len(taken) < limit:
                    taken.append(segments[turn])
                    last = account
        return taken, last


async def _end_blocked(work: SmsAtWork, rows: Iterable[Row], now: datetime) -> tuple[set[int], set[int]]:
    """SMS that end as BLOCKED; and others that might, were nobody busy with them: they are left for the next lease."""
    part_counts = {row[0] >> PART_BITS: row[9] for row in rows if row[18]}
    if not part_counts:
        return set(), set()
    busy = await work.hold_at_once(part_counts)
    ended = work.end_waiting(part_counts.keys() - busy, now)
    await work.write()
    return ended, busy


def _as_told(row: Row) -> tuple[object, ...]:
    """A row of the query `leased` as `due_parts` reads it."""
    number, state, attempts, status, reason, heard, expires, blackouts, dst, part_count, text, *rest, message_id, _ = (
        row
    )
    texts = told(dst), part_count, told(text)
    known = number, state, attempts, status, told(reason), heard, expires, blackouts
    return *known, *texts, *rest, message_id and told(message_id)
