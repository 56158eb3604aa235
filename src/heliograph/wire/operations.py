"""Every operation of the HTTP API, once: what routes, validates and describes it reads this table."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from http import HTTPStatus

from heliograph.jobs.status import ProcessStatus, Status
from heliograph.wire.headers import IDEMPOTENCY_KEY, KEY_PATTERN
from heliograph.wire.polling import STATE, STATE_FORMAT
from heliograph.wire.previews import JobPreview
from heliograph.wire.shapes import (
    EXAMPLE_JOB_ID,
    BlocklistEntry,
    InboundReport,
    JobReport,
    JobResponse,
    Parameter,
    RecipientReport,
    VersionInfoResponse,
)
from heliograph.wire.webhooks import (
    EXAMPLE_TOKEN,
    EXAMPLE_WEBHOOK_ID,
    FailedEventReport,
    NewWebhook,
    ReplayReport,
    TriggerRemoval,
    WebhookReport,
)

BASE_PATH = "/rest/v1"
MAX_BODY_OCTETS = 8 * 1024 * 1024
MAX_LISTED = 1000
LONGEST_LISTING_DAYS = 30
PHONE_NUMBER_FORMAT = "phone-number"
"""The `format` of a number in any usual spelling: what is one, no pattern can say."""


class Credentials(Enum):
    """Whether an operation asks for HTTP Basic credentials."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    """Without any it answers; wrong ones are refused all the same."""
    IN_PATH = "in path"
    """The path has something in it that can't be guessed; others are not looked at."""


