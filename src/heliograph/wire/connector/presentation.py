"""How operations and fields are shown to whoever builds a flow, an app or an agent."""

import re
from dataclasses import dataclass
from enum import Enum


class Visibility(Enum):
    """`x-ms-visibility`: what is shown at once, on request, or never."""

    IMPORTANT = "important"
    ADVANCED = "advanced"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one operation is shown.

    description: full sentences. An agent chooses by them: what it does, when to use it, and what comes back.
    triggered_by: the event that starts a flow, where the operation is what subscribes to it. polled: a flow starts for
    each element of its answer.
    """

    description: str
    visibility: Visibility | None = None
    triggered_by: str | None = None
    polled: bool = False


PRESENTATIONS = {
    "SendSmsJob": Presentation(
        "Sends one or more SMS messages to one or more recipients each. Use it to text people; write numbers in "
        "E.164, such as +4917612345678. The answer holds the id of the new job, jobId, by which its status is read.",
        Visibility.IMPORTANT,
    ),
    "GetVersion": Presentation(
        "Tells which version of the service is running. Use it to test a connection.", Visibility.ADVANCED
    ),
    "GetJobStatus": Presentation(
        "Reads one job by its jobId: the options in force, when it was received, and the ids of its SMS. It is "
        "finished once there is a finishedTs. The status for all recipients of the job tells "
        "the result of each SMS.",
        Visibility.IMPORTANT,
    ),
    "GetRecipientStatus": Presentation(
        "Reads what became of each SMS of a job, one report for every recipient. An SMS is final when its "
        "processStatus is DONE, CANCELED or KILL; it was delivered if the status is SUC_FIN.",
        Visibility.IMPORTANT,
    ),
    "GetAllJobs": Presentation(
        "Lists the jobs that were received in a span of time of at most 30 days, and meet the other criteria. Use it "
        "to find a job whose jobId is not at hand."
    ),
    "GetInboundSms": Presentation(
        "Lists the SMS that phones sent in a span of time of at most 30 days, newest first: who wrote, to which "
        "number, what, and when. Use it to read answers."
    ),
    "GetBlocklist": Presentation(
        "Lists the numbers that get nothing from the account, in the order of their digits.", Visibility.ADVANCED
    ),
    "GetBlocklistEntry": Presentation(
        "Tells since when a number is on the blocklist. It fails with 404 if the number is not there.",
        Visibility.ADVANCED,
    ),
    "BlockNumber": Presentation(
        "Puts a number on the blocklist, in E.164 such as +4917612345678, so that it gets no SMS from now on; those "
        "that wait for it end as BLOCKED. Use it when somebody wants no more SMS. Done again, it changes nothing.",
        Visibility.ADVANCED,
    ),
    "UnblockNumber": Presentation(
        "Takes a number off the blocklist, and answers what was there. It fails with 404 if the number is not there.",
        Visibility.ADVANCED,
    ),
    "CancelJob": Presentation(
        "Cancels what can still be cancelled of a job, by its jobId, and answers the job. Use it to call back SMS that "
        "wait; what the carrier has already may be delivered all the same."
    ),
    "PreviewJob": Presentation(
        "Tells what sending a job would do, and sends nothing: how many parts each text takes, which characters are "
        "replaced, and for each recipient whether the number is possible and when its SMS would fall due."
    ),
    "OnSmsFinished": Presentation(
        "This operation triggers when an SMS gets its final status: the flow is given its report and the jobId. An SMS "
        "was delivered if the status is SUC_FIN.",
        triggered_by="sms.finished",
    ),
    "OnJobFinished": Presentation(
        "This operation triggers when the last SMS of a job gets its final status: the flow is given the report of the "
        "job.",
        triggered_by="job.finished",
    ),
    "OnSmsReceived": Presentation(
        "This operation triggers when an SMS is received from a phone: the flow is given who wrote, to which number, "
        "what, and when.",
        triggered_by="sms.received",
    ),
    "OnSmsReceivedPolled": Presentation(
        "This operation triggers when SMS are received from phones, by asking for them: the flow is given who wrote, "
        "to which number, what, and when. Use it where the gateway can't call the flow.",
        Visibility.ADVANCED,
        polled=True,
    ),
    "RemoveTrigger": Presentation(
        "Ends what a flow subscribed to. The platform calls it when a flow is turned off.", Visibility.INTERNAL
    ),
}
"""By the operation's name. One that isn't here is shown with its own description."""

LEFT_OUT = frozenset({"AddWebhook", "GetWebhooks", "RemoveWebhook", "GetWebhookFailures", "ReplayWebhook"})
"""Operations that are not for flows: their triggers subscribe themselves, and a run's history would show secrets."""

CALLBACK_FIELD = "url"
"""Of what subscribes: the platform puts there where it wants to be told."""

PARAMETER_DESCRIPTIONS = {
    "jobIdsOnly": "Whether to list the ids of the jobs alone, instead of whole reports.",
    "open": "Whether to list only jobs with an SMS that is not final yet.",
    "status": "SMS of which this became.",
    "dst": "The number in any usual spelling, best in E.164, such as +4917612345678.",
    "Idempotency-Key": "A key of your own for this job, such as the number of an order, of up to 255 characters "
    "without blanks. The same job with the same key is sent once within 24 hours. It keeps a call that is repeated "
    "after a time-out from sending twice: in Power Automate left empty, in Logic Apps given as guid().",
}
"""By the parameter's name, where its own speaks of what the platform hides."""

INTERNAL_PARAMETERS = frozenset({"state"})
"""What nobody fills in: the platform finds it in the address at which it asks the next time."""

ADVANCED_FIELDS = frozenset(
    {
        "encoding",
        "billcode",
        "flash",
        "validityMin",
        "maxParts",
        "invalidCharacters",
        "qos",
        "jobPeriod",
        "duplicateDetection",
        "blackoutPeriods",
        "offset",
        "Idempotency-Key",
    }
)
"""Fields of requests, and parameters, that few people need."""

_TITLES = {
    "jobId": "Job ID",
    "smsId": "SMS ID",
    "recipientIds": "Recipient IDs",
    "jobIdsOnly": "Return Only Job IDs",
    "fromTs": "From Timestamp",
    "toTs": "To Timestamp",
    "open": "Return Only Open Jobs",
    "limit": "Maximum Number of Returned Results",
    "qos": "QoS",
}
"""Those that don't follow from the name."""


def title(name: str) -> str:
    """A field's `x-ms-summary`, in Title Case: `customerRef` is Customer Ref."""
    return _TITLES.get(name) or " ".join(
        word[0].upper() + word[1:] for word in re.findall("[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
    )


def plain(text: str) -> str:
    """A description without Markdown: the platform shows it as it is."""
    return text.replace("`", "")
