"""src/heliograph/sdk/sync.py, from the asynchronous client: the same without waiting for an event loop."""

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path("src/heliograph/sdk/aio.py")
PATH = "src/heliograph/sdk/sync.py"

ROOT = Path(__file__).resolve().parent.parent

DOCSTRING = '"""The client. Generated from `aio.py` by `make golden`; change it there."""'

RULES = (
    (r"\A\"\"\".*?\"\"\"", DOCSTRING),
    (r"\bawait ", ""),
    (r"\basync (?=def|with|for)", ""),
    (r"`async with`", "`with`"),
    (r"\b__a(enter|exit)__", r"__\1__"),
    (r"\bAsyncBaseTransport\b", "BaseTransport"),
    (r"\bAsync(Client|Iterator)\b", r"\1"),
    (r"\banext\(", "next("),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\baclose\b", "close"),
    (r"\b(System)?Clock\b", r"Blocking\1Clock"),
)

FIXES = ("check", "--select", "I,UP028", "--fix-only", "--unsafe-fixes", "--quiet")
"""Imports in the order of their new names, and `yield from`, which only a generator without `async` can."""
FORMAT = ("format", "--quiet")


def files() -> dict[str, str]:
    """The module, in its format."""
    text = (ROOT / SOURCE).read_text("utf-8")
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    for command in (FIXES, FORMAT):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", PATH, "-"],
            cwd=ROOT,
            input=text,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
    return {PATH: text}
