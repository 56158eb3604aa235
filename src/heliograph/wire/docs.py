"""The API reference for people, from the OpenAPI document: a page that loads nothing else, and the same as Markdown."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from typing import Any

from heliograph.jobs.status import FINAL, MEANINGS
from heliograph.wire.openapi import openapi_document
from heliograph.wire.operations import BASE_PATH

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heading:
    """level: 1 is the page's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Backticks in it, as in all texts here, mean code."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list with bullets."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; its first row is its head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Something to be typed, or read, as it is."""

    language: str
    text: str


Block = Heading | Paragraph | Items | Table | Code


def docs_page(version: str) -> str:
    """The reference as HTML: no script, nothing from elsewhere, one style sheet inside."""
    blocks = list(_reference(version))
    title = next(block.text for block in blocks if isinstance(block, Heading))
    contents = "".join(
        f'<li><a href="#{_anchor(block.text)}">{_html(block.text)}</a></li>'
        for block in blocks
        if isinstance(block, Heading) and block.level == 2
    )
    body = "\n".join(_as_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<style>{_STYLE}</style>\n</head>\n<body>\n<nav aria-label="Contents"><ul>{contents}'
        f'<li><a href="{BASE_PATH}/openapi.json">OpenAPI document</a></li></ul></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def api_reference(version: str) -> str:
    """The reference as Markdown."""
    return "\n".join(_as_markdown(block) for block in _reference(version))


# What it says


def _reference(version: str) -> Iterator[Block]:
    document = openapi_document(version)
    introduction, _, points = document["info"]["description"].partition("\n\n")
    yield Heading(1, f"{document['info']['title']} {version} API reference".replace("  ", " "))
    yield Paragraph(introduction.replace("\n", " "))
    yield Items(tuple(point.replace("\n ", "").strip() for point in re.split(r"^- ", points, flags=re.MULTILINE)[1:]))
    yield Paragraph(f"All paths are below `{BASE_PATH}`. Programs read this as `{BASE_PATH}/openapi.json`.")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(path, method, operation)
    yield from _webhooks(document["webhooks"])
    yield Heading(2, "Shapes")
    for name, schema in document["components"]["schemas"].items():
        yield Heading(3, name)
        yield Paragraph(schema["description"])
        yield _fields(schema)
    yield Heading(2, "Status of an SMS")
    yield Paragraph("`processStatus` and `status` of a RecipientReport, together:")
    yield Table(
        ("processStatus", "status", "final", "meaning"),
        tuple(
            (
                f"`{process_status.value}`",
                f"`{status.value}`" if status.value else "(empty)",
                "yes" if process_status in FINAL else "no",
                meaning,
            )
            for (process_status, status), meaning in MEANINGS.items()
        ),
    )
    yield Heading(2, "Errors")
    yield Table(
        ("status", "meaning", "headers", "for example"),
        tuple(_error(response) for response in document["components"]["responses"].values()),
    )
    yield Heading(2, "Headers of answers")
    yield Table(
        ("header", "meaning"),
        tuple((f"`{name}`", header["description"]) for name, header in document["components"]["headers"].items()),
    )
    yield Heading(2, "In detail")
    yield Items(_DETAILS)


def _operation(path: str, method: str, operation: Json) -> Iterator[Block]:
    yield Heading(2, operation["summary"])
    yield Code("http", f"{method.upper()} {BASE_PATH}{path}")
    yield Paragraph(operation["description"])
    if {} in operation.get("security", ()):
        yield Paragraph("Credentials are not needed.")
    yield Table(
        ("parameter", "in", "type", "default", "meaning"),
        tuple(
            (
                f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else ""),
                parameter["in"],
                _type(parameter["schema"]),
                _shown(parameter["schema"]),
                parameter["description"],
            )
            for parameter in operation["parameters"]
        ),
    )
    examples: Json = {"": {"summary": "", "value": None}}
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]
        yield Paragraph(f"The body is a {_type(body['schema'])}.")
        examples = body["examples"]
    for example in examples.values():
        if example["summary"]:
            yield Paragraph(f"{example['summary']}:")
        yield Code("sh", _curl(path, method, operation, example["value"]))
    status, answer = next(iter(operation["responses"].items()))
    yield Paragraph(f"Answers `{status}`: {answer['description']}")
    yield Code("json", _json(answer["content"]["application/json"]["example"]))
    errors = ", ".join(f"`{code}`" for code, response in operation["responses"].items() if "$ref" in response)
    yield Paragraph(f"Errors: {errors}.")


