"""Writes every document that is derived from the code: `python -m tools.generate`; `--check` only compares.

A generator is a function that returns what its files must hold, text or octets, by their paths from the root.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import (
    api_reference,
    command_line_reference,
    connector_packages,
    connector_pictures,
    sdk_reference,
    settings_reference,
    sync_client,
)

ROOT = Path(__file__).resolve().parent.parent

GENERATORS: tuple[Callable[[], Mapping[str, str | bytes]], ...] = (
    api_reference.files,
    settings_reference.files,
    command_line_reference.files,
    sync_client.files,
    connector_packages.files,
    connector_pictures.files,
    sdk_reference.files,
)


def main() -> int:
    """Write what is out of date; with `--check` name it and return 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if anything is out of date")
    check = parser.parse_args().check
    stale = [(path, content) for path, content in _generated() if not _holds(ROOT / path, content)]
    for path, content in stale:
        if check:
            print(f"{path} is out of date: make golden", file=sys.stderr)
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(content)
            print(f"{path} written")
    return 1 if check and stale else 0


def _generated() -> list[tuple[str, bytes]]:
    return [
        (path, content.encode() if isinstance(content, str) else content)
        for generator in GENERATORS
        for path, content in generator().items()
    ]


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main())
