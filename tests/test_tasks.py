"""Each task has an owner: a TaskGroup, or whoever a comment above it names."""

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[1] / "src").rglob("*.py"))
BEGINS_A_TASK = {"create_task", "ensure_future"}


def without_owner(source):
    """The lines that begin tasks for which nobody answers."""
    tree, lines = ast.parse(source), source.splitlines()
    groups = {ast.unparse(name) for name in map(group_of, ast.walk(tree)) if name is not None}
    return [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in BEGINS_A_TASK
        if ast.unparse(call.func.value) not in groups and "Owner: " not in comment_above(lines, call.lineno)
    ]


def group_of(node):
    """What a node calls a TaskGroup."""
    match node:
        case ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="TaskGroup")), optional_vars=name):
            return name
        case ast.arg(arg=name, annotation=ast.Attribute(attr="TaskGroup")):
            return ast.Name(name)
        case _:
            return None


def comment_above(lines, line):
    first = line - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(lines[first : line - 1])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_task_has_an_owner(path):
    assert without_owner(path.read_text("utf-8")) == []


def test_a_task_without_an_owner_is_found_however_it_is_spelled():
    begun = (
        "asyncio.ensure_future(work())",
        "asyncio.get_running_loop().create_task(work())",
        "loop.create_task(work())",
    )
    for each in begun:
        assert without_owner(f"import asyncio\nkept = {each}\n") == [2]
        assert without_owner(f"import asyncio\n# Owner: who keeps it.\nkept = {each}\n") == []
    assert without_owner("async def f(tasks: asyncio.TaskGroup):\n    tasks.create_task(work())\n") == []
    assert without_owner("async with asyncio.TaskGroup() as tasks:\n    tasks.create_task(work())\n") == []
