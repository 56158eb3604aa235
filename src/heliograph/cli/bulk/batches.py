"""Rows → batches: each is one job, whose rows with the same text share a message."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from heliograph.cli.bulk.rows import Row
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.sdk import Message, Recipient
from heliograph.sdk.calls import MAX_MESSAGES_OCTETS

OCTETS_BESIDES = 100
"""At most so many of a row's octets in a request are names and punctuation of JSON."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one job. number: from 1."""

    number: int
    rows: tuple[Row, ...]

    @property
    def lines(self) -> tuple[int, int]:
        """The lines of its first and last row."""
        return self.rows[0].line, self.rows[-1].line

    def digest(self) -> str:
        """What changes whenever a row does."""
        hashed = hashlib.sha256(msgspec.json.encode([row[1:] for row in self.rows]))
        return hashed.hexdigest()

    def messages(self) -> list[Message]:
        """Its texts, in the order in which they come first, each with all its recipients."""
        return [
            Message(text, [Recipient(row.dst, row.customer_ref) for row in rows])
            for text, rows in self._by_text().items()
        ]

    def row_at(self, message: int, recipient: int) -> Row | None:
        """The row that became this recipient of this message, both counted from 0."""
        by_text = list(self._by_text().values())
        if message < len(by_text) and recipient < len(by_text[message]):
            return by_text[message][recipient]
        return None

    def _by_text(self) -> dict[str, list[Row]]:
        by_text: dict[str, list[Row]] = {}
        for row in self.rows:
            by_text.setdefault(row.text, []).append(row)
        return by_text


def batches(rows: Iterable[Row], most: int = MAX_RECIPIENTS) -> Iterator[Batch]:
    """The rows in their order, in batches of at most `most` rows, each small enough for one request."""
    number = 1
    batch: list[Row] = []
    texts: set[str] = set()
    free_octets = MAX_MESSAGES_OCTETS
    for row in rows:
        octets = OCTETS_BESIDES + _octets(row.dst) + _octets(row.customer_ref or "")
        text_octets = 0 if row.text in texts else _octets(row.text)
        if batch and (len(batch) == most or octets + text_octets > free_octets):
            yield Batch(number, tuple(batch))
            number += 1
            batch, free_octets = [], MAX_MESSAGES_OCTETS
            texts.clear()
            text_octets = _octets(row.text)
        batch.append(row)
        texts.add(row.text)
        free_octets -= octets + text_octets
    if batch:
        yield Batch(number, tuple(batch))


def _octets(text: str) -> int:
    return len(msgspec.json.encode(text))
