"""The rows of a CSV file, one after the other; what is wrong with a row is told by its line."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from heliograph.cli.exits import UsageInvalid

MAX_REFERENCE_LENGTH = 255
DELIMITERS = ",;\t"
"""Spreadsheets write a semicolon where the comma is the decimal sign."""


class Row(NamedTuple):
    """What one row says to send. customer_ref: None where it has none. line: of the file, from 1."""

    line: int
    dst: str
    text: str
    customer_ref: str | None


class BadRow(NamedTuple):
    """A row that can't be sent, and why."""

    line: int
    reason: str


def read_rows(file: BinaryIO, name: str, text: str | None) -> Iterator[Row | BadRow]:
    """The rows of a CSV file from its start. Blank lines are none.

    The file has a header row with `dst`, `text` and, if need be, `customerRef`, in any order and case; it is UTF-8,
    with or without a byte order mark. text: for each row, of a file without texts.

    Raises UsageInvalid for a file without the columns, or in another encoding.
    """
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageInvalid(f"{name} is UTF-16; save it as CSV in UTF-8")
    # What is no UTF-8 becomes lone surrogates, so that it is told by its line.
    lines = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows(lines, name, text)
    finally:
        if not file.closed:
            lines.detach()  # The file is read once more.


def _rows(lines: TextIO, name: str, text: str | None) -> Iterator[Row | BadRow]:
    header = lines.readline()
    if not header.strip():
        raise UsageInvalid(f"{name} has no header row; its first line must be dst,text,customerRef")
    delimiter = max(DELIMITERS, key=header.count)
    columns = _columns(next(csv.reader([header], delimiter=delimiter)), name, text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2  # A row may have several lines, and the header has the first.
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(line, _explained(error))
            continue
        if fields:
            yield columns.row(line, fields)


class _Columns(NamedTuple):
    width: int
    dst: int
    text: int | None
    customer_ref: int | None
    fixed_text: str

    def row(self, line: int, fields: Sequence[str]) -> Row | BadRow:
        if len(fields) != self.width:
            return BadRow(
                line, f"it has {len(fields)} fields, and the header {self.width}; a text that holds commas needs quotes"
            )
        dst = fields[self.dst].strip()
        text = self.fixed_text if self.text is None else fields[self.text]
        reference = "" if self.customer_ref is None else fields[self.customer_ref]
        if not dst:
            return BadRow(line, "dst is empty")
        if not text:
            return BadRow(line, "text is empty")
        if len(reference) > MAX_REFERENCE_LENGTH:
            return BadRow(line, f"customerRef has {len(reference)} characters; at most {MAX_REFERENCE_LENGTH} can be")
        if not _is_unicode(dst + text + reference):
            return BadRow(line, "it is not UTF-8; save the file as CSV in UTF-8")
        return Row(line, dst, text, reference or None)


def _columns(header: Sequence[str], name: str, text: str | None) -> _Columns:
    names = [each.strip().lower().replace("_", "") for each in header]
    for column in ("dst", "text", "customerref"):
        if names.count(column) > 1:
            raise UsageInvalid(f"{name} has the column {column} twice")
    if "dst" not in names:
        raise UsageInvalid(f"{name} has no column dst; its first line must be dst,text,customerRef")
    if text is None and "text" not in names:
        raise UsageInvalid(f"{name} has no column text, and no TEXT is given for all rows")
    if text is not None and "text" in names:
        raise UsageInvalid(f"{name} has a column text, and a TEXT is given for all rows; only one of them can hold")
    if text == "":
        raise UsageInvalid("TEXT is empty")
    return _Columns(len(names), names.index("dst"), _place(names, "text"), _place(names, "customerref"), text or "")


def _place(names: Sequence[str], column: str) -> int | None:
    return names.index(column) if column in names else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _explained(error: csv.Error) -> str:
    told = str(error)
    if "end of data" in told:
        return "a quote is opened here and never closed"
    if "field limit" in told:
        return f"a field has more than {csv.field_size_limit()} characters; is a quote not closed?"
    return f"it can't be read: {told}"


def open_csv(path: Path) -> BinaryIO:
    """The file. Raises UsageInvalid where it can't be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageInvalid(f"--csv {path} can't be read: {error.strerror or error}") from error
