"""docs/reference/smpp-checklist.md is true: what it names as shown by a test is, and each line says one or other."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/reference/smpp-checklist.md").read_text("utf-8")
LINES = [
    line.strip("|").split("|")
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what | shown by")
]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


@cache
def named_in(path):
    """The names of a file's tests."""
    tree = ast.parse((TESTS / path).read_text("utf-8"))
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return {each.name for each in functions if each.name.startswith("test_")}


def test_there_is_something_to_check():
    assert len(LINES) > 60
    assert len(NAMED) > 120


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_checklist_names_exists(path, name):
    assert name in named_in(path)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0].strip()[:60])
def test_a_line_names_a_test_or_says_why_there_is_none(line):
    what, shown = line
    assert what.strip()
    assert re.search(r"`[\w/]+\.py::\w+`", shown) or re.match(r" (Left out|No test): .{20}", shown)
    assert "::" not in re.sub(r"`[\w/]+\.py::\w+`", "", shown), "a test that is named wrongly"
