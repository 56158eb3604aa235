"""`heliograph jobs`, `job`, `sms` and `cancel`: what became of what was sent."""

from itertools import islice
from typing import Annotated, Any, cast

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from heliograph.cli.client_flags import ClientFlags
from heliograph.cli.connecting import connected, with_json
from heliograph.cli.examples import examples
from heliograph.cli.exits import CommandFailed, UsageInvalid, say
from heliograph.cli.tables import job_lines, jobs_table, print_json, sms_table, stdout
from heliograph.sdk import JobReport, RecipientReport, UnexpectedAnswer, Unsupported
from heliograph.sdk.calls import Listing, cancel_job, find_sms, get_job, get_sms, list_jobs

DEFAULT_LIMIT = 20
MOST_LISTED = 1000

JobId = Annotated[str, Parameter(metavar="ID", help="The job, as sending it printed it.")]
AsJson = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print what the API answered, for programs.")
]
From = Annotated[
    str | None,
    Parameter(
        name="--from",
        metavar="DATE-TIME",
        help="Received at or after this instant (ISO-8601); without an offset, in the account's time zone.",
    ),
]
To = Annotated[
    str | None,
    Parameter(
        name="--to",
        metavar="DATE-TIME",
        help="Received before this instant. At most 30 days lie between the two; without either it is the last 30.",
    ),
]
Limit = Annotated[
    int,
    Parameter(metavar="NUMBER", validator=Number(gte=0, lte=MOST_LISTED), help=f"At most so many, 0 to {MOST_LISTED}."),
]
Offset = Annotated[
    int, Parameter(metavar="NUMBER", validator=Number(gte=0), help="Leave out so many at the beginning.")
]
FILTERS = Group("Filters", help="In place of a job: SMS of any job, newest first. All that are given must hold.")

jobs_app = App(
    name="jobs",
    help_epilogue=examples(
        "heliograph jobs",
        "heliograph jobs --open --from 2026-11-01 --limit 100",
        "heliograph jobs --ids-only --json",
    ),
)
job_app = App(name="job", help_epilogue=examples("heliograph job J.20261123-080902.477-0mwszie4tQX6ROP8DY"))
sms_app = App(
    name="sms",
    help_epilogue=examples(
        "heliograph sms J.20261123-080902.477-0mwszie4tQX6ROP8DY",
        "heliograph sms --dst +447700900123 --limit 5",
        "heliograph sms --status FAILED_FIN --from 2026-11-23T00:00 --json",
    ),
)
cancel_app = App(name="cancel", help_epilogue=examples("heliograph cancel J.20261123-080902.477-0mwszie4tQX6ROP8DY"))


