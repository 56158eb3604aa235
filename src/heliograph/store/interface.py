"""What the steps may ask of a store; `tests/store/conformance.py` says it again, as tests.

Every call is one transaction: when it returns, what it wrote survives a crash of any process. Calls that come while
another is being written share its commit with each other. `now` is always given, so nothing here reads a clock.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec

from heliograph.jobs.accounts import Account, AccountId, OnUnknown, RateLimit
from heliograph.jobs.carriage import Segment, SegmentId, is_same_phone
from heliograph.jobs.inbound import InboundPart, InboundSms
from heliograph.jobs.naming import JobId
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.records import BlockedNumber, StoredJob, StoredSms
from heliograph.jobs.schedule import Period
from heliograph.jobs.search import Criteria, FoundSms
from heliograph.jobs.status import PartState, ProcessStatus, Status
from heliograph.jobs.webhooks import Event, EventNumber, FailedEvent, Webhook, WebhookId

DUPLICATE_WINDOW = timedelta(minutes=10)
"""How long an equal request is refused (contract, duplicateDetection)."""

IDEMPOTENCY_WINDOW = timedelta(hours=24)
"""How long an idempotency key is remembered (contract, Idempotency-Key)."""

PARKED_FOR = timedelta(hours=1)
"""How long a receipt that came before the answer to its own submission can wait for it."""

LOOKALIKE = ""
"""Under this, which is no message id, what read like a receipt is parked as well, until it is known to be one."""

UNANSWERED = (PartState.WAITING, PartState.LEASED)
"""How a part stands to which the carrier may yet give the id that it gave another part of the SMS."""

EVENT_WORK = "!events"
"""To be asked of `work_arrived` like a carrier, which none is called: whether there may be something for webhooks."""

RECALL_TRIES = 3
"""How often a carrier is told, at most, that it is to drop a part of an SMS that was killed."""

PART_BITS = 5
"""An SMS has at most 20 parts, so a segment's id is its SMS's number, these bits wide shifted, plus its part from 0."""


def recall_work(carrier: str) -> str:
    """To be asked of `work_arrived`, likewise: whether a carrier may have to be told to drop something."""
    return f"!recall {carrier}"


class Added(NamedTuple):
    """What came of a job that was to be kept.

    job_id: the plan's own; where its idempotency key had been used, with an equal request, the first job's.
    is_new: whether it is the plan's. final: how many of its SMS are final from the start, by status; empty if not new.
    """

    job_id: JobId
    is_new: bool
    final: Mapping[Status, int]


class Cancelled(NamedTuple):
    """A job after it was cancelled, and how many of its SMS this call made CANCELED and KILL."""

    job: StoredJob
    canceled_count: int
    killed_count: int


class JobQuery(msgspec.Struct, frozen=True):
    """Which jobs to list: received in [since, until), newest first."""

    account: AccountId
    since: datetime
    until: datetime
    open_only: bool
    offset: int
    limit: int


class SmsQuery(msgspec.Struct, frozen=True):
    """Which SMS to find: of jobs received in [since, until), newest job first, within one as in the request."""

    account: AccountId
    since: datetime
    until: datetime
    criteria: Criteria
    offset: int
    limit: int


class DuePart(msgspec.Struct, frozen=True, gc=False):
    """A segment for which something falls due, leased to the caller.

    was: what it was before this lease. LEASED means that an earlier lease ran out without a word: the carrier may
    have it. SUBMITTED means that its receipt is overdue; it stays so until it is Ended. heard: receipts came for it,
    none of them final. others: the carriers to which the SMS may move, in this order; none once it may have been sent
    without our knowing. message_id: by which the carrier knows a SUBMITTED one; empty if it gave it none.
    """

    segment: Segment
    was: PartState
    attempt_count: int
    status: Status
    reason: str
    on_unknown: OnUnknown
    blackouts: tuple[Period, ...]
    heard: bool
    others: tuple[str, ...] = ()
    message_id: str = ""


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """The carrier took the segment.

    receipt_due_at: until when its receipt is awaited; None if none was asked for. expires_at: in that case, until when
    the carrier may have it without having delivered it; None if it isn't to be called back.
    """

    segment: SegmentId
    message_id: str
    at: datetime
    receipt_due_at: datetime | None
    expires_at: datetime | None = None

    @property
    def matters_until(self) -> datetime | None:
        """Until when something may be heard or said of it, should its SMS have been killed; None if nothing."""
        return (self.receipt_due_at or self.expires_at) if self.message_id else None


class Postponed(msgspec.Struct, frozen=True, gc=False):
    """The segment is to be tried (again) at `due_at`, for this reason.

    SEND_ERR says that the carrier may have it: from then on its SMS doesn't move. maybe_sent_at: when it was tried, if
    this is about a try after which the carrier may have it.
    """

    segment: SegmentId
    due_at: datetime
    attempt_count: int
    status: Status
    reason: str
    maybe_sent_at: datetime | None = None


class Ended(msgspec.Struct, frozen=True, gc=False):
    """With this segment the whole SMS comes to its end.

    is_overdue: for want of a receipt of what the carrier took. Any other end is that of a try, or of waiting for one:
    it says nothing of a segment that the carrier took at an earlier try, as an answer that came late has told.
    maybe_sent_at: as for Postponed.
    """

    segment: SegmentId
    status: Status
    reason: str
    at: datetime
    is_overdue: bool = False
    maybe_sent_at: datetime | None = None

    def counts_for(self, state: PartState) -> bool:
        """Whether it is the end of a segment that stands there by now."""
        return self.is_overdue or state in UNANSWERED


class Moved(msgspec.Struct, frozen=True, gc=False):
    """The whole SMS is to go to another carrier, at `due_at`, its tries counted anew.

    It moves if no part of it is, or may be, with the carrier it comes from: all its parts wait, or are Moved by the
    same call. Else `otherwise` holds for the segment; but where nothing but a lease of another part is in the way,
    and `otherwise` is its end, it is put back for MOVE_WAIT, tries as they are.
    others: to which carriers it may move from there.
    """

    segment: SegmentId
    carrier: str
    others: tuple[str, ...]
    due_at: datetime
    attempt_count: int
    status: Status
    reason: str
    otherwise: Postponed | Ended

    def waiting(self) -> Postponed:
        """What holds while another part is leased."""
        if isinstance(self.otherwise, Postponed):
            return self.otherwise
        due_at = self.due_at + MOVE_WAIT
        return Postponed(self.segment, due_at, self.attempt_count, self.status, self.otherwise.reason)


MOVE_WAIT = timedelta(seconds=5)
"""How long a part waits, that is to move, for what becomes of its SMS's other parts."""

