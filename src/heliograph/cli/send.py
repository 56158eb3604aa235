"""`heliograph send`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from heliograph.cli.bulk.sending import Unknown
from heliograph.cli.client_flags import ClientFlags
from heliograph.cli.connecting import connected
from heliograph.cli.examples import examples
from heliograph.cli.exits import Exit, UsageInvalid, tell
from heliograph.cli.option_flags import JobOptionFlags, sent_options
from heliograph.cli.send_csv import CsvRun, send_csv
from heliograph.cli.tables import print_json, sms_table, stdout, tell_sent
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.sdk import Client, Message, Options
from heliograph.sdk.calls import get_sms, raw

DEFAULT_WAIT_S = 600.0
LONGEST_WAIT_S = 7 * 86_400

app = App(
    name="send",
    help_epilogue=examples(
        'heliograph send "Your code is 123456" --to +447700900123',
        'heliograph send "The lift works again" --to +447700900123 --to 07700900456 --wait',
        "heliograph send --csv reminders.csv --src ACME",
        "heliograph send --csv reminders.csv --src ACME --resume",
        'heliograph send "See you at eight" --csv numbers.csv --wait --status-requested',
    ),
)
CSV = Group("Many rows", sort_key=1)
RESULT = Group("Result", sort_key=3)

Text = Annotated[str | None, Parameter(metavar="TEXT", help="The text of the SMS.")]
CsvFile = Annotated[
    Path | None,
    Parameter(
        name="--csv",
        group=CSV,
        metavar="FILE",
        allow_leading_hyphen=True,  # `-`
        help="Its header row is dst,text,customerRef; customerRef may be left out, and text if a TEXT is given. "
        "UTF-8. - is stdin.",
    ),
]
To = Annotated[
    list[str] | None,
    Parameter(metavar="NUMBER", negative_iterable=(), help="Who gets it; once for each number, at most 3000."),
]


@app.default
def send(
    text: Text = None,
    /,
    *,
    to: To = None,
    csv_file: CsvFile = None,
    results: Annotated[
        Path | None,
        Parameter(
            group=CSV,
            metavar="FILE",
            help="Where account is kept of what was sent; the CSV file's name with .results.csv, if not given.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        Parameter(
            group=CSV,
            negative=(),
            show_default=False,
            help="Send what a run that was broken off did not, by its results file.",
        ),
    ] = False,
    skip_invalid: Annotated[
        bool,
        Parameter(group=CSV, negative=(), show_default=False, help="Leave out rows that can't be sent."),
    ] = False,
    unknown: Annotated[
        Literal["send", "skip"] | None,
        Parameter(
            group=CSV,
            help="With --resume: what to do with rows of which nobody knows whether they were sent.",
        ),
    ] = None,
    rows_per_job: Annotated[
        int,
        Parameter(group=CSV, metavar="NUMBER", validator=Number(gte=1, lte=MAX_RECIPIENTS), help="At most, 1 to 3000."),
    ] = MAX_RECIPIENTS,
    idempotency_key: Annotated[
        str | None,
        Parameter(metavar="KEY", help="The same key and job, sent again within 24 hours, is the same job."),
    ] = None,
    wait: Annotated[
        bool,
        Parameter(
            group=RESULT,
            negative=(),
            show_default=False,
            help="Wait until every SMS has its final status, and show it.",
        ),
    ] = False,
    wait_timeout: Annotated[
        float,
        Parameter(
            group=RESULT,
            metavar="SECONDS",
            validator=Number(gt=0, lte=LONGEST_WAIT_S),
            help="How long --wait waits; the job goes on beyond it.",
        ),
    ] = DEFAULT_WAIT_S,
    as_json: Annotated[
        bool,
        Parameter(
            group=RESULT,
            name="--json",
            negative=(),
            show_default=False,
            help="Print what the API answered, for programs.",
        ),
    ] = False,
    options: JobOptionFlags | None = None,
    client: ClientFlags | None = None,
) -> Exit:
    """Send a job; its id is printed once the service has it so that no crash loses it."""
    given = sent_options(options)
    if csv_file is not None:
        if to or idempotency_key:
            other = "--to" if to else "--idempotency-key"
            raise UsageInvalid(f"--csv and {other} don't go together: the file says who gets what, and makes the keys")
        return send_csv(
            CsvRun(
                path=csv_file,
                text=text,
                options=given,
                results=results,
                resume=resume,
                skip_invalid=skip_invalid,
                unknown=None if unknown is None else Unknown(unknown),
                rows_per_job=rows_per_job,
                wait_timeout_s=wait_timeout if wait else None,
                as_json=as_json,
                client=client or ClientFlags(),
            )
        )
    if results or resume or skip_invalid or unknown:
        raise UsageInvalid("--results, --resume, --skip-invalid and --unknown are for --csv")
    messages = [message_of(text, to)]
    with connected(client, lambda field: name_of(field, to or [])) as service:
        job_id = _sent(service, messages, given, idempotency_key)
        tell_sent(job_id, as_json=as_json)
        if not wait:
            return Exit.OK
        return _wait(service, job_id, wait_timeout, as_json=as_json)


def message_of(text: str | None, to: Sequence[str] | None) -> Message:
    """The message that the command line tells. Raises UsageInvalid."""
    if text is None:
        raise UsageInvalid('there is no text: heliograph send "Hello" --to +447700900123')
    if not to:
        raise UsageInvalid("there is nobody to send it to: give --to, such as --to +447700900123")
    return Message(text, list(to))


def name_of(field: str, to: Sequence[str]) -> str | None:
    """What a field of the request is called at the command line."""
    if field == "messages[0].text":
        return "TEXT"
    place = field.removeprefix("messages[0].recipients[").partition("]")[0]
    if place.isdecimal() and int(place) < len(to):
        return f"--to {to[int(place)]}"
    return None


def _sent(service: Client, messages: list[Message], options: Options, key: str | None) -> str:
    try:
        [job_id] = service.send_messages(messages, idempotency_key=key, **options)
    except KeyboardInterrupt:
        again = "the same command sends it once" if key else "heliograph jobs shows whether it was"
        tell(f"interrupted: it is unknown whether the job was sent; {again}")
        raise
    return job_id


def _wait(service: Client, job_id: str, timeout_s: float, *, as_json: bool) -> Exit:
    try:
        reports = service.wait(job_id, timeout_s=timeout_s)
    except KeyboardInterrupt:
        tell(f"interrupted: the job goes on; heliograph sms {job_id} shows what becomes of it")
        raise
    if as_json:
        print_json(service.call(raw(get_sms(job_id))))
    else:
        stdout().print(sms_table(reports, stdout().width))
    return Exit.OK if all(report.succeeded for report in reports) else Exit.UNDELIVERED