def _webhooks(webhooks: Json) -> Iterator[Block]:
    yield Heading(2, "What is posted to webhooks")
    yield Paragraph(
        "A POST for each event, with JSON in UTF-8, signed as the Standard Webhooks specification says. Any answer of "
        "2xx means that it has arrived; after another one, or none in time, it is posted again."
    )
    first = next(iter(webhooks.values()))["post"]
    yield Table(
        ("header", "for example", "meaning"),
        tuple((f"`{each['name']}`", f"`{each['example']}`", each["description"]) for each in first["parameters"]),
    )
    for name, webhook in webhooks.items():
        body = webhook["post"]["requestBody"]["content"]["application/json"]
        yield Heading(3, name)
        yield Paragraph(f"{webhook['post']['summary']}. The body is a {_type(body['schema'])}:")
        yield Code("json", _json(body["example"]))


def _curl(path: str, method: str, operation: Json, body: object) -> str:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    in_query = [parameter for parameter in operation["parameters"] if parameter["in"] == "query"]
    shown = [parameter for parameter in in_query if parameter["required"]]
    shown = shown or [parameter for parameter in in_query if "example" in parameter][:1]
    query = "&".join(f"{parameter['name']}={parameter.get('example', 'true')}" for parameter in shown)
    address = f"http://127.0.0.1:8480{BASE_PATH}{path}" + (f"?{query}" if query else "")
    words = ["curl"] if method in ("get", "post") else ["curl", f"--request {method.upper()}"]
    if {} not in operation.get("security", ()):
        words.append("--user NAME:PASSWORD")
    if body is None:
        return " ".join([*words, f"'{address}'"])
    lines = [*words, "--json", f"'{_json(body)}'", f"'{address}'"]
    return " ".join(lines)


def _fields(schema: Json) -> Table:
    required = schema.get("required", ())
    return Table(
        ("field", "type", "default", "meaning"),
        tuple(
            (
                f"`{name}`" + (" (required)" if name in required else ""),
                _type(field),
                _shown(field),
                field.get("description", ""),
            )
            for name, field in schema["properties"].items()
        ),
    )


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/")[-1]
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "const" in schema:
        return f"`{schema['const']}`"
    types: str | list[str] = schema["type"]
    kind = types if isinstance(types, str) else types[0]
    if "enum" in schema:
        return ", ".join(f"`{value}`" if value else "(empty)" for value in schema["enum"] if value is not None)
    if kind == "array":
        return f"array of {_type(schema['items'])}"
    bounds = [
        f"{word} {schema[keyword]}"
        for keyword, word in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("minLength", "at least"),
            ("maxLength", "at most"),
        )
        if keyword in schema
    ]
    unit = " characters" if "minLength" in schema or "maxLength" in schema else ""
    described = schema.get("format", kind)
    return " ".join([described, *bounds]) + unit


def _shown(schema: Json) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _error(response: Json) -> tuple[str, ...]:
    headers = ", ".join(f"`{name}`" for name in list(response["headers"])[4:])
    return f"`{_code(response)}`", response["description"], headers, _example(response)["message"]


def _code(response: Json) -> int:
    return _example(response)["code"]


def _example(response: Json) -> Json:
    return response["content"]["application/json"]["example"]


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


