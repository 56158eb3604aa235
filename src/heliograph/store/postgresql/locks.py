"""Advisory locks: what is locked that is no row. Two numbers each, so that they are nobody else's in the database."""

from enum import IntEnum
from zlib import crc32

SCHEMA_LOCK = 0x48656C69
"""Whoever changes the schema has it; alone, in the space of locks with one number."""
HISTORY_LOCK = 0x48656C68
"""Whoever drops partitions has it; alone, in the space of locks with one number."""
NODES = 0x48656C6E
"""With a node's number: held by the node's process while it lives."""
CARRIERS = 0x48656C63
"""With a carrier's: shared by who stores message ids, taken by who keeps a receipt of which the id isn't stored."""
SPENDERS = 0x48656C70
"""With an account's number: taken by who adds a job that an agent asked for, last of all that it takes."""
SUBJECTS = 0x48656C73


class Subject(IntEnum):
    """With SUBJECTS."""

    BLOCKLIST = 1
    """Shared by leases, taken by who blocks a number: what is leased afterwards knows of it."""
    INBOUND = 2
    """Taken by whoever puts parts of SMS from phones together, or gathers who wrote to which phones."""
    WEBHOOKS = 3
    """Taken by who adds a webhook, for an account can have so many and no more."""


def carrier_key(carrier: str) -> int:
    """A carrier's number. Two may have the same: then they wait for each other, needlessly, now and then."""
    return crc32(carrier.encode()) & 0x7FFFFFFF
