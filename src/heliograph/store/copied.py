"""What goes from one database into another: `heliograph db copy`."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

ROWS_AT_ONCE = 5000
"""Read, sent and shown as progress together."""
LENGTH_AT_ONCE = 4_000_000
"""In characters and octets: where rows are so long that fewer fill it, it is those."""


class CopiedTable(NamedTuple):
    """A table's rows, on their way. columns: as the database that takes them calls them. row_count: of all of them."""

    name: str
    columns: tuple[str, ...]
    row_count: int
    rows: Iterator[Sequence[tuple[Any, ...]]]


class Copied(NamedTuple):
    """What was copied. counts: rows by table, counted where they are now. is_new: or they had been copied before."""

    counts: dict[str, int]
    is_new: bool