@jobs_app.default
def jobs(
    *,
    from_ts: From = None,
    to_ts: To = None,
    open_only: Annotated[
        bool,
        Parameter(name="--open", negative=(), show_default=False, help="Only those with an SMS that is not final yet."),
    ] = False,
    ids_only: Annotated[
        bool,
        Parameter(negative=(), show_default=False, help="Print their ids alone, one a line: all the vendor's lists."),
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    as_json: AsJson = False,
    client: ClientFlags | None = None,
) -> None:
    """List jobs, newest first."""
    with connected(client, _name_of) as service:
        # Instants go as they are typed: the service knows the account's time zone.
        since, until = cast("Any", from_ts), cast("Any", to_ts)
        if ids_only:
            found = service.job_ids(since, until, open_only=open_only, limit=offset + limit)
            ids = list(islice(found, offset, None))
            if as_json:
                print_json([{"jobId": job_id} for job_id in ids])
            else:
                print("".join(f"{job_id}\n" for job_id in ids), end="")
            return
        listing = list_jobs(since, until, open_only=open_only)
        try:
            told, reports = service.call(with_json(listing.page(offset, limit)))
        except (Unsupported, UnexpectedAnswer) as error:
            raise CommandFailed(f"this service lists no whole jobs ({error}); give --ids-only") from error
    if as_json:
        print_json(told)
        return
    if reports:
        stdout().print(jobs_table(reports, stdout().width))
    _say_more(len(reports), limit, offset, "jobs")


@job_app.default
def job(job_id: JobId, /, *, as_json: AsJson = False, client: ClientFlags | None = None) -> None:
    """Show a job: its options, when it was received and finished."""
    with connected(client, _name_of, names_job=True) as service:
        told, report = service.call(with_json(get_job(job_id)))
    _print_job(told, report, as_json=as_json)


@sms_app.default
def sms(
    job_id: Annotated[str | None, Parameter(metavar="ID", help="The job, as sending it printed it.")] = None,
    /,
    *,
    dst: Annotated[
        str | None, Parameter(group=FILTERS, metavar="NUMBER", help="To this number, in any spelling.")
    ] = None,
    customer_ref: Annotated[
        str | None, Parameter(group=FILTERS, metavar="TEXT", help="With this reference of the recipient.")
    ] = None,
    billcode: Annotated[str | None, Parameter(group=FILTERS, metavar="TEXT", help="Of jobs with this one.")] = None,
    process_status: Annotated[
        str | None, Parameter(group=FILTERS, metavar="CHOICE", help="OPEN, RUNNING, DONE, CANCELED or KILL.")
    ] = None,
    status: Annotated[
        str | None, Parameter(group=FILTERS, metavar="CHOICE", help="Such as SUC_FIN, FAILED_FIN or TIMEOUT.")
    ] = None,
    from_ts: Annotated[From, Parameter(group=FILTERS)] = None,
    to_ts: Annotated[To, Parameter(group=FILTERS)] = None,
    limit: Annotated[
        int | None,
        Parameter(
            group=FILTERS,
            metavar="NUMBER",
            validator=Number(gte=0, lte=MOST_LISTED),
            help=f"At most so many, 0 to {MOST_LISTED}; {DEFAULT_LIMIT} if not given.",
        ),
    ] = None,
    offset: Annotated[Offset, Parameter(group=FILTERS)] = 0,
    as_json: AsJson = False,
    client: ClientFlags | None = None,
) -> None:
    """Show what became of each SMS of a job, in the order of the request; or find SMS by filters."""
    filters = {
        "dst": dst,
        "customerRef": customer_ref,
        "billcode": billcode,
        "processStatus": process_status,
        "status": status,
        "fromTs": from_ts,
        "toTs": to_ts,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    if job_id is None and not given:
        raise UsageInvalid("name a job, such as heliograph sms J.20261123-…, or a filter, such as --dst")
    paged = bool(given) or limit is not None or offset > 0
    limit = DEFAULT_LIMIT if limit is None else limit
    with connected(client, _name_of, names_job=job_id is not None) as service:
        if paged:
            listing: Listing[RecipientReport] = find_sms(jobId=job_id, **given)
            told, reports = service.call(with_json(listing.page(offset, limit)))
        else:
            assert job_id is not None, "without a filter there is a job"
            told, reports = service.call(with_json(get_sms(job_id)))
    if as_json:
        print_json(told)
        return
    if reports:
        stdout().print(sms_table(reports, stdout().width))
    if paged:
        _say_more(len(reports), limit, offset, "SMS")


@cancel_app.default
def cancel(job_id: JobId, /, *, as_json: AsJson = False, client: ClientFlags | None = None) -> None:
    """Cancel what can still be cancelled of a job."""
    with connected(client, _name_of, names_job=True) as service:
        told, report = service.call(with_json(cancel_job(job_id)))
    _print_job(told, report, as_json=as_json)
    say(f"What could still be cancelled is; heliograph sms {job_id} shows what became of each SMS.")


def _print_job(told: Any, report: JobReport, *, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        print(job_lines(report))


def _say_more(count: int, limit: int, offset: int, what: str) -> None:
    if not limit:
        return
    if count == limit:
        say(f"There may be more {what}: --offset {offset + limit} goes on, --limit shows more at once.")
    elif not count:
        say(f"There are no {what} to show" + (f" beyond the first {offset}." if offset else "."))


def _name_of(field: str) -> str | None:
    return _FLAGS.get(field)


_FLAGS = {
    "jobId": "the ID",
    "fromTs": "--from",
    "toTs": "--to",
    "open": "--open",
    "limit": "--limit",
    "offset": "--offset",
    "dst": "--dst",
    "customerRef": "--customer-ref",
    "billcode": "--billcode",
    "processStatus": "--process-status",
    "status": "--status",
}
