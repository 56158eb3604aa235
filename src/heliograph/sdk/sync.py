"""The client. Generated from `aio.py` by `make golden`; change it there."""

import os
import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2

from heliograph import __version__
from heliograph.clock import BlockingClock, BlockingSystemClock
from heliograph.ids import Ids, RandomIds
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.jobs.webhooks import EventType
from heliograph.sdk import calls
from heliograph.sdk.answers import Answer, NoAnswer, Outcome, ignored_fields, value_of
from heliograph.sdk.calls import Call, Listing
from heliograph.sdk.errors import (
    ClientError,
    IgnoredFields,
    InsecureConnection,
    InvalidRequest,
    NotFinished,
    NotFound,
    RateLimited,
    Unavailable,
)
from heliograph.sdk.models import (
    BlocklistEntry,
    FailedEventReport,
    InboundReport,
    JobReport,
    Message,
    Options,
    Preview,
    RecipientReport,
    Recipients,
    VersionInfo,
    Webhook,
)
from heliograph.sdk.retrying import (
    MOST_TRIES_UNSEEN,
    is_being_done,
    is_doubtful,
    is_not_done,
    is_passing,
    may_repeat,
    pause_s,
    poll_pause_s,
    try_timeout_s,
)
from heliograph.sdk.services import RETARUS, connection
from heliograph.sdk.transport import Verify, checked_root, limits, no_answer, tls
from heliograph.wire.operations import BASE_PATH

T = TypeVar("T")

LEAST_TIMEOUT_S = 0.05
"""A try that begins just before the deadline; no timeout at all would be an error of its own."""


