"""`heliograph demo`: a whole gateway on a temporary database, and one job followed to its end."""

import asyncio
import base64
import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from cyclopts import App
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from heliograph.api.auth import hash_password
from heliograph.cli.event_loop import run_fast
from heliograph.cli.examples import examples
from heliograph.cli.exits import CommandFailed, Exit
from heliograph.clock import SystemClock
from heliograph.config.addresses import Address, SqliteUrl
from heliograph.config.settings import DatabaseSettings, ServerSettings, Settings
from heliograph.databases import open_store
from heliograph.gsm.segmentation import Encoding, segment
from heliograph.gsm.transliteration import Carried, InvalidCharacters, carry
from heliograph.ids import RandomIds
from heliograph.jobs.accounts import Account, AccountId
from heliograph.jobs.status import FINAL, Status

ACCOUNT = "demo"
POLL_S = 0.3
DEADLINE_S = 25.0
"""The number that can't be reached is given up after 8 s; a busy machine may take longer."""
HTTP_TIMEOUT_S = 10.0
LOG_WIDTH = 160
LEAST_REASON_WIDTH = 12

SHORT = "Your parcel arrives today between 2 and 4 pm."
LONG = (
    "Your parcel arrives today between 2 and 4 pm. If nobody is at home, the driver leaves it with a "
    "neighbour, or brings it to the shop at the corner, where it waits for you for seven days."
)
EMOJI = "See you at eight 🎉"


class Case(NamedTuple):
    """One SMS and what must become of it."""

    text: str
    dst: str
    expected: Status


# Numbers that are set aside for drama, in the United Kingdom and in Germany; the last four digits decide.
CASES = (
    Case(SHORT, "+447700900123", Status.SUC_FIN),
    Case(SHORT, "+447700900001", Status.FAILED_FIN),
    Case(SHORT, "+447700900002", Status.TIMEOUT),
    Case(SHORT, "+447700900003", Status.NOT_ACC_FIN),
    Case(SHORT, "+447700900004", Status.CON_ERR),
    Case(SHORT, "+447700900006", Status.SUC_FIN),
    Case(SHORT, "+44 12", Status.INVALID_DST),
    Case(LONG, "+4917604069012", Status.SUC_FIN),
    Case(EMOJI, "+4917604069034", Status.SUC_FIN),
)

app = App(
    name="demo",
    help_epilogue="It takes about ten seconds, for one of its numbers can't be reached and is tried four times. "
    "It leaves nothing behind, and fails if any SMS ends otherwise than it should.\n\n" + examples("heliograph demo"),
)


@app.default
def demo() -> Exit:
    """Send one job through a whole gateway, and stop."""
    console = Console(highlight=False)
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-demo-") as folder,
        # The service's log would run through the table; a demo that fails says by itself what is wrong.
        Path(folder, "demo.log").open("w", encoding="utf-8") as log,
        redirect_stderr(log),
    ):
        return run_fast(_demo(Path(folder), console))


async def _demo(folder: Path, console: Console) -> Exit:
    settings = Settings(
        server=ServerSettings(listen=Address("127.0.0.1", 0)),
        database=DatabaseSettings(url=SqliteUrl(folder / "demo.db")),
    )
    password = RandomIds().password()
    account = Account(id=AccountId(0), name=ACCOUNT, password_hash=hash_password(password))
    async with open_store(settings.database, SystemClock().now(), serving=False) as store:
        await store.put_account(account)
    return await _with_service(settings, lambda url: _send_and_follow(_Client(url, password), console))


