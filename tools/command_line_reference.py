"""docs/reference/command-line.md: every command as its help tells of it, and the exit codes."""

from io import StringIO

from rich.console import Console

from heliograph.cli.exits import EXIT_MEANINGS
from heliograph.cli.main import app

PATH = "docs/reference/command-line.md"
WIDTH = 80

INTRODUCTION = """\
<!-- Generated from src/heliograph/cli by `make golden`; change it there. -->

# Command line

What a script may want goes to stdout: the list, the password that was made up, JSON with `--json`. What is for the
person at the terminal goes to stderr, and an error is one line there, never a traceback.

Settings come from `heliograph.toml`, `HELIOGRAPH_*` variables and flags: see [Settings](settings.md).

## Exit codes

| Code | Meaning |
| --- | --- |
"""


def files() -> dict[str, str]:
    """The document."""
    parts = [INTRODUCTION + "".join(f"| {code.value} | {meaning} |\n" for code, meaning in EXIT_MEANINGS.items())]
    parts += [f"## `{command}`\n\n```text\n{help_text}```\n" for command, help_text in help_by_command().items()]
    return {PATH: "\n".join(parts)}


def help_by_command() -> dict[str, str]:
    """What `--help` prints of every command, `heliograph` itself first."""
    return {" ".join(["heliograph", *tokens]): _help(tokens) for tokens in _commands()}


def _commands() -> list[list[str]]:
    found: list[list[str]] = [[]]
    for tokens in found:  # It grows while it is walked.
        group = app
        for token in tokens:
            group = group[token]
        found += [[*tokens, name] for name in group if not name.startswith("-")]
    return found


def _help(tokens: list[str]) -> str:
    text = StringIO()
    app.help_print(tokens, console=Console(file=text, width=WIDTH, color_system=None, legacy_windows=False))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())
