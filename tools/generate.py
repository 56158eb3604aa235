"""Writes every document that is derived from the code: `python -m tools.generate`; `--check` only compares.

A generator is a function that returns what its files must hold, by their paths from the root of the tree.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tools import api_reference, command_line_reference, settings_reference, sync_client

ROOT = Path(__file__).resolve().parent.parent

GENERATORS: tuple[Callable[[], dict[str, str]], ...] = (
    api_reference.files,
    settings_reference.files,
    command_line_reference.files,
    sync_client.files,
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
            (ROOT / path).write_text(content, "utf-8", newline="\n")
            print(f"{path} written")
    return 1 if check and stale else 0


def _generated() -> list[tuple[str, str]]:
    return [item for generator in GENERATORS for item in generator().items()]


def _holds(path: Path, content: str) -> bool:
    return path.is_file() and path.read_bytes() == content.encode()


if __name__ == "__main__":
    sys.exit(main())