async def _with_service(settings: Settings, act: Callable[[str], Any]) -> Exit:
    from heliograph.server import serve  # so that help need not wait for it

    stop = asyncio.Event()
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(settings, started=url.set_result, stop=stop))
        interrupted = tasks.create_task(stop.wait())  # The service sets it on SIGINT and SIGTERM.
        acting: asyncio.Task[Exit] = tasks.create_task(act(await url))
        await asyncio.wait((acting, interrupted), return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        acting.cancel()
    return Exit.INTERRUPTED if acting.cancelled() else acting.result()


async def _send_and_follow(client: "_Client", console: Console) -> Exit:
    clock = SystemClock()
    job = await client.call("/jobs", _request())
    console.print(f"The service answers at {client.url}.\nIt took the job {job['jobId']}.")
    started_s = clock.monotonic()
    display = _LiveTable(console) if console.is_terminal else _Lines(console)
    with display.shown():
        while True:
            reports = await client.call(f"/sms?jobId={job['jobId']}")
            elapsed_s = clock.monotonic() - started_s
            display.update(reports, elapsed_s)
            if all(map(_is_final, reports)) or elapsed_s > DEADLINE_S:
                break
            await clock.sleep(POLL_S)
    if not console.is_terminal:
        Console(highlight=False, width=LOG_WIDTH).print(_table(reports, LOG_WIDTH))
    wrong = [
        f"{case.dst} is {report['processStatus']} {report['status']}, not DONE {case.expected.value}"
        for case, report in zip(CASES, reports, strict=True)
        if (report["processStatus"], report["status"]) != ("DONE", case.expected.value)
    ]
    if wrong:
        raise CommandFailed("; ".join(wrong))
    console.print(f"All {len(CASES)} SMS came to the status they should, in {elapsed_s:.1f} s.")
    return Exit.OK


def _request() -> dict[str, Any]:
    texts = dict.fromkeys(case.text for case in CASES)
    return {
        "options": {"src": "HELIOGRAPH", "statusRequested": True, "customerRef": "heliograph demo"},
        "messages": [
            {"text": text, "recipients": [{"dst": case.dst} for case in CASES if case.text == text]} for text in texts
        ],
    }


class _Client:
    """The few calls that the demo makes, over real HTTP."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        token = base64.b64encode(f"{ACCOUNT}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._opener = build_opener(ProxyHandler({}))  # The service is here, whatever proxy leads elsewhere.

    async def call(self, path: str, body: object = None) -> Any:
        """POST a body, or GET. Raises CommandFailed."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/rest/v1{path}", data, self._headers)
        return await asyncio.to_thread(self._answer, request)

    def _answer(self, request: Request) -> Any:
        try:
            with self._opener.open(request, timeout=HTTP_TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise CommandFailed(f"{request.full_url} answers {error.code}: {error.read().decode()}") from error
        except URLError as error:
            raise CommandFailed(f"{request.full_url} can't be reached: {error.reason}") from error


class _LiveTable:
    """On a terminal: the table, always as it stands."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def shown(self) -> AbstractContextManager[object]:
        return self._live

    def update(self, reports: Sequence[dict[str, Any]], elapsed_s: float) -> None:
        table = _table(reports, self._live.console.width)
        table.caption = f"{sum(map(_is_final, reports))} of {len(reports)} final after {elapsed_s:.1f} s"
        self._live.update(table, refresh=True)


class _Lines:
    """In a log: one line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, tuple[str, str]] = {}

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()

    def update(self, reports: Sequence[dict[str, Any]], elapsed_s: float) -> None:
        for report in reports:
            state = (report["processStatus"], report["status"])
            if self._last.get(report["smsId"]) != state:
                self._last[report["smsId"]] = state
                line = f"{elapsed_s:4.1f} s  {report['dst']:<15} {state[0]:<7} {state[1]:<11} {report['reason']}"
                self._console.print(line.rstrip(), soft_wrap=True, markup=False)


def _table(reports: Sequence[dict[str, Any]], width: int) -> Table:
    columns = {"dst": 14, "text": 16, "parts": 5, "processStatus": 13, "status": 11}
    columns["reason"] = max(LEAST_REASON_WIDTH, width - sum(columns.values()) - len(columns))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name, column_width in columns.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=column_width)
    for case, report in zip(CASES, reports, strict=True):
        style = None
        if _is_final(report):
            style = "green" if report["status"] == case.expected.value else "red"
        told = (report["processStatus"], report["status"], report["reason"])
        table.add_row(report["dst"], case.text, str(_part_count(case.text)), *told, style=style)
    return table


def _part_count(text: str) -> int:
    carried = carry(text, Encoding.STANDARD, InvalidCharacters.TO_UTF16)
    assert isinstance(carried, Carried), "TO_UTF16 refuses nothing"
    return len(segment(carried.text, carried.encoding, 20).parts)


def _is_final(report: dict[str, Any]) -> bool:
    return report["processStatus"] in {status.value for status in FINAL}