Outcome = Submitted | Postponed | Moved | Ended


class ReceiptNews(msgspec.Struct, frozen=True, gc=False):
    """What a receipt means for its segment.

    message_id: the segment's, if not empty. spellings: ids, the likeliest first, of which one is the segment's if that
    went to one of `phones`; looked for when no segment has `message_id`. is_phone_known: what went to none of `phones`
    is not meant, though it has the id. (See `jobs.carriage.Receipt`.)
    status: SUC_FIN, SUC_ACC or a failure, None when more is to come. text: what it is if it is for no segment.
    """

    message_id: str
    status: Status | None
    reason: str
    at: datetime
    spellings: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    is_phone_known: bool = False
    text: InboundPart | None = None

    def is_about_other(self, dst: str) -> bool:
        """Whether an SMS to that number isn't the one to the receipt's phone."""
        return bool(self.phones or self.spellings) and not any(is_same_phone(dst, phone) for phone in self.phones)

    def is_believed(self, likeliness: int, *, is_other: bool) -> bool:
        """Whether a segment may be meant whose id is `message_id`, or the `likeliness`th of the spellings.

        is_other: it went to another phone. An id is believed all the same, unless we know better; a spelling is not.
        """
        return not is_other or (likeliness == 0 and not self.is_phone_known)


