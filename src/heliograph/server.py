"""Wiring: builds store, carriers, steps and edges from settings, and runs them in one TaskGroup."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

import structlog
import uvicorn

import heliograph
from heliograph.agents.endpoint import Agents
from heliograph.agents.toolbox import Toolbox
from heliograph.api.app import Api
from heliograph.api.auth import Authenticator, hash_password
from heliograph.api.handlers import Handlers
from heliograph.api.mcp import McpDoor
from heliograph.api.pages import Pages
from heliograph.api.protocol import http_protocol
from heliograph.api.proxies import behind_proxies
from heliograph.carriers.interface import Carrier, InboundCarrier, PromisingCarrier, RecallingCarrier
from heliograph.carriers.missing import MissingCarrier
from heliograph.carriers.sandbox import Sandbox
from heliograph.carriers.smpp.carrier import SmppCarrier
from heliograph.carriers.smpp.check import Finding, Verdict, check_smsc
from heliograph.clock import Clock, SystemClock
from heliograph.config.addresses import Address
from heliograph.config.carriers import CarrierSettings, SandboxSettings, SmppSettings
from heliograph.config.settings import LogFormat, Role, ServerSettings, Settings
from heliograph.databases import open_store
from heliograph.flow.accept import Acceptor
from heliograph.flow.arrivals import Arrivals
from heliograph.flow.binds import Binds
from heliograph.flow.blocklist import Blocklist
from heliograph.flow.cancel import Canceller
from heliograph.flow.dispatch.dispatcher import Dispatcher
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.flow.dispatch.standing_in import StandIns
from heliograph.flow.inbound import follow_inbound, give_up_missing_parts, pass_on_lookalikes
from heliograph.flow.promises import keep_promises
from heliograph.flow.recalling import Recaller
from heliograph.flow.receipts import follow_receipts
from heliograph.flow.reports import Reports
from heliograph.flow.retention import forget_old_jobs
from heliograph.flow.search import Searches
from heliograph.flow.webhooks import Webhooks
from heliograph.ids import Ids, RandomIds
from heliograph.jobs.accounts import Account, AccountId
from heliograph.jobs.errors import AccountExists, SettingsInvalid
from heliograph.logs import logging_to_stderr
from heliograph.metrics import Metrics
from heliograph.store.interface import Store
from heliograph.webhooks.poster import HttpPoster
from heliograph.webhooks.resolving import SystemResolver
from heliograph.webhooks.retrying import RetryPolicy as WebhookRetryPolicy
from heliograph.webhooks.sender import Sender
from heliograph.wire.operations import BASE_PATH
from heliograph.wire.shapes import VersionInfoResponse
from heliograph.wire.times import format_instant

DEMO_ACCOUNT = "demo"
LEASE_MARGIN_S = 30.0
"""Beyond the longest wait for an answer: a lease must not run out while its holder is alive and waiting."""
LAST_WORDS_S = 1.0
"""How long it may take to record what carriers told while they ended."""
START_POLL_S = 0.01
"""How often to look whether connections are taken: uvicorn tells nobody when they are, which is in milliseconds."""
GC_THRESHOLDS = 700, 3, 30
"""The collector goes over what is young more often than usual, and so over less at a time: in half the milliseconds."""
BACKLOG = 2048
"""Connections that may wait to be accepted."""

log = structlog.get_logger()


async def serve(
    settings: Settings,
    *,
    started: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run the service until SIGTERM, SIGINT, SIGHUP or `stop`; then answer what has come in, drain, and return.

    started: called with the service's URL once it answers.
    Raises SettingsInvalid when it can't listen as it should, StoreUnavailable when the database can't be used.
    """
    clock, ids, metrics = SystemClock(), RandomIds(), Metrics()
    stopping, hurry = stop or asyncio.Event(), asyncio.Event()
    with _logging(settings.server.log_format, metrics), _listen(settings.server.listen) as listener:
        async with open_store(settings.database, clock.now()) as store:
            if Role.API in settings.server.roles:
                await _make_demo_account(store, ids)
            _warn(settings)
            with _signals(stopping, hurry):
                process = _Process(settings, store, clock, ids, metrics)
                await _run(process, listener, stopping, hurry, started)
        log.info("server.stopped")


@dataclass(frozen=True, slots=True)
class _Process:
    """What everything in a process works with."""

    settings: Settings
    store: Store
    clock: Clock
    ids: Ids
    metrics: Metrics