class Group(Enum):
    """Where an operation stands in the reference."""

    JOBS = "Jobs"
    INBOUND = "Inbound"
    BLOCKLIST = "Blocklist"
    WEBHOOKS = "Webhooks"
    SERVICE = "Service"


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation; equal to itself alone, so that what is known of it is found by it at no cost.

    name: its operationId. path: below BASE_PATH, with `{parameters}`. body: whether it takes one; request: its shape.
    response: what a success answers; a list where `array`. or_else: another shape that it, or an element, can have.
    header_parameters: their values are handed on as they came, one for each time. nothing_yet: what a 202 means, where
    there is one. errors: the status codes it can answer, besides those that any operation can.
    """

    name: str
    method: str
    path: str
    summary: str
    description: str
    group: Group
    response: type
    or_else: type | None = None
    array: bool = False
    success: HTTPStatus = HTTPStatus.OK
    nothing_yet: str | None = None
    credentials: Credentials = Credentials.REQUIRED
    body: bool = False
    request: str = "JobRequest"
    path_parameters: tuple[Parameter, ...] = ()
    query_parameters: tuple[Parameter, ...] = ()
    header_parameters: tuple[Parameter, ...] = ()
    errors: tuple[HTTPStatus, ...] = ()


JOB_ID = Parameter(
    name="jobId",
    kind=str,
    description="Id of the job, as the answer to sending it gave it.",
    required=True,
    pattern=r"^J\..{18,38}$",
    example=EXAMPLE_JOB_ID,
)

SEND_SMS_JOB = Operation(
    name="SendSmsJob",
    method="POST",
    path="/jobs",
    summary="Send SMS job",
    description="Sends one or more SMS messages to one or more recipients each. The answer holds the id of "
    "the new job; it comes once the job is stored so that no crash can lose it.",
    group=Group.JOBS,
    response=JobResponse,
    success=HTTPStatus.CREATED,
    body=True,
    header_parameters=(
        Parameter(
            IDEMPOTENCY_KEY,
            str,
            "A key of your own for this request, such as a UUID, of 1 to 255 visible ASCII characters. The same "
            "request sent again with it, within 24 hours, sends nothing and answers the id of the first job; another "
            "request with it is 409, and so is the same one while the first is under way. What is refused uses up no "
            "key.",
            pattern=KEY_PATTERN,
            example="8e03978e-40d5-43dd-bc93-6894a57f9324",
        ),
    ),
    errors=(
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
)

PREVIEW_JOB = Operation(
    name="PreviewJob",
    method="POST",
    path="/jobs/preview",
    summary="Preview job",
    description="Tells what would become of a job if it were sent now: how its texts would travel, and where, when and "
    "by whom each SMS would be sent, or why not. Nothing is sent and nothing remembered. What sending would refuse "
    "with a 400 is one here, too.",
    group=Group.JOBS,
    response=JobPreview,
    body=True,
    errors=(
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
)

GET_JOB_STATUS = Operation(
    name="GetJobStatus",
    method="GET",
    path="/jobs/{jobId}",
    summary="Get job status",
    description="Reads a job: the options in force, when it was received and finished, and the ids of its SMS.",
    group=Group.JOBS,
    response=JobReport,
    path_parameters=(JOB_ID,),
    errors=(HTTPStatus.NOT_FOUND,),
)

CANCEL_JOB = Operation(
    name="CancelJob",
    method="DELETE",
    path="/jobs/{jobId}",
    summary="Cancel job",
    description="Cancels what can still be cancelled of a job, and answers the job. What waits is never sent: it is "
    "CANCELED. What the carrier has, or may be getting at this moment, is KILL, and may be delivered all the same; a "
    "carrier that can stop it (`cancel_sm`) is told to, and what it says of it later is told in its `reason` alone. "
    "What is final stays as it is; so, done again, it changes nothing.",
    group=Group.JOBS,
    response=JobReport,
    path_parameters=(JOB_ID,),
    errors=(HTTPStatus.NOT_FOUND,),
)

GET_ALL_JOBS = Operation(
    name="GetAllJobs",
    method="GET",
    path="/jobs",
    summary="Get all jobs for given criteria",
    description="Lists the jobs received in a span of time of at most 30 days, newest first.",
    group=Group.JOBS,
    response=JobReport,
    or_else=JobResponse,
    array=True,
    query_parameters=(
        Parameter("jobIdsOnly", bool, "true lists the ids of the jobs alone, false whole reports.", required=True),
        Parameter(
            "fromTs",
            datetime,
            "Jobs received at or after this instant (ISO-8601). At most 30 days before toTs; given alone, "
            "the 30 days from it on are listed.",
        ),
        Parameter(
            "toTs",
            datetime,
            "Jobs received before this instant (ISO-8601). Given alone, the 30 days before it are listed.",
        ),
        Parameter("open", bool, "true lists only jobs with an SMS that is not final yet.", default=False),
        Parameter("offset", int, "How many jobs to leave out at the beginning.", default=0, minimum=0),
        Parameter("limit", int, "How many jobs to list at most.", default=100, minimum=0, maximum=MAX_LISTED),
    ),
)

GET_RECIPIENT_STATUS = Operation(
    name="GetRecipientStatus",
    method="GET",
    path="/sms",
    summary="Get status for all recipients of a job",
    description="Reads what became of each SMS of a job, in the order of the request; or looks for SMS of any job by "
    "what is known of them. At least one of the parameters besides offset and limit must be given; of several, all "
    "hold. Those of the newest job come first. Without a jobId, jobs of the last 30 days are looked at, unless fromTs "
    "or toTs says otherwise. A search that takes over 10 seconds is given up with a 400.",
    group=Group.JOBS,
    response=RecipientReport,
    array=True,
    query_parameters=(
        JOB_ID._replace(required=False),
        Parameter(
            "dst",
            str,
            "SMS to this number, in any usual spelling, as a recipient's dst is read; what is no number is looked for "
            "as it was sent.",
            example="+4917612345678",
        ),
        Parameter("customerRef", str, "SMS whose recipient had this reference."),
        Parameter("billcode", str, "SMS of jobs with this cost centre."),
        Parameter("processStatus", ProcessStatus, "SMS that stand so."),
        Parameter("status", Status, "SMS of which this became; `status=` finds those without one.", may_be_empty=True),
        Parameter(
            "fromTs",
            datetime,
            "SMS of jobs received at or after this instant (ISO-8601). At most 30 days before toTs; given alone, "
            "the 30 days from it on are looked at.",
        ),
        Parameter(
            "toTs",
            datetime,
            "SMS of jobs received before this instant (ISO-8601). Given alone, the 30 days before it are looked at.",
        ),
        Parameter("offset", int, "How many SMS to leave out at the beginning; 0 if left out.", minimum=0),
        Parameter(
            "limit",
            int,
            "How many SMS to list at most; 100 if left out, but all where jobId is the only parameter.",
            minimum=0,
            maximum=MAX_LISTED,
        ),
    ),
    errors=(HTTPStatus.NOT_FOUND,),
)

GET_VERSION = Operation(
    name="GetVersion",
    method="GET",
    path="/version",
    summary="Get version information",
    description="Tells what is running. It answers without credentials, and refuses wrong ones, so that a "
    "connection can be tested with it.",
    group=Group.SERVICE,
    response=VersionInfoResponse,
    credentials=Credentials.OPTIONAL,
)

GET_INBOUND_SMS = Operation(
    name="GetInboundSms",
    method="GET",
    path="/inbound",
    summary="Get SMS received from phones",
    description="Lists the SMS received from phones in a span of time of at most 30 days, newest first: those to the "
    "numbers that are the account's, and those from phones that the account was the last to write to. An SMS in "
    "several parts is listed once all of them are there, or after 24 hours without the missing ones.",
    group=Group.INBOUND,
    response=InboundReport,
    array=True,
    query_parameters=(
        Parameter(
            "fromTs",
            datetime,
            "SMS received at or after this instant (ISO-8601). At most 30 days before toTs; given alone, "
            "the 30 days from it on are listed.",
        ),
        Parameter(
            "toTs",
            datetime,
            "SMS received before this instant (ISO-8601). Given alone, the 30 days before it are listed.",
        ),
        Parameter("offset", int, "How many SMS to leave out at the beginning.", default=0, minimum=0),
        Parameter("limit", int, "How many SMS to list at most.", default=100, minimum=0, maximum=MAX_LISTED),
    ),
)

BLOCKED_DST = Parameter(
    name="dst",
    kind=str,
    description="The number in any usual spelling, as a recipient's dst is read; percent-encoded, as all in a path.",
    required=True,
    format=PHONE_NUMBER_FORMAT,
    example="+4917612345678",
)

GET_BLOCKLIST = Operation(
    name="GetBlocklist",
    method="GET",
    path="/blocklist",
    summary="Get blocklist",
    description="Lists the numbers that get nothing from the account, in the order of their digits.",
    group=Group.BLOCKLIST,
    response=BlocklistEntry,
    array=True,
    query_parameters=(
        Parameter("offset", int, "How many numbers to leave out at the beginning.", default=0, minimum=0),
        Parameter("limit", int, "How many numbers to list at most.", default=100, minimum=0, maximum=MAX_LISTED),
    ),
)

GET_BLOCKLIST_ENTRY = Operation(
    name="GetBlocklistEntry",
    method="GET",
    path="/blocklist/{dst}",
    summary="Get blocklist entry",
    description="Tells whether a number is on the blocklist: it is 404 if not.",
    group=Group.BLOCKLIST,
    response=BlocklistEntry,
    path_parameters=(BLOCKED_DST,),
    errors=(HTTPStatus.NOT_FOUND,),
)

BLOCK_NUMBER = Operation(
    name="BlockNumber",
    method="PUT",
    path="/blocklist/{dst}",
    summary="Block number",
    description="Puts a number on the blocklist. Its SMS that wait end as BLOCKED, and so does every one sent to it "
    "from then on; those that the carrier has, or is just getting, are not called back. Done again, it changes "
    "nothing. A phone puts itself there by an SMS that says `STOP` and nothing more, or one of STOP's kin in other "
    "languages, and takes itself off by `START`.",
    group=Group.BLOCKLIST,
    response=BlocklistEntry,
    path_parameters=(BLOCKED_DST,),
)

UNBLOCK_NUMBER = Operation(
    name="UnblockNumber",
    method="DELETE",
    path="/blocklist/{dst}",
    summary="Unblock number",
    description="Takes a number off the blocklist, and answers what was there; it is 404 if nothing was.",
    group=Group.BLOCKLIST,
    response=BlocklistEntry,
    path_parameters=(BLOCKED_DST,),
    errors=(HTTPStatus.NOT_FOUND,),
)

_BODY_ERRORS = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)

WEBHOOK_ID = Parameter(
    name="id",
    kind=str,
    description="Id of the webhook, as the answer to making it gave it.",
    required=True,
    example=EXAMPLE_WEBHOOK_ID,
)

ADD_WEBHOOK = Operation(
    name="AddWebhook",
    method="POST",
    path="/webhooks",
    summary="Add webhook",
    description="Subscribes a URL to what happens from now on. Each event is posted there at least once, signed as the "
    "Standard Webhooks specification says, and tried again for three days if it isn't answered with 2xx.",
    group=Group.WEBHOOKS,
    response=NewWebhook,
    success=HTTPStatus.CREATED,
    body=True,
    request="WebhookRequest",
    errors=(*_BODY_ERRORS, HTTPStatus.CONFLICT),
)

GET_WEBHOOKS = Operation(
    name="GetWebhooks",
    method="GET",
    path="/webhooks",
    summary="Get webhooks",
    description="Lists the webhooks of the account, flows' triggers among them, oldest first.",
    group=Group.WEBHOOKS,
    response=WebhookReport,
    array=True,
)

REMOVE_WEBHOOK = Operation(
    name="RemoveWebhook",
    method="DELETE",
    path="/webhooks/{id}",
    summary="Remove webhook",
    description="Ends a subscription, and answers what it was. What it hasn't been told yet it won't be.",
    group=Group.WEBHOOKS,
    response=WebhookReport,
    path_parameters=(WEBHOOK_ID,),
    errors=(HTTPStatus.NOT_FOUND,),
)

GET_WEBHOOK_FAILURES = Operation(
    name="GetWebhookFailures",
    method="GET",
    path="/webhooks/{id}/failures",
    summary="Get webhook failures",
    description="Lists the events that were tried as often as they are and not delivered, the first one first. They "
    "are kept as long as what they tell.",
    group=Group.WEBHOOKS,
    response=FailedEventReport,
    array=True,
    path_parameters=(WEBHOOK_ID,),
    query_parameters=(
        Parameter("offset", int, "How many events to leave out at the beginning.", default=0, minimum=0),
        Parameter("limit", int, "How many events to list at most.", default=100, minimum=0, maximum=MAX_LISTED),
    ),
    errors=(HTTPStatus.NOT_FOUND,),
)

REPLAY_WEBHOOK = Operation(
    name="ReplayWebhook",
    method="POST",
    path="/webhooks/{id}/replay",
    summary="Replay webhook failures",
    description="Tries the failures of a webhook again, as if for the first time, 20000 at most: after as many, call "
    "it again for the rest. A webhook that was disabled because it answered 410 is enabled again, and told what has "
    "been waiting.",
    group=Group.WEBHOOKS,
    response=ReplayReport,
    path_parameters=(WEBHOOK_ID,),
    errors=(HTTPStatus.NOT_FOUND,),
)


def _trigger(name: str, path: str, what: str, event: str) -> Operation:
    return Operation(
        name=name,
        method="POST",
        path=path,
        summary=f"When {what}",
        description=f"This operation triggers when {what}: `{event}` events are posted to a flow's callback URL. "
        "Whoever has the URL in the answer's `Location` ends it with DELETE, without credentials; so does the callback "
        "with an answer of 404 or 410.",
        group=Group.WEBHOOKS,
        response=WebhookReport,
        success=HTTPStatus.CREATED,
        body=True,
        request="TriggerRequest",
        errors=(*_BODY_ERRORS, HTTPStatus.CONFLICT),
    )


SMS_FINISHED_TRIGGER = _trigger(
    "OnSmsFinished", "/triggers/sms-finished", "an SMS gets its final status", "sms.finished"
)
JOB_FINISHED_TRIGGER = _trigger("OnJobFinished", "/triggers/job-finished", "a job is finished", "job.finished")
SMS_RECEIVED_TRIGGER = _trigger("OnSmsReceived", "/triggers/sms-received", "an SMS is received", "sms.received")

POLL_INBOUND = Operation(
    name="OnSmsReceivedPolled",
    method="GET",
    path="/triggers/sms-received",
    summary="When SMS are received, by polling",
    description="This operation triggers when SMS are received, for a flow that asks for them: each answer's "
    "`Location` is where to ask the next time, and answers what has come since, oldest first. Without `state`, what "
    "comes from now on is new. An SMS that is stored up to 15 minutes after it came isn't missed.",
    group=Group.WEBHOOKS,
    response=InboundReport,
    array=True,
    nothing_yet="Nothing has come. `Retry-After` says when to ask again, and `Location` where.",
    query_parameters=(Parameter(STATE, str, "What the `Location` of the answer before held.", format=STATE_FORMAT),),
)

REMOVE_TRIGGER = Operation(
    name="RemoveTrigger",
    method="DELETE",
    path="/triggers/{token}",
    summary="Remove trigger",
    description="Ends what a flow subscribed to. The token is the credential. Done again, it changes nothing, and "
    "it is no error either.",
    group=Group.WEBHOOKS,
    response=TriggerRemoval,
    credentials=Credentials.IN_PATH,
    path_parameters=(
        Parameter(
            name="token",
            kind=str,
            description="What stands there in the Location that the subscription was answered with.",
            required=True,
            example=EXAMPLE_TOKEN,
        ),
    ),
)

OPERATIONS = (
    SEND_SMS_JOB,
    PREVIEW_JOB,  # Before those on /jobs/{jobId}: the first path that fits is it.
    GET_JOB_STATUS,
    CANCEL_JOB,
    GET_ALL_JOBS,
    GET_RECIPIENT_STATUS,
    GET_INBOUND_SMS,
    GET_BLOCKLIST,
    GET_BLOCKLIST_ENTRY,
    BLOCK_NUMBER,
    UNBLOCK_NUMBER,
    ADD_WEBHOOK,
    GET_WEBHOOKS,
    REMOVE_WEBHOOK,
    GET_WEBHOOK_FAILURES,
    REPLAY_WEBHOOK,
    SMS_FINISHED_TRIGGER,
    JOB_FINISHED_TRIGGER,
    SMS_RECEIVED_TRIGGER,
    POLL_INBOUND,
    REMOVE_TRIGGER,
    GET_VERSION,
)