class Recall(NamedTuple):
    """A part of a killed SMS that its carrier is to be told to drop, leased to the caller. src: the sender it bears."""

    segment: SegmentId
    message_id: str
    src: str


class Quota(NamedTuple):
    """What is left of an account's rate limit.

    allowed: whether the call just asked for may go on. remaining: how many more may follow at once.
    reset_s: seconds until one more than `remaining` may.
    """

    allowed: bool
    remaining: int
    reset_s: float


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A part of an SMS from a phone.

    number: of its SMS's id (below naming.RANDOM_SPACE), should this part begin it.
    owner: whose the SMS is, NOBODY's included; None is the account that last wrote to the phone: whose SMS to it a
    carrier got last, or may have.
    lookalike: the number of the Lookalike that it was; 0 if it was none.
    """

    part: InboundPart
    number: int
    owner: AccountId | None = None
    lookalike: int = 0


class Lookalike(NamedTuple):
    """What read like a receipt, and was for no segment of its carrier. number: not 0."""

    number: int
    carrier: str
    part: InboundPart


class Received(NamedTuple):
    """What came of arrivals: the SMS that are whole now, and how many others ended as BLOCKED by what these say."""

    sms: list[InboundSms]
    blocked_count: int


class InboundQuery(msgspec.Struct, frozen=True):
    """Which SMS from phones to list: received in [since, until), newest first."""

    account: AccountId
    since: datetime
    until: datetime
    offset: int
    limit: int


class DueEvent(msgspec.Struct, frozen=True):
    """Something that one webhook is to be told, leased to the caller. attempt_count: how often that has failed."""

    number: EventNumber
    webhook: Webhook
    event: Event
    attempt_count: int
    leased_until: datetime


class EventDelivered(msgspec.Struct, frozen=True):
    """The webhook has been told."""

    number: EventNumber


class EventPostponed(msgspec.Struct, frozen=True):
    """The webhook is to be told (again) at `due_at`, for this reason. leased_until: as it was leased."""

    number: EventNumber
    leased_until: datetime
    due_at: datetime
    attempt_count: int
    reason: str


class EventGivenUp(msgspec.Struct, frozen=True):
    """The webhook isn't told, until its failures are replayed. leased_until: as it was leased."""

    number: EventNumber
    leased_until: datetime
    attempt_count: int
    reason: str
    at: datetime


class WebhookGone(msgspec.Struct, frozen=True):
    """The webhook wants to be told nothing any more: it is disabled. Its events wait until they are replayed."""

    webhook: WebhookId
    at: datetime


Settlement = EventDelivered | EventPostponed | EventGivenUp | WebhookGone


class Counts(msgspec.Struct, frozen=True):
    """How much is in the store.

    by_process_status: how many SMS are OPEN and RUNNING. oldest_due_at: since when an SMS is waiting to be sent, by
    carrier; those left out have none waiting. events_waiting: how many events webhooks are to be told, those given up
    left out.
    """

    by_process_status: dict[ProcessStatus, int]
    oldest_due_at: dict[str, datetime]
    events_waiting: int = 0


class WorkSignal(Protocol):
    """Who waits for work is told when there is some."""

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        """Return when there may be something new to lease for a carrier, at the latest after `timeout_s`."""
        ...