@dataclass(slots=True)
class _Dispatching:
    """What is running of a process that dispatches. draining: what has to end in order, before its tasks are ended."""

    binds: Binds
    carriers: "list[asyncio.Task[None]]" = field(default_factory=list)
    steps: "list[asyncio.Task[None]]" = field(default_factory=list)
    draining: list[Dispatcher | Sender | StandIns] = field(default_factory=list)


async def _run(
    process: _Process,
    listener: socket.socket,
    stopping: asyncio.Event,
    hurry: asyncio.Event,
    started: Callable[[str], None] | None,
) -> None:
    settings, store, clock = process.settings, process.store, process.clock
    pages = Pages(store, clock, process.metrics, heliograph.__version__)
    # One of each for programs and agents: a key that is under way for the one is busy for the other.
    acceptor = Acceptor(store, settings.routing(), clock, process.ids, process.metrics)
    canceller, reports = Canceller(store, clock, process.metrics), Reports(store)
    agents = Agents(Toolbox(acceptor, canceller, reports), heliograph.__version__)
    web = _WebServer(_web_config(settings, _api(process, acceptor, canceller, reports, pages, agents)))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(web.serve(sockets=[listener]), name="http")
        retention = settings.retention
        forgetting = forget_old_jobs(store, clock, days=retention.days, text_days=retention.text_days)
        running = [
            tasks.create_task(forgetting, name="retention"),
            tasks.create_task(agents.run(), name="agents"),
        ]
        dispatching = _start_dispatching(process, tasks) if Role.DISPATCH in settings.server.roles else None
        if Role.API in settings.server.roles and any(_lets_agents_in(each) for each in await store.accounts()):
            await agents.start()
        # What is there now stays: the collector needn't look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        while not (web.started or serving.done()):
            await clock.sleep(START_POLL_S)
        url = _url(settings.server, listener)
        log.info("server.started", url=url, roles=[role.value for role in settings.server.roles])
        if started is not None:
            started(url)
        await _first(stopping, serving)
        log.info("server.stopping")
        pages.stopping = True
        if settings.server.shutdown_delay and not serving.done():
            await clock.wait(hurry, settings.server.shutdown_delay)
        web.should_exit = True
        await serving
        if dispatching is not None:
            await _stop_dispatching(dispatching, settings.server.shutdown_timeout)
        await _cancelled(running)


def _start_dispatching(process: _Process, tasks: asyncio.TaskGroup) -> _Dispatching:
    settings, store, clock, metrics = process.settings, process.store, process.clock, process.metrics
    node = f"{socket.gethostname()} {os.getpid()} {process.ids.number(1 << 32):08x}"
    pacers = {carrier.name: _pacer(carrier) for carrier in settings.carriers}
    binds = _binds(settings, store, clock, node, pacers)
    carriers = [_carrier(settings, carrier, binds, clock, process.ids) for carrier in settings.carriers]
    dispatching = _Dispatching(binds)

    def run(name: str, step: Coroutine[None, None, None]) -> None:
        dispatching.steps.append(tasks.create_task(step, name=name))

    run("binds", binds.run())
    for carrier, carrier_settings in zip(carriers, settings.carriers, strict=True):
        lease_s = settings.response_timeout(carrier_settings) + LEASE_MARGIN_S
        dispatcher = Dispatcher(
            carrier,
            store,
            clock,
            metrics,
            policy=settings.retry_policy(carrier_settings),
            pacer=pacers[carrier.name],
            lease_s=lease_s,
            carriers=carriers,
            express_share=carrier_settings.express_reserve if isinstance(carrier_settings, SmppSettings) else 0,
        )
        dispatching.draining.append(dispatcher)
        dispatching.carriers.append(tasks.create_task(carrier.run(), name=f"carrier {carrier.name}"))
        run(f"dispatch {carrier.name}", dispatcher.run())
        run(f"receipts {carrier.name}", follow_receipts(carrier, store, clock, metrics))
        if isinstance(carrier, RecallingCarrier) and carrier.can_recall:
            run(f"recalls {carrier.name}", Recaller(carrier, store, clock, lease_s=lease_s).run())
        if isinstance(carrier, PromisingCarrier):
            run(f"promises {carrier.name}", keep_promises(carrier, store, clock))
        if isinstance(carrier, InboundCarrier):
            owners = settings.inbound_owners()
            run(f"inbound {carrier.name}", follow_inbound(carrier, store, clock, process.ids, metrics, owners))
    run("inbound", give_up_missing_parts(store, clock, metrics))
    run("lookalikes", pass_on_lookalikes(store, clock, process.ids, metrics, settings.inbound_owners()))
    stand_ins = _stand_ins(process, node, carriers)
    dispatching.draining.append(stand_ins)
    run("stand-ins", stand_ins.run())
    sender = _sender(settings, store, clock, metrics)
    dispatching.draining.append(sender)
    run("webhooks", sender.run())
    return dispatching


