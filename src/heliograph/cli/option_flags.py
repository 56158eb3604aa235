"""One flag for each option of a job, made from `jobs.options.OPTIONS`."""

from collections.abc import Mapping
from dataclasses import field, make_dataclass
from datetime import datetime, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from heliograph.cli.exits import UsageInvalid
from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.options import OPTIONS, Option
from heliograph.wire.shapes import parse_option_defaults

if TYPE_CHECKING:
    from heliograph.sdk import Options

DEFAULTS = Group("Defaults", help="Each is for the option that a request leaves out.", sort_key=1)
OPTIONS_OF_A_JOB = Group("Options", help="What is left out comes from the account.", sort_key=2)


def flag_of(option: Option) -> str:
    """`--validity-min`."""
    return "--" + option.name.replace("_", "-")


def given_options(flags: object, zone: tzinfo) -> dict[str, Any]:
    """What flags say, by the options' names. Raises UsageInvalid by the rules that requests go by."""
    raw = {option.wire_name: getattr(flags, option.name) for option in OPTIONS}
    raw = {name: value for name, value in raw.items() if value is not None}
    try:
        parsed = parse_option_defaults(raw, zone)
    except RequestInvalid as error:
        flag_by_wire_name = {option.wire_name: flag_of(option) for option in OPTIONS}
        faults = [f"{_renamed(fault.field, flag_by_wire_name)}: {fault.message}" for fault in error.faults]
        raise UsageInvalid("; ".join(faults) or str(error)) from error
    return {option.name: getattr(parsed, option.name) for option in OPTIONS if option.wire_name in raw}


def sent_options(flags: "JobOptionFlags | None") -> "Options":
    """What flags say, by the options' names, as the service is to read it: it knows the account and its time zone."""
    given = {option.name: getattr(flags, option.name, None) for option in OPTIONS}
    return cast("Options", {name: value for name, value in given.items() if value is not None})


def flag_of_field(field: str) -> str | None:
    """The flag of a field at fault, such as `options.validityMin`; None where it is of no option."""
    option, _, name = field.partition(".")
    if option != "options":
        return None
    renamed = _renamed(name, {option.wire_name: flag_of(option) for option in OPTIONS})
    return None if renamed == name else renamed


def _renamed(field: str, flag_by_wire_name: Mapping[str, str]) -> str:
    name = field.partition("[")[0]
    return flag_by_wire_name.get(name, name)


def _flag(option: Option, group: Group) -> tuple[str, Any, Any]:
    rule = option.rule
    kind, metavar, note = option.kind, None, ""
    if kind is str:
        metavar = "TEXT"
    elif kind is int:
        metavar = "NUMBER"
        note = f" {rule.minimum} to {rule.maximum}{', or 0' if rule.zero is not None else ''}."
    elif kind is datetime:
        kind, metavar = str, "DATE-TIME"
    elif isinstance(kind, type) and issubclass(kind, Enum):
        note = f" One of {', '.join(member.value for member in kind)}."
        kind, metavar = str, "CHOICE"
    elif kind is not bool:
        kind, metavar, note = list[str], "START/END", " May be given several times."
    parameter = Parameter(
        name=flag_of(option), help=rule.description + note, metavar=metavar, group=group, negative_iterable=()
    )
    return option.name, Annotated[kind | None, parameter], field(default=None)


if TYPE_CHECKING:

    class OptionFlags:
        """One attribute for each option; None is a flag that was not given."""

    class JobOptionFlags(OptionFlags):
        """The same, for a job."""
else:

    def _flags(name: str, group: Group) -> type:
        flags = make_dataclass(
            name,
            [_flag(option, group) for option in OPTIONS],
            frozen=True,
            kw_only=True,
            namespace={"__module__": __name__},  # Cyclopts takes classes of the module `types` for built-in ones.
        )
        return Parameter(name="*")(flags)

    OptionFlags = _flags("OptionFlags", DEFAULTS)
    JobOptionFlags = _flags("JobOptionFlags", OPTIONS_OF_A_JOB)