class JobStore(Protocol):
    """Jobs, and what became of them."""

    async def add_job(self, plan: JobPlan) -> Added:
        """Keep a job. SMS to numbers on the account's blocklist are final from the start.

        First the plan's `idempotency`, if it has one, is looked for among the account's of jobs received less than
        IDEMPOTENCY_WINDOW before: of the same key and fingerprint, that job is what there is, and nothing is kept;
        with another fingerprint it raises IdempotencyKeyTaken. Then it raises JobDuplicate if the plan has a
        `fingerprint`, and the account's last job kept with it was received less than DUPLICATE_WINDOW before. Then it
        raises SpendingLimitReached if the plan has a `sms_per_hour` that leaves no room for its parts beside those of
        the account's other plans with one (`jobs.spending`). A job that is kept has its key, its fingerprint and what
        it spends kept with it, in the same transaction; one that is not, none of them.
        """
        ...

    async def cancel_job(self, account: AccountId, job_id: str, now: datetime) -> Cancelled | None:
        """End the SMS of a job that are not final, as `jobs.status.cancelled` says; None for a job the account hasn't.

        Tried is an SMS with a part whose attempt_count is above 0; doubtful is one with a part that was ever leased
        while LEASED, or Postponed with SEND_ERR.

        None of their parts is leased again, and what is recorded of those that are leased changes nothing, but for
        this: of an SMS that is KILL, the receipts of each part that is SUBMITTED with a message id, or for which a
        Submitted with both id and `receipt_due_at`, or `expires_at`, is recorded later, are still matched, by the same
        rules, until its receipt is due, or it expires, after those awaited of SMS that aren't final. What they say
        replaces the SMS's reason, and nothing else of it; nothing more is told of a part after its first final word,
        or of the SMS after one that said a failure. These parts are also to be called back. Cancelled again, nothing
        changes.
        """
        ...

    async def job(self, account: AccountId, job_id: str) -> StoredJob | None:
        """One job of the account."""
        ...

    async def find_jobs(self, query: JobQuery) -> list[StoredJob]:
        """Jobs of the account, newest first."""
        ...

    async def sms_of_job(self, account: AccountId, job_id: str) -> list[StoredSms] | None:
        """The SMS of a job in the order of the request; None if the account has no such job."""
        ...

    async def find_sms(self, query: SmsQuery) -> list[FoundSms]:
        """SMS of the account that meet criteria, be they final or not; as `Criteria` says it of a job and of its SMS.

        It may have to look at all there are: it does so in steps, so that nobody else waits for it for long, and a
        search that is cancelled ends with its step.
        """
        ...


class WorkStore(WorkSignal, Protocol):
    """Segments that fall due, and what carriers say of them."""

    async def lease_segments(
        self, carrier: str, limit: int, until: datetime, now: datetime, normal_limit: int | None = None
    ) -> list[DuePart]:
        """Take up to `limit` segments that are due, hidden from everybody else until `until`.

        normal_limit: how many of them may be NORMAL; None for any number.

        EXPRESS goes before NORMAL; among accounts it goes round; within one, what fell due first. An SMS to a blocked
        number, none of whose parts is with the carrier or leased, is ended here at the latest.
        """
        ...

    async def record_outcomes(self, carrier: str, outcomes: Sequence[Outcome]) -> None:
        """What became of leased segments, one outcome a segment. Receipts that came before are matched here.

        A Moved among them counts after the others, of several for one SMS the first; an Ended counts last, and of
        several for one SMS the first. What comes too late changes nothing: anything for a final SMS, a Postponed or
        Moved for a segment whose lease is over or whose SMS has moved, a second Submitted, an Ended that doesn't count
        for the segment any more.
        """
        ...

    async def record_receipts(self, carrier: str, receipts: Sequence[ReceiptNews]) -> None:
        """What receipts say; the first final word on a segment holds.

        One whose segment isn't known yet is kept for PARKED_FOR, until its submission is recorded; so is one for a
        segment that has its final word, while others of its SMS are UNANSWERED: a carrier may give them all one id.
        One without any id is for nobody; one with a `text` is a Lookalike once it has been kept for so long.
        """
        ...

    async def awaiting_receipts(self, carrier: str) -> list[str]:
        """The message ids of all segments whose receipts are awaited from a carrier, those without one left out."""
        ...

    async def abandoned_receipts(self, carrier: str) -> list[str]:
        """The message ids of segments that nodes handed to a carrier which have gone since, and its receipts awaited.

        At least once after each node's going: those that were told before are told again, those of living nodes are
        not. Mostly, and always where one process has the store to itself, there are none.
        """
        ...

    async def sms_at_other_carriers(self, known: Collection[str]) -> dict[str, int]:
        """How many SMS that are not final are with carriers other than these, by carrier."""
        ...