def _stand_ins(process: _Process, node: str, carriers: Sequence[Carrier]) -> StandIns:
    def dispatcher_of(name: str) -> Dispatcher:
        return Dispatcher(
            MissingCarrier(name),
            process.store,
            process.clock,
            process.metrics,
            policy=RetryPolicy(unreachable_is_error=False),
            pacer=Pacer(None),
            lease_s=LEASE_MARGIN_S,
            carriers=carriers,
        )

    return StandIns(process.store, process.clock, node, [carrier.name for carrier in carriers], dispatcher_of)


async def _stop_dispatching(dispatching: _Dispatching, timeout_s: float) -> None:
    """Lease nothing more, wait for answers, say farewell, and end; timeout_s: how long to wait for answers."""
    draining = dispatching.draining
    missing_counts = await asyncio.gather(*(each.drain(timeout_s) for each in draining))
    for each, missing_count in zip(draining, missing_counts, strict=True):
        if missing_count and isinstance(each, Dispatcher):
            log.warning("server.unanswered", segment_count=missing_count)
        elif missing_count:
            log.warning("server.unanswered", event_count=missing_count)
    # Each SMSC is told farewell first: what it answers even then is recorded still.
    await _cancelled(dispatching.carriers)
    await asyncio.gather(*(each.drain(LAST_WORDS_S) for each in draining if isinstance(each, Dispatcher)))
    await _cancelled(dispatching.steps)
    await dispatching.binds.give_back()


