"""wire/docs.py: the reference for people."""

import re
from html.parser import HTMLParser

from heliograph.jobs.options import OPTIONS
from heliograph.jobs.status import MEANINGS
from heliograph.wire.docs import CONTENT_SECURITY_POLICY, api_reference, docs_page
from heliograph.wire.operations import OPERATIONS

PAGE = docs_page("0.1.0")


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attributes = dict(attrs)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline() -> Outline:
    parsed = Outline()
    parsed.feed(PAGE)
    parsed.close()
    return parsed


def test_the_page_is_well_formed_and_its_links_lead_somewhere():
    parsed = outline()
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)


def test_the_page_loads_nothing():
    parsed = outline()
    assert not parsed.tags & {"script", "link", "img", "iframe", "object"}
    assert [link for link in parsed.links if not link.startswith("#")] == ["/rest/v1/openapi.json"]
    assert "@import" not in PAGE
    assert "url(" not in PAGE


def test_the_page_works_under_its_content_security_policy():
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert " style=" not in PAGE
    assert " onclick=" not in PAGE


def test_page_and_markdown_name_every_operation_option_and_status():
    markdown = api_reference("0.1.0")
    text = re.sub("<[^>]+>", "", PAGE)
    for operation in OPERATIONS:
        assert operation.summary in text
        assert f"{operation.method} /rest/v1{operation.path}" in markdown
    for option in OPTIONS:
        assert f"`{option.wire_name}`" in markdown
        assert option.wire_name in text
    for process_status, status in MEANINGS:
        assert f"| `{process_status.value}` | {f'`{status.value}`' if status.value else '(empty)'} |" in markdown
