"""Every option, operation, status, error, setting and command is handled and documented: the checklist nobody keeps."""

import inspect
import json
import re
from pathlib import Path

import pytest

from heliograph.api.handlers import Handlers
from heliograph.api.problems import answer_to
from heliograph.config.carriers import SandboxSettings, SmppSettings
from heliograph.config.describing import settings_in, variable_of
from heliograph.config.settings import SECTIONS, InboundSettings, RouteSettings
from heliograph.jobs import errors
from heliograph.jobs.errors import FieldFault, HeliographError, Overloaded, RequestInvalid
from heliograph.jobs.options import OPTIONS
from heliograph.jobs.status import MEANINGS, ProcessStatus, Status
from heliograph.wire.operations import BASE_PATH, OPERATIONS
from heliograph.wire.tools import TOOLS
from tools.log_events_reference import DESCRIBED, logged
from tools.metrics_reference import families

ROOT = Path(__file__).parents[1]
API_REFERENCE = (ROOT / "docs/reference/api.md").read_text("utf-8")
SETTINGS_REFERENCE = (ROOT / "docs/reference/settings.md").read_text("utf-8")
LOG_REFERENCE = (ROOT / "docs/reference/log-events.md").read_text("utf-8")
METRICS_REFERENCE = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
TOOLS_REFERENCE = (ROOT / "docs/reference/mcp-tools.md").read_text("utf-8")
AGENTS_JOURNEY = (ROOT / "tests/journeys/test_mcp.py").read_text("utf-8")
OPENAPI = json.loads((ROOT / "tests/golden/openapi.json").read_text("utf-8"))
EXCHANGES = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests/golden/http").glob("*.http"))

OPERATORS = {"AccountExists", "SettingsInvalid", "HeliographError"}
"""Errors that never reach a customer: the command line tells them."""


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_described(option):
    assert option.rule.description.endswith(".")
    assert f"`{option.wire_name}`" in API_REFERENCE
    assert option.wire_name in json.dumps(OPENAPI)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_handled_described_and_shown(operation):
    assert operation in Handlers(*[None] * (len(inspect.signature(Handlers).parameters))).by_operation
    assert operation.name in json.dumps(OPENAPI)
    assert operation.summary in API_REFERENCE
    path = re.sub(r"\\{\w+\\}", r"[^/? ]+", re.escape(BASE_PATH + operation.path))
    assert re.search(rf"^{operation.method} {path}/?[? ]", EXCHANGES, re.MULTILINE)


@pytest.mark.parametrize("pair", MEANINGS, ids=lambda pair: f"{pair[0].value}-{pair[1].value}")
def test_a_status_is_documented(pair):
    assert MEANINGS[pair] in API_REFERENCE


def test_every_status_can_be_seen():
    assert {status for _, status in MEANINGS} == set(Status)
    assert {process_status for process_status, _ in MEANINGS} == set(ProcessStatus)


@pytest.mark.parametrize(
    "kind",
    [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HeliographError)],
    ids=lambda kind: kind.__name__,
)
def test_an_error_has_an_answer_of_its_own(kind):
    if kind.__name__ in OPERATORS:
        return
    if issubclass(kind, RequestInvalid):
        error = kind.of(FieldFault("text", "is wrong"))
    elif kind is Overloaded:
        error = kind("too much", 1)
    else:
        error = kind("it")
    assert answer_to(error).status != 500


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_is_described_and_an_agent_uses_it(tool):
    assert f"## {tool.name}\n" in TOOLS_REFERENCE
    assert f'used(client, "{tool.name}"' in AGENTS_JOURNEY


@pytest.mark.parametrize("section", SECTIONS)
def test_a_setting_is_documented_with_its_variable(section):
    rows = table_of(f"[{section}]")
    assert [key for key, *_ in rows] == list(settings_in(SECTIONS[section]))
    for key, _, _, variable, meaning in rows:
        assert f"`{variable_of(section, key)}`" in variable
        assert meaning.endswith(".")


@pytest.mark.parametrize(
    ("title", "section"),
    [
        ('[[carriers]], kind = "sandbox"', SandboxSettings),
        ('[[carriers]], kind = "smpp"', SmppSettings),
        ("[[routes]]", RouteSettings),
        ("[[inbound]]", InboundSettings),
    ],
)
def test_a_setting_of_what_there_may_be_many_of_is_documented(title, section):
    rows = table_of(title)
    assert [key for key, *_ in rows] == list(settings_in(section))
    assert all(meaning.endswith(".") for *_, meaning in rows)


def test_every_event_that_is_logged_is_described_with_who_acts():
    assert {each.name for each in logged()} == set(DESCRIBED)
    assert len(DESCRIBED) > 70
    for name, described in DESCRIBED.items():
        assert f"\n| `{name}` |" in LOG_REFERENCE
        assert described.meaning.endswith(".")
        assert described.action == "nobody" or re.match(r"(you|the carrier|the account's owner)\b", described.action)


def test_events_are_logged_by_their_names():  # So that none can be logged that isn't found, and thus described.
    by_another_name = {
        str(path.relative_to(ROOT / "src/heliograph"))
        for path in (ROOT / "src").rglob("*.py")
        for call in re.findall(r"\blog\.(?:debug|info|warning|error|exception)\(\s*(.)", path.read_text("utf-8"))
        if call != '"'
    }
    assert by_another_name == {"carriers/smpp/faults.py"}


def test_every_metric_is_documented():
    assert len(families()) > 10
    for name in families():
        assert f"\n| `{name}` |" in METRICS_REFERENCE


def table_of(title):
    """The settings of a section as the reference has them: the cells of each row."""
    section = SETTINGS_REFERENCE.partition(f"\n## `{title}`\n")[2].partition("\n## ")[0]
    return [
        [
            cell.strip(" `") if number == 0 else cell.strip()
            for number, cell in enumerate(re.split(r"(?<!\\)\|", row)[1:-1])
        ]
        for row in section.splitlines()
        if row.startswith("| `")
    ]


@pytest.mark.parametrize("page", sorted((ROOT / "tests/golden/cli").glob("*.txt")), ids=lambda page: page.stem)
def test_a_command_has_an_example(page):
    command = page.stem.replace("-", " ")
    assert re.search(
        rf"^  (\w+=\S+ )*{command}( |$)", page.read_text("utf-8").partition("\nExamples:\n")[2], re.MULTILINE
    )


def test_the_readme_shows_every_operation():
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = set(re.findall(re.escape(BASE_PATH) + r"(/[^\s`'?]+)", readme))
    for operation in OPERATIONS:
        template = re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(operation.path))
        assert any(re.fullmatch(template, path) for path in shown), operation.path


@pytest.mark.parametrize("page", sorted((ROOT / "docs/how-to").glob("*.md")), ids=lambda page: page.stem)
def test_the_readme_leads_to_every_how_to(page):
    assert f"](docs/how-to/{page.name})" in (ROOT / "README.md").read_text("utf-8").partition("\n## Read on\n")[2]


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_a_link_between_pages_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