async def _cancelled(tasks: Collection["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _first(stopping: asyncio.Event, serving: "asyncio.Task[None]") -> None:
    serving.add_done_callback(lambda _: stopping.set())
    await stopping.wait()


class _WebServer(uvicorn.Server):
    """uvicorn without its own signal handlers: stopping is the whole server's affair."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _api(
    process: _Process, acceptor: Acceptor, canceller: Canceller, reports: Reports, pages: Pages, agents: Agents
) -> Api:
    settings, store, clock, metrics = process.settings, process.store, process.clock, process.metrics
    blocklist = Blocklist(store, clock, metrics)
    webhooks = Webhooks(store, clock, process.ids, allow_private=settings.webhooks.allow_private)
    arrivals, searches = Arrivals(store, clock), Searches(store)
    handlers = Handlers(acceptor, canceller, reports, searches, blocklist, webhooks, arrivals, clock, _version())
    serves_api = Role.API in settings.server.roles
    authenticator = Authenticator(store, clock)
    door = McpDoor(
        authenticator,
        agents.serve,
        allowed_hosts=settings.mcp.allowed_hosts,
        allowed_origins=settings.mcp.allowed_origins,
    )
    return Api(
        handlers,
        authenticator,
        store,
        clock,
        metrics,
        {path: page for path, page in pages.by_path().items() if serves_api or not path.startswith(BASE_PATH)},
        serves_operations=serves_api,
        log_requests=settings.server.log_requests,
        mcp=door if serves_api else None,
    )


def _web_config(settings: Settings, api: Api) -> uvicorn.Config:
    server = settings.server
    config = uvicorn.Config(
        behind_proxies(api, server.trusted_proxies),
        http=http_protocol(server.header_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # uvicorn's own would believe this machine, and an environment variable.
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, int(server.shutdown_timeout)),
        ssl_certfile=server.tls_certificate,
        ssl_keyfile=server.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one as well.
        raise SettingsInvalid(
            f"server.tls_certificate {server.tls_certificate} with server.tls_key {server.tls_key} can't be used: "
            f"{error.strerror or error}; both must be PEM files that belong together"
        ) from error
    return config


def _binds(settings: Settings, store: Store, clock: Clock, node: str, pacers: Mapping[str, Pacer]) -> Binds:
    counts = {
        carrier.name: len(carrier.smsc(settings.response_timeout(carrier)).modes)
        for carrier in settings.carriers
        if isinstance(carrier, SmppSettings)
    }

    def on_share(carrier: str, share: float) -> None:
        if share:  # Without any bind nothing is sent, at whatever rate.
            pacers[carrier].take_share(share)

    return Binds(store, clock, node, counts, on_share)


def _carrier(settings: Settings, carrier: CarrierSettings, binds: Binds, clock: Clock, ids: Ids) -> Carrier:
    match carrier:
        case SandboxSettings():
            return Sandbox(carrier.name, clock, window=carrier.window, delay_s=carrier.delay)
        case SmppSettings():
            smsc = carrier.smsc(settings.response_timeout(carrier))
            return SmppCarrier(carrier.name, smsc, clock, ids, takes_inbound=True, rights=binds.of(carrier.name))
        case _:
            assert_never(carrier)


def _sender(settings: Settings, store: Store, clock: Clock, metrics: Metrics) -> Sender:
    webhooks = settings.webhooks
    poster = HttpPoster(
        clock,
        SystemResolver(),
        timeout_s=webhooks.timeout,
        allow_private=webhooks.allow_private,
        user_agent=f"heliograph/{heliograph.__version__}",
    )
    return Sender(
        store,
        poster,
        clock,
        metrics,
        policy=WebhookRetryPolicy(webhooks.retry),
        concurrency=webhooks.concurrency,
        lease_s=webhooks.timeout + LEASE_MARGIN_S,
    )


def _pacer(carrier: CarrierSettings) -> Pacer:
    return Pacer(carrier.rate, throttle_pause_s=carrier.throttle_pause if isinstance(carrier, SmppSettings) else None)


async def check_carrier(settings: Settings, name: str) -> AsyncGenerator[Finding]:
    """Try a carrier out, step by step, for `heliograph carrier check`. Raises SettingsInvalid for an unknown one."""
    carrier = settings.carrier(name)
    match carrier:
        case SandboxSettings():
            yield Finding(Verdict.WORKS, f"{name} is a sandbox: nobody is behind it, so there is nothing to check")
        case SmppSettings():
            async for finding in check_smsc(carrier.smsc(settings.response_timeout(carrier)), SystemClock()):
                yield finding
        case _:
            assert_never(carrier)


def _version() -> VersionInfoResponse:
    major, minor, build = (int(number) for number in heliograph.__version__.split(".")[:3])
    installed_at = datetime.fromtimestamp(Path(heliograph.__file__).stat().st_mtime, UTC)
    return VersionInfoResponse(
        build_number=build,
        build_timestamp=format_instant(installed_at),
        major_version=major,
        minor_version=minor,
        version_info=f"heliograph {heliograph.__version__}",
        message="SMS for Applications REST API v1",
    )


def _lets_agents_in(account: Account) -> bool:
    return account.mcp is not None and account.mcp.enabled and not account.disabled


async def _make_demo_account(store: Store, ids: Ids) -> None:
    if await store.accounts():
        return
    password = ids.password()
    account = Account(id=AccountId(0), name=DEMO_ACCOUNT, password_hash=hash_password(password))
    try:
        await store.put_account(account)
    except AccountExists:
        return  # Another node was faster.
    print(  # noqa: T201 # for the person at the terminal, and not for the log
        "The database is new: this account was made in it, and is shown this once.\n"
        f"username: {DEMO_ACCOUNT}\npassword: {password}",
        flush=True,
    )


def _warn(settings: Settings) -> None:
    server = settings.server
    if server.tls_certificate is None and not server.listen.is_loopback:
        log.warning(
            "server.no_tls",
            listen=str(server.listen),
            message="passwords and texts travel readable; set server.tls_certificate and server.tls_key, "
            "or put a proxy that speaks TLS before it",
        )
    if settings.ignored_variables:
        log.warning("server.variables_ignored", variables=settings.ignored_variables, message="they mean nothing here")
    if Role.DISPATCH not in server.roles:
        log.warning("server.no_dispatch", message="jobs are accepted, and wait for a process with that role")


@contextmanager
def _listen(address: Address) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsInvalid(
            f"can't listen on {address}: {error.strerror or error}; choose another address with --listen"
        ) from error
    try:
        listener.setblocking(False)
        yield listener
    finally:
        listener.close()


def _url(server: ServerSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "http" if server.tls_certificate is None else "https"
    return f"{scheme}://{Address(host, port)}"


@contextmanager
def _signals(stopping: asyncio.Event, hurry: asyncio.Event) -> Generator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        (hurry if stopping.is_set() else stopping).set()

    handled: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # As nohup has it: we are to outlive the terminal.
        try:
            loop.add_signal_handler(number, stop)
        except (ValueError, RuntimeError):
            continue  # Not in the main thread: whoever started us there stops us by `stop`.
        handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _logging(log_format: LogFormat, metrics: Metrics) -> AbstractContextManager[None]:
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    as_console = log_format is LogFormat.CONSOLE or (log_format is LogFormat.AUTO and is_terminal)
    return logging_to_stderr(as_console=as_console, on_lost=metrics.log_lines_lost.inc)
