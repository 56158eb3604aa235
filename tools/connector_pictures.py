"""docs/how-to/pictures/: diagrams of what the pages on the connector say, drawn here as SVG.

A picture is a column of cards, one for each step of a flow or of a person, with arrows between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

FOLDER = "docs/how-to/pictures"

WIDTH = 620
_MARGIN = 20
_INDENT = 24
_GAP = 26
_TITLE_HEIGHT = 30
_LINE_HEIGHT = 20
_PADDING = 10

_PERSON, _PLATFORM, _OURS, _CONTROL = "#6b4fa0", "#1f6feb", "#12395b", "#57606a"
"""Who does a step: a person, the platform by itself, this connector, or the flow's own control."""


@dataclass(frozen=True, slots=True)
class Card:
    """One step. lines: what is entered, or what happens. inside: the steps of a loop or a branch."""

    title: str
    lines: tuple[str, ...] = ()
    colour: str = _OURS
    inside: tuple["Card", ...] = ()


PICTURES: dict[str, tuple[str, Sequence[Card]]] = {
    "connector-power-platform": (
        "Building the solution, importing it, making a connection",
        (
            Card("1. On any machine", ("heliograph connector build --out connector --host sms.example.com",), _PERSON),
            Card("2. make.powerautomate.com → Solutions → Import solution", ("connector/HeliographSms.zip",), _PERSON),
            Card("3. Data → Custom connectors", ("Heliograph SMS is there: press + to make a connection",), _PERSON),
            Card(
                "4. The connection",
                ("Host        sms.example.com", "User Name   acme", "Password    ••••••••"),
                _PERSON,
            ),
            Card("5. The platform tests it", ("GET https://sms.example.com/rest/v1/version  →  200",), _PLATFORM),
        ),
    ),
    "connector-logic-apps": (
        "Deploying the connector for Logic Apps",
        (
            Card("1. On any machine", ("heliograph connector build --out connector --host sms.example.com",), _PERSON),
            Card(
                "2. In the folder connector, with the Azure CLI",
                ("az deployment group create --resource-group sms", "   --template-file logic-apps.bicep"),
                _PERSON,
            ),
            Card("3. The resource heliograph-sms", ("a custom connector, with its host inside",), _PLATFORM),
            Card(
                "4. Logic App → Add an action → Custom → Heliograph SMS",
                ("User Name   acme", "Password    ••••••••"),
                _PERSON,
            ),
        ),
    ),
    "connector-first-flow": (
        "A flow that sends one SMS",
        (
            Card("When an item is created", ("any trigger: a form, a list, a mailbox",), _CONTROL),
            Card(
                "Send SMS job",
                (
                    "Text              Your parcel is here.",
                    "Dst               +4917612345678",
                    "Status Requested  Yes",
                ),
            ),
            Card("Update item", ("Job  =  jobId of Send SMS job",), _CONTROL),
        ),
    ),
    "connector-polling-loop": (
        "A flow that waits until a job is finished",
        (
            Card("Send SMS job", ("→ jobId",)),
            Card(
                "Do until: finishedTs of Get job status is not empty",
                ("Count 60   Timeout PT1H",),
                _CONTROL,
                (
                    Card("Delay", ("1 minute",), _CONTROL),
                    Card("Get job status", ("Job ID  =  jobId of Send SMS job",)),
                ),
            ),
            Card("Get status for all recipients of a job", ("Job ID  =  jobId of Send SMS job",)),
            Card(
                "For each: report",
                (),
                _CONTROL,
                (Card("Condition: status is not equal to SUC_FIN", ("tell somebody: dst, status, reason",), _CONTROL),),
            ),
        ),
    ),
    "connector-trigger": (
        "How a trigger is subscribed, fires and is ended",
        (
            Card("You save a flow that begins with", ("When an SMS gets its final status",), _PERSON),
            Card(
                "The platform subscribes",
                ("POST /rest/v1/triggers/sms-finished   its callback URL", "201   Location: where it is ended"),
                _PLATFORM,
            ),
            Card(
                "An SMS becomes final, and heliograph tells the flow",
                ("POST callback URL   type, timestamp, data", "again, later and later, until it is answered 2xx"),
            ),
            Card("The flow runs", ("with smsId, dst, status, reason, jobId …",), _PLATFORM),
            Card("You turn the flow off, and the platform ends it", ("DELETE Location",), _PERSON),
        ),
    ),
    "connector-agent": (
        "An agent that sends an SMS",
        (
            Card(
                "Agent → Tools → Add a tool → Connector → Heliograph SMS", ("Send SMS job, Get job status, …",), _PERSON
            ),
            Card("Somebody writes", ("“Text +49 176 12345678 that the lift is repaired.”",), _PERSON),
            Card("The agent chooses by name and description", ("Send SMS job: text, dst in E.164",), _PLATFORM),
            Card("heliograph answers", ("jobId",)),
            Card("Somebody asks", ("“Did it arrive?”",), _PERSON),
            Card("Get status for all recipients of a job", ("status SUC_FIN: delivered",)),
        ),
    ),
}


def files() -> dict[str, str]:
    """The pictures."""
    return {f"{FOLDER}/{name}.svg": _drawn(title, cards) for name, (title, cards) in PICTURES.items()}


def _drawn(title: str, cards: Sequence[Card]) -> str:
    drawing, bottom = _column(cards, _MARGIN, _MARGIN, WIDTH - 2 * _MARGIN)
    height = bottom + _MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            '<style>text { font: 13px "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }',
            ".title { font-weight: 600; fill: #ffffff }",
            ".line { font: 12px Consolas, Menlo, monospace; white-space: pre }</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            *drawing,
            "</svg>\n",
        )
    )


def _column(cards: Sequence[Card], x: int, y: int, width: int) -> tuple[list[str], int]:
    """The cards from `y` down, and where they end."""
    drawing: list[str] = []
    for index, card in enumerate(cards):
        if index:
            drawing.append(_arrow(x + width // 2, y))
            y += _GAP
        drawn, y = _card(card, x, y, width)
        drawing += drawn
    return drawing, y


def _card(card: Card, x: int, y: int, width: int) -> tuple[list[str], int]:
    lines_end = y + _TITLE_HEIGHT + (2 * _PADDING + _LINE_HEIGHT * len(card.lines) - 4 if card.lines else 0)
    inner, end = [], lines_end
    if card.inside:
        start = lines_end + _PADDING
        inner, end = _column(card.inside, x + _INDENT, start, width - 2 * _INDENT)
        end += 2 * _PADDING
    drawing = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{end - y}" rx="6" fill="#f6f8fa" stroke="{card.colour}"/>',
        f'<path d="M{x} {y + _TITLE_HEIGHT}v-{_TITLE_HEIGHT - 6}a6 6 0 0 1 6 -6h{width - 12}a6 6 0 0 1 6 6'
        f'v{_TITLE_HEIGHT - 6}z" fill="{card.colour}"/>',
        f'<text class="title" x="{x + 12}" y="{y + 20}">{escape(card.title)}</text>',
    ]
    for index, line in enumerate(card.lines):
        baseline = y + _TITLE_HEIGHT + _PADDING + _LINE_HEIGHT * index + 12
        drawing.append(f'<text class="line" xml:space="preserve" x="{x + 12}" y="{baseline}">{escape(line)}</text>')
    return drawing + inner, end


def _arrow(x: int, y: int) -> str:
    tip = y + _GAP - 3
    return (
        f'<path d="M{x} {y + 3}V{tip - 6}M{x - 5} {tip - 7}L{x} {tip}L{x + 5} {tip - 7}" stroke="#57606a" fill="none"/>'
    )
