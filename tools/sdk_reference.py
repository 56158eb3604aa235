"""docs/reference/sdk.md: the public names of the SDK, from their own definitions and docstrings."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from textwrap import dedent
from types import ModuleType

from heliograph import sdk
from heliograph.jobs.errors import HeliographError
from heliograph.jobs.options import OPTIONS, Option
from heliograph.jobs.status import MEANINGS
from heliograph.sdk import errors, models
from tools import sync_client

PATH = "docs/reference/sdk.md"

INTRODUCTION = """\
<!-- Generated from src/heliograph/sdk by `make golden`; change it there. -->

# Python SDK

`from heliograph import Client`, and so with every name on this page, once heliograph is installed. How to begin:
[SMS from Python](../how-to/python.md). What the fields mean in full: [API](api.md).

`AsyncClient` has the same methods with the same arguments: those that return one thing are awaited, and those that
return an `Iterator` are gone through with `async for`.
"""

OPTIONS_INTRODUCTION = """\
## Options of a job

Keyword arguments of `send`, `send_messages` and the previews; `Options` is a dictionary of them. The defaults are the
account's own, if it has others.
"""

PERIOD = """\
### Period

The time from `start` up to, but without, `end`, both with a time zone: `Period(start, end)`.
"""

WORDS_INTRODUCTION = """\
## Words

They are `StrEnum`s: `Qos.EXPRESS` and `"EXPRESS"` mean the same.
"""

ERRORS_INTRODUCTION = """\
## Errors and warnings

Errors are grouped by who has to act. All but `SettingsInvalid` are `ClientError`s, and all are `HeliographError`s.
"""

ELSEWHERE = {"SettingsInvalid": "A setting is missing or can't be: the URL, the username, the password, `verify`."}


def files() -> dict[str, str]:
    """The document."""
    return {PATH: "\n".join(line for part in _parts() for line in (part.rstrip("\n"), ""))}


def _parts() -> Iterator[str]:
    yield INTRODUCTION
    yield "## Client"
    yield from _methods(sync_client.files()[sync_client.PATH])  # The module may be out of date, and about to change.
    yield OPTIONS_INTRODUCTION
    yield _table(("Option", "Type", "Default", "Meaning"), (_option(option) for option in OPTIONS))
    yield "## What is sent, and told"
    for name in _public(models):
        node = _classes(inspect.getsource(models))[name]
        if name != "Options":
            yield f"### {name}\n\n{_prose(ast.get_docstring(node))}"
            yield _fields(node)
    yield PERIOD
    yield f"### split_messages\n\n{_prose(inspect.getdoc(sdk.split_messages))}"
    yield WORDS_INTRODUCTION
    for kind in sorted(filter(_is_enum, (getattr(sdk, name) for name in sdk.__all__)), key=lambda kind: kind.__name__):
        yield f"### {kind.__name__}\n\n{_prose(inspect.getdoc(kind))}\n\n{_members(kind)}"
    yield ERRORS_INTRODUCTION
    yield _table(("Error", "Is also", "Meaning"), _errors())


def _public(module: ModuleType) -> list[str]:
    """The SDK's classes that a module defines, in its order."""
    return [name for name in _classes(inspect.getsource(module)) if name in sdk.__all__]


def _classes(source: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _methods(source: str) -> Iterator[str]:
    node = _classes(source)["Client"]
    yield _prose(ast.get_docstring(node))
    lines = source.splitlines()
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and (method.name == "__init__" or not method.name.startswith("_")):
            head = dedent("\n".join(lines[method.lineno - 1 : method.body[0].lineno - 1])).removeprefix("def ")
            if method.name == "__init__":
                head = head.replace("__init__", node.name, 1)
            else:
                yield f"### {method.name}"
            if method.decorator_list:
                head = f"{node.name}.{head}"
            yield f"```python\n{_without_self(head)}\n```\n\n{_prose(ast.get_docstring(method))}"


def _without_self(head: str) -> str:
    head = re.sub(
        r"\(\s*(?:self|cls)(?:, |,\n\s*)?", lambda found: "(\n    " if "\n" in found[0] else "(", head, count=1
    )
    return head.removesuffix(":").removesuffix(" -> None").replace("(\n    ) ->", "() ->")


def _fields(node: ast.ClassDef) -> str:
    rows: list[tuple[str, ...]] = []
    for field in node.body:
        match field:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                rows.append((f"`{name}`", f"`{ast.unparse(kind)}`", _default(value)))
            case ast.FunctionDef(name=name, returns=ast.expr() as kind) if not name.startswith("_"):
                rows.append((f"`{name}`", f"`{ast.unparse(kind)}`", ast.get_docstring(field) or ""))
            case _:
                pass
    return _table(("Field", "Type", "If absent"), rows)


def _default(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call):  # dataclasses.field(default=…)
        value = next((keyword.value for keyword in value.keywords if keyword.arg == "default"), None)
    return "" if value is None else f"`{ast.unparse(value)}`"


def _option(option: Option) -> tuple[str, ...]:
    kinds = {"job_period": "aware datetime", "blackout_periods": "Periods"}
    kind = kinds.get(option.name) or option.kind.__name__
    default = option.default
    if default is None or default == ():
        shown = "none"
    else:
        shown = f"`{default!r}`" if not isinstance(default, StrEnum) else f"`{default}`"
    return f"`{option.name}`", kind, shown, option.rule.description


def _is_enum(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, StrEnum)


def _members(kind: type[StrEnum]) -> str:
    rows: list[tuple[str, ...]] = []
    for member in kind:
        meanings = [meaning for pair, meaning in MEANINGS.items() if member in pair] if kind is sdk.Status else []
        rows.append((f"`{kind.__name__}.{member.name}`", f"`{member.value!r}`", "; ".join(meanings)))
    if not any(row[2] for row in rows):
        return _table(("Member", "Value"), (row[:2] for row in rows))
    return _table(("Member", "Value", "Meaning"), rows)


def _errors() -> Iterator[tuple[str, ...]]:
    for name in [*_public(errors), *ELSEWHERE]:
        kind = getattr(sdk, name)
        bases = [base.__name__ for base in kind.__bases__ if base not in (Exception, HeliographError)]
        meaning = ELSEWHERE.get(name) or " ".join((inspect.getdoc(kind) or "").split())
        yield f"`{name}`", ", ".join(f"`{base}`" for base in bases), meaning


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_ARGUMENT = re.compile(r"([a-z_0-9]+(?:, [a-z_0-9]+)*): ")


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown: its lines about arguments and fields become a list."""
    lines: list[str] = []
    for line in (docstring or "").splitlines():
        if argument := _ARGUMENT.match(line):
            if lines and lines[-1] and not lines[-1].startswith(("- ", "  ")):
                lines.append("")
            names = ", ".join(f"`{name}`" for name in argument[1].split(", "))
            line = f"- {names}: {line[argument.end() :]}"
        elif lines and lines[-1].startswith(("- ", "  ")) and line:
            line = f"  {line}"
        lines.append(line)
    return "\n".join(lines)
