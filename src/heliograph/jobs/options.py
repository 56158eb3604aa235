"""The options of a job, each once: its type, range, default and description.

What validates a request, fills in an account's defaults, describes the API and makes the command line's flags
reads this table; a new option is one more field of JobOptions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from heliograph.gsm.carrying import Encoding, InvalidCharacters
from heliograph.jobs.schedule import Period
from heliograph.jobs.senders import sender_fault

MAX_VALIDITY_MIN = 2880


class Qos(StrEnum):
    """Quality of service: EXPRESS overtakes every NORMAL SMS that is waiting."""

    EXPRESS = "EXPRESS"
    NORMAL = "NORMAL"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is true of an option besides its type.

    minimum, maximum: the range of a number, both inside it.
    zero: what 0 means where it is allowed beside the range.
    max_length: of a text, in code points.
    fault: says what is wrong with a text, or None.
    """

    description: str
    minimum: int | None = None
    maximum: int | None = None
    zero: str | None = None
    max_length: int | None = None
    fault: Callable[[str], str | None] | None = None


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Every option of a job, none missing (contract, section 1, JobRequest)."""

    src: Annotated[
        str,
        Rule(
            "Sender ID shown to the recipient: an optional + and 1 to 20 digits, or 1 to 11 characters of A-Z, a-z, "
            "0-9, space and ASCII punctuation.",
            fault=sender_fault,
        ),
    ] = ""
    encoding: Annotated[
        Encoding,
        Rule(
            "STANDARD carries the GSM 7-bit default alphabet with its extension table, 160 characters an SMS; "
            "UTF-16 carries everything, 70 characters an SMS."
        ),
    ] = Encoding.STANDARD
    billcode: Annotated[str, Rule("Cost centre for billing, at most 70 characters.", max_length=70)] = ""
    status_requested: Annotated[bool, Rule("Ask the carrier for a delivery receipt.")] = False
    flash: Annotated[bool, Rule("Show the SMS at once and store it nowhere (message class 0).")] = False
    customer_ref: Annotated[
        str, Rule("Your own reference, 64 characters recommended, at most 255.", max_length=255)
    ] = ""
    validity_min: Annotated[
        int,
        Rule(
            "How long the SMS may be delivered, in minutes from the moment it first falls due; 0 is the carrier's "
            "default.",
            minimum=5,
            maximum=MAX_VALIDITY_MIN,
            zero="the carrier's default",
        ),
    ] = 0
    max_parts: Annotated[
        int,
        Rule("How many parts a long message may be split into; a longer text is cut.", minimum=1, maximum=20),
    ] = 20
    invalid_characters: Annotated[
        InvalidCharacters,
        Rule(
            "What to do with characters that STANDARD can't carry: refuse the whole job, replace each by a blank, "
            "send that message as UTF-16, or send the nearest look-alike."
        ),
    ] = InvalidCharacters.TO_UTF16
    qos: Annotated[Qos, Rule("Quality of service: EXPRESS overtakes every NORMAL SMS that is waiting.")] = Qos.NORMAL
    job_period: Annotated[
        datetime | None, Rule("Start no earlier than this instant (ISO-8601); one in the past means now.")
    ] = None
    duplicate_detection: Annotated[
        bool, Rule("Refuse an equal request that was accepted within the last 10 minutes.")
    ] = False
    blackout_periods: Annotated[
        tuple[Period, ...],
        Rule("Intervals in which nothing is sent, as ISO-8601 start/end; a shorter one counts as an hour."),
    ] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One option: `name` as a Python name, `wire_name` as in JSON, `kind` without its None."""

    name: str
    wire_name: str
    kind: Any
    default: Any
    rule: Rule


def _options() -> tuple[Option, ...]:
    hints = get_type_hints(JobOptions, include_extras=True)
    return tuple(
        Option(
            name=field.name,
            wire_name=camel_case(field.name),
            kind=_without_none(get_args(hints[field.name])[0]),
            default=field.default,
            rule=hints[field.name].__metadata__[0],
        )
        for field in msgspec.structs.fields(JobOptions)
    )


def camel_case(name: str) -> str:
    """`status_requested` as `statusRequested`."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return kind
    kinds = [each for each in get_args(kind) if each is not NoneType]
    return kinds[0] if kinds else kind


OPTIONS = _options()
"""All options, in the order of the contract."""