_DETAILS = (
    "A query parameter with an empty value counts as left out, but for `status`; of one given twice, the first counts.",
    "The SMS of one job are looked for whenever it was received, unless `fromTs` or `toTs` is given.",
    "Enumerations and the booleans of a query are read in any case; `?` and `&` with nothing after them, and a slash "
    "at the end of a path, change nothing.",
    "An SMS from a phone belongs to one account: the one that the configuration gives its `dst` to, else the one that "
    "last wrote to its `src` (whose SMS to it a carrier got last, or may have); if none has, nobody can read it.",
    "The text of an SMS from a phone is read with the national language tables that it names. What it sent without any "
    "alphabet is read as UTF-8 if it is that, else each octet as the character with its number.",
    "The same SMS from the same phone within two minutes is one that the carrier gave twice.",
    "Case, accents, spaces and punctuation around `STOP` mean nothing, nor does a number after it, as in `STOP 80100`. "
    "Its kin: `STOPALL`, `UNSUBSCRIBE`, `CANCEL`, `END`, `QUIT`, `REVOKE`, `OPT OUT`, `ARRET`, `STOPP`, "
    "`ABMELDEN`, `BAJA`, `ALTO`, `CANCELAR`, `SAIR`, `ANNULLA`, `AFMELDEN`, `СТОП` and others; those of `START`: "
    "`UNSTOP`, `SUBSCRIBE`, `OPT IN`, `ANMELDEN`, `ALTA` and others, but not `YES`, which answers other "
    "questions as well.",
    "A number written as `60.0` is the integer 60; `60.5` is none.",
    "A date without a time means its midnight. A blank stands for the `T`, and for the `+` of an offset (which it "
    "becomes in a query that wasn't encoded).",
    "A time that occurs twice as summer time ends is the first; one that is skipped as it begins is read with the "
    "offset before.",
    "`fromTs` may equal `toTs`: then nothing is listed. Without either, jobs up to now are listed.",
    "An account that is lenient gets the nearest allowed value for a `validityMin` or `maxParts` out of range, instead "
    "of a 400: the API description shows what every account accepts.",
    "A job holds at most 3000 messages, as each has a recipient; beyond, recipients and messages are counted but not "
    "read, so their other faults aren't told. At most 10000 fields at fault are told.",
    "`Heliograph-Ignored` holds about 2000 characters; what is left out then is told by `...` at its end. A character "
    "that a header can't hold is percent-encoded.",
    "A body without a Content-Type is read as JSON; a compressed one is 415.",
    "Two requests are equal (`duplicateDetection`, `Idempotency-Key`) if their JSON values are, whatever their "
    "spacing, the order of their fields and the spelling of their numbers; `null` is the same as a missing field. Two "
    "spellings of a phone number are not equal, nor are an option and its default.",
    '`Idempotency-Key: abc` and `Idempotency-Key: "abc"` are the same key; the header with nothing in it is none. The '
    "key is looked at before `duplicateDetection`.",
    "An SMS that is being handed to the carrier while its job is cancelled is KILL, whether the carrier takes it or "
    "not; so is one whose handing over was never answered, and one of which a part was handed over: its other parts "
    "are not sent.",
    "HEAD is answered for `/docs`, `/openapi.json`, `/healthz`, `/readyz` and `/metrics`; on an operation it is 405, "
    "as every method is that the operation doesn't have.",
    "A Basic token is read in either base64 alphabet, with its padding or without; what is not UTF-8 in it is read as "
    "Latin-1.",
    "Credentials may be sent with any request. On an operation that needs none, wrong ones are 401 all the same, and "
    "right ones count as a call; that holds for a path or method that doesn't exist, too. The pages outside the "
    "operations, such as `/docs` and `/healthz`, look at none.",
    "The request line and headers may have 64 KiB (else 431) and must come within 10 seconds (else 408); a body must "
    "come within 30 (408). The connection is closed then.",
    "A request that is no HTTP is 400.",
)
"""Where the original's description is silent, or is easily misread."""


# How it looks


def _as_html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f'<h{level} id="{_anchor(text)}">{_html(text)}</h{level}>'
        case Paragraph(text):
            return f"<p>{_html(text)}</p>"
        case Items(texts):
            return f"<ul>{''.join(f'<li>{_html(text)}</li>' for text in texts)}</ul>"
        case Code(_, text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Table(head, rows):
            cells = "".join(f'<th scope="col">{_html(cell)}</th>' for cell in head)
            lines = "".join(f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in rows)
            return f'<div class="table"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'


def _html(text: str) -> str:
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _anchor(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")


def _as_markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}\n"
        case Paragraph(text):
            return f"{text}\n"
        case Items(texts):
            return "".join(f"- {text}\n" for text in texts)
        case Code(language, text):
            return f"```{language}\n{text}\n```\n"
        case Table(head, rows):
            return "".join(_markdown_row(row) for row in (head, ("---",) * len(head), *rows))


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a404a); --soft: light-dark(#f4f6f9, #1d2127);
  --link: light-dark(#0b5cad, #7ab8f5) }
* { box-sizing: border-box }
body { font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 0 1.25rem 4rem;
  display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 2.5rem }
nav { position: sticky; top: 0; align-self: start; padding-top: 2.2rem; font-size: .92rem }
nav ul { list-style: none; margin: 0; padding: 0 }
nav li { margin: .35rem 0 }
a { color: var(--link) }
h1 { font-size: 1.7rem; margin: 1.6rem 0 .6rem }
h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line) }
h3 { font-size: 1.05rem; margin: 2rem 0 .3rem }
code, pre { font: .875em/1.5 ui-monospace, Consolas, monospace }
code { overflow-wrap: anywhere }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto }
pre code { overflow-wrap: normal }
.table { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line) }
@media (max-width: 56rem) { body { display: block } nav { position: static } }
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
"""What the page needs: its own style sheet, and nothing else."""