class RecallStore(WorkSignal, Protocol):
    """What carriers are to drop."""

    async def lease_recalls(self, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
        """Take up to `limit` parts of killed SMS that a carrier has, hidden from everybody else until `until`.

        What fell due first goes first. A part is given RECALL_TRIES times at most, and none whose final receipt has
        come, or would have been due by `now`.
        """
        ...

    async def settle_recalls(self, carrier: str, message_ids: Collection[str]) -> None:
        """The carrier has answered for these: it needn't be told again. Other ids may be among them."""
        ...


class NodeStore(Protocol):
    """Which nodes there are, and what each of them alone does."""

    async def meet(self, node: str, until: datetime, now: datetime) -> int:
        """Tell that a node dispatches, and does so until an instant if it isn't told again; how many nodes do now.

        `until` no later than `now` takes it back.
        """
        ...

    async def claim(self, role: str, node: str, until: datetime, now: datetime) -> bool:
        """Take a role that one node at a time can have, or keep it, until an instant; whether the node has it.

        It has if nobody else does, or if whoever did let it lapse by `now`.
        """
        ...

    async def release(self, role: str, node: str) -> None:
        """Give a role back; nothing changes if another node has it."""
        ...


class InboundStore(Protocol):
    """SMS from phones."""

    async def record_inbound(self, carrier: str, arrivals: Sequence[Arrival]) -> Received:
        """Keep parts of SMS from phones; those that are there already change nothing.

        An SMS that is whole belongs to the first part's owner. One that says STOP and no more puts its sender on that
        account's blocklist, one that says START takes it off. Lookalikes that aren't there any more change nothing.
        """
        ...

    async def lookalikes(self, before: datetime, limit: int) -> list[Lookalike]:
        """Some that came no later than an instant; they are there until they are recorded as SMS from phones."""
        ...

    async def give_up_missing_parts(self, begun_before: datetime, now: datetime) -> Received:
        """Make SMS whole, as far as they came, that have been incomplete since before an instant."""
        ...

    async def find_inbound(self, query: InboundQuery) -> list[InboundSms]:
        """SMS from phones to the account, newest first."""
        ...

    async def forget_inbound(self, received_before: datetime, limit: int) -> int:
        """Delete those among the `limit` oldest SMS from phones that came before an instant; how many were deleted."""
        ...


class BlocklistStore(Protocol):
    """Numbers that an account sends nothing to."""

    async def block(self, account: AccountId, dst: str, now: datetime) -> tuple[BlockedNumber, int]:
        """Put a number on the account's blocklist, if it isn't there.

        The account's SMS to it that wait, with no part leased or with the carrier, end as BLOCKED: also how many.
        """
        ...

    async def unblock(self, account: AccountId, dst: str) -> BlockedNumber | None:
        """Take a number off the account's blocklist; what was there."""
        ...

    async def blocked(self, account: AccountId, dst: str) -> BlockedNumber | None:
        """A number on the account's blocklist."""
        ...

    async def blocked_among(self, account: AccountId, dsts: Collection[str]) -> set[str]:
        """Those of some numbers, up to thousands, that are on the account's blocklist."""
        ...

    async def find_blocked(self, account: AccountId, offset: int, limit: int) -> list[BlockedNumber]:
        """The account's blocklist, in the order of the numbers' digits."""
        ...


class WebhookStore(WorkSignal, Protocol):
    """Webhooks, and the events that they are still to be told.

    An event is written in the transaction that makes it happen, once for each enabled webhook of the account that
    asks for its type: an SMS becomes final (of a job that comes in, too), a job with its last SMS, an SMS from a phone
    whole. An account without webhooks pays nothing for that.
    """

    async def add_webhook(self, webhook: Webhook) -> None:
        """Keep a webhook. Raises TooManyWebhooks if its account has MAX_WEBHOOKS already."""
        ...

    async def webhooks(self, account: AccountId) -> list[Webhook]:
        """The account's webhooks, oldest first."""
        ...

    async def remove_webhook(self, account: AccountId, webhook: WebhookId) -> Webhook | None:
        """Remove one of the account's webhooks and all its events, leased ones as well; what was there."""
        ...

    async def remove_trigger(self, token: str) -> Webhook | None:
        """The same for the webhook with that token, whosever it is."""
        ...

    async def lease_events(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        """Take up to `limit` events that are due, hidden from everybody else until `until`.

        Of one webhook at most as many as `rooms` says for it, or `room` if that says nothing; none of a disabled one.
        Among webhooks it goes round; within one, what fell due first. A JobFinished falls due when the last
        SmsFinished of its job for the same webhook is settled, given up included, and stays due when some are
        replayed. An event of which the store has nothing to tell any more, because of its retention, is dropped.
        """
        ...

    async def settle_events(self, settlements: Sequence[Settlement]) -> None:
        """What became of leased events. What comes too late, for a lease that is over, changes nothing.

        But an event that was delivered is settled, whoever has it leased by then.
        """
        ...

    async def find_failed_events(
        self, account: AccountId, webhook: WebhookId, offset: int, limit: int
    ) -> list[FailedEvent] | None:
        """Events for a webhook that were given up, the first one first; None if the account has no such webhook."""
        ...

    async def replay_events(self, account: AccountId, webhook: WebhookId, limit: int, now: datetime) -> int | None:
        """Let up to `limit` events that were given up fall due at `now`, as if never tried; how many did.

        A webhook that is disabled is enabled again. None if the account has no such webhook.
        """
        ...

    async def forget_events(self, happened_before: datetime, limit: int) -> int:
        """Delete those among the `limit` oldest events, settled or not, that happened before an instant; how many."""
        ...


class AccountStore(Protocol):
    """Accounts, and the calls that they have left."""

    async def account(self, name: str) -> Account | None:
        """The account of that name, disabled or not."""
        ...

    async def accounts(self) -> list[Account]:
        """All accounts, by name."""
        ...

    async def put_account(self, account: Account) -> Account:
        """Add an account (id 0), or change the one with its id. Returns it with its id.

        Raises AccountExists if another has its name.
        """
        ...

    async def take_call(self, account: AccountId, limit: RateLimit, now: datetime) -> Quota:
        """Count one call against the account's rate limit, if it still has room."""
        ...


class Upkeep(Protocol):
    """What is done and asked from time to time."""

    async def forget_jobs(self, received_before: datetime, limit: int) -> int:
        """Forget up to `limit` finished jobs received before an instant, the oldest first; how many were forgotten.

        Nobody is told of them any more; what is left of them is deleted now, or by `keep_in_order`.
        By and by, who last wrote to which phone before that instant's day is forgotten as well.
        """
        ...

    async def blank_texts(self, received_before: datetime, limit: int) -> int:
        """Delete the texts of up to `limit` finished jobs received before an instant; how many jobs had some."""
        ...

    async def keep_in_order(self, now: datetime, days: float) -> None:
        """Do what a store needs now and then so as to stay as quick as it is.

        Where it keeps history in pieces, it makes those that will be needed, and drops those that were forgotten whole.
        days: for how long jobs are kept.
        """
        ...

    async def counts(self, now: datetime) -> Counts:
        """For the metrics."""
        ...

    async def ready(self) -> None:
        """Return if the store can be used; raises StoreUnavailable if not."""
        ...


class Store(
    JobStore,
    WorkStore,
    RecallStore,
    NodeStore,
    InboundStore,
    BlocklistStore,
    WebhookStore,
    AccountStore,
    Upkeep,
    Protocol,
):
    """Durable state.

    Raises StoreUnavailable when the database is away, and Overloaded, in what customers ask for and in nothing else,
    when too much of that waits to be written.
    """
