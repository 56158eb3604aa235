"""Writes every document that is derived from the code: `python -m tools.generate`; `--check` only compares.

A generator is a module here whose `files()` returns what its files must hold, text or octets, by their paths from the
root.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

GENERATORS = (
    "sync_client",  # The others may import what it writes, so they are imported after it.
    "api_reference",
    "settings_reference",
    "command_line_reference",
    "connector_packages",
    "connector_pictures",
    "log_events_reference",
    "metrics_reference",
    "sdk_reference",
    "tools_reference",
)


def main() -> int:
    """Write what is out of date; with `--check` name it and return 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if anything is out of date")
    check = parser.parse_args().check
    stale_count = 0
    for path, content in _generated():
        if _holds(ROOT / path, content):
            continue
        stale_count += 1
        if check:
            print(f"{path} is out of date: make golden", file=sys.stderr)
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(content)
            print(f"{path} written")
    return 1 if check and stale_count else 0


def _generated() -> Iterator[tuple[str, bytes]]:
    for name in GENERATORS:
        for path, content in import_module(f"tools.{name}").files().items():
            yield path, content.encode() if isinstance(content, str) else content


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main())
