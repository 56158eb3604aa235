"""What a setting is, told from its one definition: key, type, range, unit, default, variable and meaning."""

from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from heliograph.config.addresses import ADDRESS_REMEDY, Address
from heliograph.config.wording import quoted

PREFIX = "HELIOGRAPH_"


class Setting(NamedTuple):
    """One setting. kind: its type with ranges; default: NODEFAULT if it must be given."""

    key: str
    kind: Any
    default: object
    meta: Meta

    @property
    def unit(self) -> str | None:
        """What a number counts."""
        return (self.meta.extra or {}).get("unit")

    @property
    def expected(self) -> str:
        """What a value looks like, after "must be"."""
        return expected(self.kind, self.unit)

    @property
    def is_secret(self) -> bool:
        """Whether its value may hold a password, so that no error shows it."""
        return bool((self.meta.extra or {}).get("secret"))


def settings_in(section: type[msgspec.Struct]) -> dict[str, Setting]:
    """The settings of a section by their keys."""
    hints = get_type_hints(section, include_extras=True)
    found: dict[str, Setting] = {}
    for field in msgspec.structs.fields(section):
        meta: Meta = get_args(hints[field.name])[-1]
        # Without None, which no file can say, and to which msgspec lets no range be attached.
        kind: Any = Annotated[plain_kind(hints[field.name]), meta]
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        found[field.name] = Setting(field.name, kind, default, meta)
    return found


def variable_of(section: str, key: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{section}_{key}".upper()


def password_variable_of(carrier: str) -> str:
    """The environment variable of a carrier's password."""
    return f"{PREFIX}CARRIER_{carrier.replace('-', '_')}_PASSWORD".upper()


def plain_kind(kind: Any) -> Any:
    """A type without its ranges and its None."""
    if get_origin(kind) is Annotated:
        return plain_kind(get_args(kind)[0])
    others = [each for each in get_args(kind) if each is not NoneType]
    return others[0] if NoneType in get_args(kind) else kind


def expected(kind: Any, unit: str | None, is_text: bool = False) -> str:
    """What a value of this type looks like, after "must be"."""
    meta: Meta | None = None
    if get_origin(kind) is Annotated:
        kind, meta = get_args(kind)[0], get_args(kind)[-1]
    form: str | None = (meta.extra or {}).get("form") if meta else None
    kind = plain_kind(kind)
    of_unit = f" of {unit}" if unit else ""
    if form is not None:
        return form
    if get_origin(kind) is tuple:
        item = expected(get_args(kind)[0], unit)
        return f"{item}, or several separated by commas" if is_text else f"a list [ ... ], each {item}"
    if get_origin(kind) is Literal or issubclass(kind, Enum):
        values = [quoted(value) for value in get_args(kind) or [member.value for member in kind]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if kind in (int, float):
        number = "a number" if kind is float else "a whole number"
        return number + of_unit + _range(meta)
    return {bool: "true or false", Path: "the path of a file, in quotes", Address: ADDRESS_REMEDY[8:]}.get(
        kind, "a text in quotes that is not empty"
    )


def _range(meta: Meta | None) -> str:
    assert meta is not None, "every number has a range"
    if meta.ge is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" above {meta.gt}, at most {meta.le}"
