"""Named queries: SQL files read as what they are."""

import re
from importlib.resources import files
from sqlite3 import complete_statement

ROWS_A_STATEMENT = 50
"""Rows are bound by the half hundred: the interpreter's lock is given up once a statement, not once a row."""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_queries(package: str) -> dict[str, str]:
    """The queries of `queries.sql` in a package, by name, without their comments."""
    _, *pieces = _NAME.split((files(package) / "queries.sql").read_text("utf-8"))
    return {
        name: "\n".join(line for line in text.splitlines() if line.strip() and not line.startswith("--"))
        for name, text in zip(pieces[::2], pieces[1::2], strict=True)
    }


def split_statements(script: str) -> list[str]:
    """The statements of a script, one by one."""
    statements: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements


def load_migrations(package: str) -> list[str]:
    """The scripts in a package's `migrations`, in order."""
    scripts = [path for path in (files(package) / "migrations").iterdir() if path.name.endswith(".sql")]
    return [path.read_text("utf-8") for path in sorted(scripts, key=lambda path: path.name)]