class Client:
    """A client of a heliograph, or of any service with the same API.

    It keeps its connections open for the next call; `with` closes them at the end, and so does `close`.
    """

    def __init__(
        self,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        *,
        timeout_s: float = 30.0,
        verify: Verify = True,
        max_connections: int = 10,
        transport: httpx2.BaseTransport | None = None,
        clock: BlockingClock | None = None,
        ids: Ids | None = None,
    ) -> None:
        """Nothing is asked yet; `version` tests the connection.

        url: the root of the service, such as `https://sms.example`; with or without `/rest/v1`.
        url, username, password: where absent, HELIOGRAPH_URL, HELIOGRAPH_USERNAME and HELIOGRAPH_PASSWORD.
        timeout_s: how long a call may take, all its tries together.
        verify: whose certificates are trusted: the usual ones (True), those of a file or folder, or any (False).
        max_connections: how many calls can be under way at once; others wait.
        transport, clock, ids: for tests, in place of the network, the time and randomness.

        Raises SettingsInvalid where url, username or password is missing or can't be.
        """
        self._connection = connection(url, username, password, os.environ)
        if self._connection.is_insecure:
            told = f"{self._connection.service.url} is not encrypted: others can read the password; use https"
            warnings.warn(told, InsecureConnection, stacklevel=2)
        self._service = self._connection.service
        checked_root(self._service.url)
        self._timeout_s = timeout_s
        self._clock = clock or BlockingSystemClock()
        self._ids = ids or RandomIds()
        self._seen = False
        self._knows_keys: bool | None = None
        self._http = httpx2.Client(
            auth=httpx2.BasicAuth(self._connection.username, self._connection.password),
            headers={"accept": "application/json", "user-agent": f"heliograph/{__version__}"},
            limits=limits(max_connections),
            verify=tls(verify),
            transport=transport,
        )

    @classmethod
    def retarus(
        cls,
        username: str | None = None,
        password: str | None = None,
        *,
        timeout_s: float = 30.0,
        verify: Verify = True,
        max_connections: int = 10,
        transport: httpx2.BaseTransport | None = None,
        clock: BlockingClock | None = None,
        ids: Ids | None = None,
    ) -> Self:
        """A client of the vendor's own service, "SMS for Applications".

        It sends to the host that is highly available, and reads from both data centres, as each keeps but its own
        jobs. The service has `send`, `send_messages`, `job`, `job_ids`, `sms`, `wait` and `version`; the other
        methods raise Unsupported. It knows no Idempotency-Key: a job whose answer was lost is sent again only
        with `duplicate_detection=True`.
        """
        return cls(
            RETARUS.url,
            username,
            password,
            timeout_s=timeout_s,
            verify=verify,
            max_connections=max_connections,
            transport=transport,
            clock=clock,
            ids=ids,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service.url!r}, {self._connection.username!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Calls after it fail."""
        self._http.close()

    # Sending

    def send(self, text: str, to: Recipients, *, idempotency_key: str | None = None, **options: Unpack[Options]) -> str:
        """Send one text to one or more recipients; the id of the job.

        Once it returns, the job is stored so that no crash loses it. It is tried again where that can't send it
        twice.

        to: a number, a Recipient, or several of them; at most 3000, more with `send_messages`.
        idempotency_key: the same key and job, sent again within 24 hours, is the same job: for programs that may
        be interrupted and start over. Without one, each call is a job of its own.

        Raises InvalidRequest, RefusedCharacters, Duplicate, or another ClientError.
        """
        return self.call(calls.send_job([Message(text, to)], options, self._key(idempotency_key)))

    def send_messages(
        self, messages: Iterable[Message], *, idempotency_key: str | None = None, **options: Unpack[Options]
    ) -> list[str]:
        """Send several texts, each to its recipients; the ids of the jobs.

        It is one job up to 3000 recipients, and as many as needed beyond. If one of several fails, the error's
        `sent` has the ids of those before it; with an `idempotency_key` the whole can be sent again, and what was
        sent is not sent twice.

        Raises as `send` does.
        """
        key = self._key(idempotency_key)
        sent: list[str] = []
        for job in calls.send_jobs(messages, options, key):
            try:
                sent.append(self.call(job))
            except ClientError as error:
                error.sent = tuple(sent)
                raise
        return sent

    def preview(self, text: str, to: Recipients, **options: Unpack[Options]) -> Preview:
        """What would become of a job, if it were sent now; nothing is sent or kept."""
        return self.call(calls.preview_job([Message(text, to)], options))

    def preview_messages(self, messages: Iterable[Message], **options: Unpack[Options]) -> Preview:
        """The same for several texts; at most 3000 recipients."""
        return self.call(calls.preview_job(list(messages), options))

    # Reading

    def wait(self, job_id: str, *, timeout_s: float = 600.0) -> list[RecipientReport]:
        """Wait until a job is finished; what became of each SMS, in the order of the request.

        It looks soon at first, and every ten seconds in the end. While it waits, a service that is away for a
        while is waited for too.

        Raises NotFinished after `timeout_s`, NotFound, or another ClientError.
        """
        deadline = self._clock.monotonic() + timeout_s
        polls = 0
        while True:
            left_s = deadline - self._clock.monotonic()
            call_timeout_s = max(1.0, min(self._timeout_s, left_s))
            again_s = poll_pause_s(polls)
            try:
                job = self.call(calls.get_job(job_id), timeout_s=call_timeout_s)
                if job.finished:
                    return self.call(calls.get_sms(job_id), timeout_s=call_timeout_s)
            except (Unavailable, RateLimited) as error:
                if polls == 0 or left_s <= 0:
                    raise
                if isinstance(error, RateLimited):
                    again_s = max(again_s, error.retry_after_s)
            polls += 1
            left_s = deadline - self._clock.monotonic()
            if left_s <= 0:
                raise NotFinished(f"job {job_id} is not finished after {timeout_s:g} s; it goes on", job_id)
            self._clock.sleep(min(again_s, left_s))

    def job(self, job_id: str) -> JobReport:
        """A job: its options, when it was received and finished. Raises NotFound."""
        return self.call(calls.get_job(job_id))

    def sms(self, job_id: str) -> list[RecipientReport]:
        """What became of each SMS of a job, in the order of the request. Raises NotFound."""
        return self.call(calls.get_sms(job_id))

    def jobs(
        self,
        from_ts: datetime | None = None,
        to_ts: datetime | None = None,
        *,
        open_only: bool = False,
        limit: int | None = None,
    ) -> Iterator[JobReport]:
        """The jobs received in a span of at most 30 days, newest first; without one, in the last 30 days.

        They are asked for page by page, as they are taken.

        open_only: those with an SMS that is not final yet.
        limit: at most so many.
        """
        return self._each(calls.list_jobs(from_ts, to_ts, open_only=open_only), limit)

    def job_ids(
        self,
        from_ts: datetime | None = None,
        to_ts: datetime | None = None,
        *,
        open_only: bool = False,
        limit: int | None = None,
    ) -> Iterator[str]:
        """The ids alone of what `jobs` lists."""
        return self._each(calls.list_job_ids(from_ts, to_ts, open_only=open_only), limit)

    def find_sms(
        self,
        *,
        job_id: str | None = None,
        dst: str | None = None,
        customer_ref: str | None = None,
        billcode: str | None = None,
        process_status: ProcessStatus | str | None = None,
        status: Status | str | None = None,
        from_ts: datetime | None = None,
        to_ts: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[RecipientReport]:
        """The SMS, of any job, that all these filters let through; at least one is needed."""
        listing = calls.find_sms(
            jobId=job_id,
            dst=dst,
            customerRef=customer_ref,
            billcode=billcode,
            processStatus=process_status,
            status=status,
            fromTs=from_ts,
            toTs=to_ts,
        )
        return self._each(listing, limit)

    def cancel(self, job_id: str) -> JobReport:
        """Cancel what can still be cancelled of a job; the job as it is then. Raises NotFound."""
        return self.call(calls.cancel_job(job_id))

    def version(self) -> VersionInfo:
        """What the service is running. It tests the connection: a wrong password raises Unauthorized."""
        return self.call(calls.get_version())

    # SMS from phones, and numbers that get nothing

    def inbound(
        self, from_ts: datetime | None = None, to_ts: datetime | None = None, *, limit: int | None = None
    ) -> Iterator[InboundReport]:
        """SMS received from phones, newest first; spans as for `jobs`."""
        return self._each(calls.list_inbound(from_ts, to_ts), limit)

    def blocklist(self, *, limit: int | None = None) -> Iterator[BlocklistEntry]:
        """The numbers that get nothing from the account, in the order of their digits."""
        return self._each(calls.list_blocklist(), limit)

    def blocklist_entry(self, dst: str) -> BlocklistEntry:
        """A number on the blocklist, in any usual spelling. Raises NotFound if it is not there."""
        return self.call(calls.get_blocklist_entry(dst))

    def block(self, dst: str) -> BlocklistEntry:
        """Put a number on the blocklist; SMS to it that wait end as BLOCKED."""
        return self.call(calls.block_number(dst))

    def unblock(self, dst: str) -> BlocklistEntry:
        """Take a number off the blocklist; what was there. Raises NotFound if nothing was."""
        return self.call(calls.unblock_number(dst))

    # Webhooks

    def add_webhook(self, url: str, events: Iterable[EventType | str] = tuple(EventType)) -> Webhook:
        """Have events posted to a URL. The answer alone has the `secret` that they are signed with: keep it."""
        return self.call(calls.add_webhook(url, events))

    def webhooks(self) -> list[Webhook]:
        """The account's webhooks."""
        return self.call(calls.list_webhooks())

    def remove_webhook(self, webhook_id: str) -> Webhook:
        """Post nothing more there; what it was. Raises NotFound."""
        return self.call(calls.remove_webhook(webhook_id))

    def webhook_failures(self, webhook_id: str, *, limit: int | None = None) -> Iterator[FailedEventReport]:
        """The events that were tried for days and not delivered, the first one first. Raises NotFound."""
        return self._each(calls.list_webhook_failures(webhook_id), limit)

    def replay_webhook(self, webhook_id: str) -> int:
        """Have its failures tried again, and a disabled webhook enabled; how many: of 20000 there may be more.

        Raises NotFound.
        """
        return self.call(calls.replay_webhook(webhook_id))

    # How calls are made

    def _key(self, given: str | None) -> str | None:
        """The Idempotency-Key of a job: a new one for each, unless it is given; none for a service without them."""
        if not self._service.whole:
            return None
        return self._ids.password() if given is None else calls.checked_key(given)

    def call(self, call: Call[T], *, timeout_s: float | None = None) -> T:
        """Make a call of `heliograph.sdk.calls`; the other methods are made of it.

        timeout_s: in place of the client's.
        """
        # A root that can't be reached may have what the others haven't: nothing is missing as long as one is away.
        deadline = self._clock.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        roots = self._service.roots_for(call)
        missing: ClientError | None = None
        for index, root in enumerate(roots):
            share_s = (deadline - self._clock.monotonic()) / (len(roots) - index)
            try:
                return self._ask(call, root, share_s)
            except (NotFound, Unavailable) as error:
                if missing is None or isinstance(error, Unavailable):
                    missing = error
        assert missing is not None, "a service has a root"
        raise missing

    def _each(self, listing: Listing[T], limit: int | None) -> Iterator[T]:
        roots = self._service.roots_for(listing.first)
        return self._merged(listing, [self._pages(listing, root, limit) for root in roots], limit)

    def _merged(self, listing: Listing[T], sources: list[Iterator[T]], limit: int | None) -> Iterator[T]:
        """The elements of all sources, each once. Of several, the newest first: ids begin with their instant."""
        if limit is not None and limit <= 0:
            return
        heads = [next(source, None) for source in sources]
        told: set[str] = set()
        while (head := max(filter(None, heads), key=listing.identity, default=None)) is not None:
            if listing.identity(head) not in told:
                told.add(listing.identity(head))
                yield head
                if len(told) == limit:
                    return
            at = heads.index(head)
            heads[at] = next(sources[at], None)

    def _pages(self, listing: Listing[T], root: str, limit: int | None) -> Iterator[T]:
        """The elements of one root. A new one that pushes others onto the next page makes them come twice."""
        size = listing.page_size if limit is None else min(limit, listing.page_size)
        offset = 0
        while True:
            try:
                page = self._ask(listing.page(offset, size), root, self._timeout_s)
            except NotFound:
                if self._service.whole:
                    raise
                return  # One of the vendor's data centres, which has none.
            yield from page
            if len(page) < size:
                return
            offset += len(page)

    def _ask(self, call: Call[T], root: str, timeout_s: float) -> T:
        """Make one call, again while it may end better and can do no harm."""
        deadline = self._clock.monotonic() + timeout_s
        in_doubt = False
        tries = 0
        while True:
            tries += 1
            left_s = deadline - self._clock.monotonic()
            outcome = self._try(call, root, try_timeout_s(call, left_s))
            in_doubt = in_doubt or is_doubtful(outcome)
            again = is_not_done(outcome) or is_being_done(call, outcome)
            if is_passing(outcome):
                knows_keys = call.key is not None and self._root_knows_keys(root, deadline)
                again = may_repeat(call, knows_keys=knows_keys)
            self._seen = self._seen or isinstance(outcome, Answer)
            again = again and (self._seen or tries < MOST_TRIES_UNSEEN)
            wait_s = pause_s(outcome, tries, self._ids.number(1000) / 1000)
            if not again or self._clock.monotonic() + wait_s >= deadline:
                return value_of(call, outcome, in_doubt=in_doubt)
            self._clock.sleep(wait_s)

    def _root_knows_keys(self, root: str, deadline: float) -> bool:
        """Whether a job can be sent again by its Idempotency-Key; other services may ignore it, and send twice."""
        if self._knows_keys is None:
            try:
                version = self._ask(calls.get_version(), root, (deadline - self._clock.monotonic()) / 2)
            except ClientError:
                return False
            self._knows_keys = version.version_info.startswith("heliograph ")
        return self._knows_keys

    def _try(self, call: Call[T], root: str, timeout_s: float) -> Outcome:
        deadline = self._clock.monotonic() + timeout_s
        headers = {"content-type": "application/json"} if call.body else {}
        if call.key is not None:
            headers["idempotency-key"] = call.key
        body = bytearray()
        try:
            with self._http.stream(
                call.method,
                root + BASE_PATH + call.path,
                params=call.query or None,
                content=call.body or None,
                headers=headers,
                timeout=max(timeout_s, LEAST_TIMEOUT_S),
            ) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if self._clock.monotonic() > deadline:
                        return NoAnswer(f"no whole answer came within {timeout_s:.3g} s", sent=True)
        except httpx2.TransportError as error:
            return no_answer(error, timeout_s)
        except httpx2.InvalidURL as error:
            raise InvalidRequest(f"{call.method} {call.path[:40]}… can't be asked for: {error}") from error
        except httpx2.RequestError as error:  # The answer came, but its body can't be decoded.
            return NoAnswer(str(error) or type(error).__name__, sent=True)
        answer = Answer(response.status_code, dict(response.headers), bytes(body))
        if ignored := ignored_fields(answer):
            told = f"the service does not know, and ignored: {ignored}"
            warnings.warn(told, IgnoredFields, stacklevel=2)
        return answer
