"""Where rows come from: a file, or stdin, which is kept in a temporary file, for it is read twice."""

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from heliograph.cli.bulk.batches import Batch, batches
from heliograph.cli.bulk.rows import BadRow, Row, open_csv, read_rows
from heliograph.cli.exits import UsageInvalid

STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Source:
    """A CSV file, to be read as often as needed. text: for each row, of a file without texts. most: rows in a job."""

    name: str
    file: BinaryIO
    text: str | None
    most: int

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows, from the start."""
        return read_rows(self.file, self.name, self.text)

    def batches(self) -> Iterator[Batch]:
        """The rows that can be sent, from the start."""
        return batches((row for row in self.rows() if isinstance(row, Row)), self.most)


@contextmanager
def source(path: Path, text: str | None, most: int) -> Generator[Source]:
    """A CSV file; `-` is stdin. Raises UsageInvalid where it can't be read."""
    if path == STDIN:
        with tempfile.TemporaryFile() as spooled:
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            yield Source("the CSV on stdin", spooled, text, most)
        return
    with open_csv(path) as file:
        if not file.seekable():
            raise UsageInvalid(f"--csv {path} can be read but once; give it on stdin, with --csv -")
        yield Source(str(path), file, text, most)
