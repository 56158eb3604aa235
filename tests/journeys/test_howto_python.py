"""docs/how-to/python.md: every example is run, and prints what the page says."""

import ast
import inspect
import re
from pathlib import Path

import httpx2
import pytest

from heliograph.sdk import services, sync
from heliograph.sdk.services import Service
from tests.fakes.builders import an_account
from tests.fakes.service import PASSWORD, password_hash, running_server

PAGE = (Path(__file__).parents[2] / "docs/how-to/python.md").read_text("utf-8")
FENCE = re.compile(r"^```python\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
SECTIONS = {
    title: [(code, output) for code, output in FENCE.findall(body)]
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    if FENCE.search(body)
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    account = an_account(password_hash=password_hash(), rate_limit=None)
    with running_server(tmp_path_factory.mktemp("server"), account) as running:
        yield running


@pytest.fixture
def environment(server, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HELIOGRAPH_URL", server.url)
    monkeypatch.setenv("HELIOGRAPH_USERNAME", "acme")
    monkeypatch.setenv("HELIOGRAPH_PASSWORD", PASSWORD)
    vendors = server.url.replace("127.0.0.1", "localhost")
    vendor = Service(vendors, (vendors, vendors), whole=False)
    monkeypatch.setattr(services, "RETARUS", vendor)
    monkeypatch.setattr(sync, "RETARUS", vendor)


async def run(code, names):
    """Run an example, with `await` where a notebook has it; the value of its last line."""
    tree = ast.parse(code)
    if isinstance(tree.body[-1], ast.Expr):
        tree.body[-1] = ast.Assign([ast.Name("value", ast.Store())], tree.body[-1].value)
    compiled = compile(ast.fix_missing_locations(tree), "<example>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(compiled, names)
    if inspect.iscoroutine(value):
        await value
    return names.get("value")


@pytest.mark.parametrize("title", SECTIONS)
@pytest.mark.usefixtures("environment")
async def test_an_example_does_what_the_page_says(title, capsys):
    names = {}
    for code, expected in SECTIONS[title]:
        names.pop("value", None)
        capsys.readouterr()
        value = await run(code, names)
        printed = capsys.readouterr().out
        if expected:
            seen = printed or f"{value!r}\n"
            assert re.fullmatch(re.escape(expected).replace("…", ".*"), seen, re.DOTALL), seen
    if "app" in names:
        await use(names["app"])
    if "client" in names and "await" in code:
        await names["client"].close()


async def use(app):
    async with app.router.lifespan_context(app):
        asking = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=asking, base_url="http://app.example") as browser:
            answer = await browser.post("/codes", json={"number": "+4917612345678"})
            assert answer.status_code == 202
            assert answer.json()["job"].startswith("J.")


def test_every_use_has_its_section():
    assert list(SECTIONS) == [
        "The first SMS",
        "Not at night",
        "Each recipient's result",
        "In an async web app",
        "In a notebook",
        "Against the vendor",
    ]
