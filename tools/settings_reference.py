"""docs/reference/settings.md, from the settings themselves."""

from enum import Enum
from pathlib import Path
from typing import cast

import msgspec

from heliograph.config.addresses import SqliteUrl
from heliograph.config.carriers import NumberTypeSettings, SandboxSettings, SmppSettings
from heliograph.config.describing import Setting, settings_in, variable_of
from heliograph.config.reading import FLAGS
from heliograph.config.settings import SECTIONS, InboundSettings, RouteSettings

PATH = "docs/reference/settings.md"

INTRODUCTION = """\
<!-- Generated from src/heliograph/config/settings.py and carriers.py by `make golden`; change it there. -->

# Settings

heliograph runs without any. Where there are some, they come from three places, the later winning:

1. `heliograph.toml` in the working directory, if it is there, or the file that `--config` or the environment variable
   `HELIOGRAPH_CONFIG` names, which then must be there;
2. environment variables, named below; an empty one is the same as none, and lists are separated by commas;
3. flags of the command: `--listen`, `--database` and `--roles`.

Relative paths start from the working directory. What is not known is an error, be it a section, a setting or a variable
named like those of a section, and so is a value that can't be; the message names the nearest one that is known, or what
would be right. Any other `HELIOGRAPH_*` variable is ignored, and `serve` says so (Kubernetes sets some for a service of
this name). `HELIOGRAPH_URL`, `HELIOGRAPH_USERNAME` and `HELIOGRAPH_PASSWORD` belong to the client commands.

```toml
[server]
listen = "127.0.0.1:8480"

[database]
url = "sqlite:///heliograph.db"

[[carriers]]
name = "sandbox"
kind = "sandbox"

[[routes]]
to = ["+"]
carriers = ["sandbox"]
```
"""


def files() -> dict[str, str]:
    """The document."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        parts.append(_section(f"[{name}]", section, variables_of=name))
    parts.append(_section('[[carriers]], kind = "sandbox"', SandboxSettings))
    parts.append("Without any `[[carriers]]` there is one sandbox, called `sandbox`.\n")
    parts.append(_section('[[carriers]], kind = "smpp"', SmppSettings))
    parts.append("See [Carriers](../how-to/carriers.md) for which of these matter, and `heliograph carrier check`.\n")
    parts.append(_section("[[routes]]", RouteSettings))
    parts.append("Without any `[[routes]]` everything goes to the first carrier.\n")
    parts.append(_section("[[inbound]]", InboundSettings))
    parts.append(
        "An SMS from a phone to a number that isn't here belongs to the account that last wrote to the phone:\n"
        "whose SMS to it a carrier got last, or may have. One\n"
        "that belongs to nobody is kept, and told in the log as `inbound.for_nobody`. A phone's number\n"
        "in national form is read with the country of its account, or without one with the country that all accounts\n"
        "share; a STOP from a number that stays unknown is told as `inbound.wish_not_kept`.\n"
    )
    return {PATH: "\n".join(parts)}


def _section(title: str, section: type[msgspec.Struct], variables_of: str | None = None) -> str:
    head = ["Setting", "Value", "Default", *(["Variable"] if variables_of else []), "Meaning"]
    rows = [head, ["---"] * len(head)]
    for setting in settings_in(section).values():
        variable = [_variable(variables_of, setting)] if variables_of else []
        rows.append(
            [f"`{setting.key}`", _cell(setting.expected), _default(setting), *variable, _cell(setting.meta.description)]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## `{title}`\n\n{section.__doc__}\n\n{table}\n"


def _variable(section: str, setting: Setting) -> str:
    flag = FLAGS.get(f"{section}.{setting.key}")
    return f"`{variable_of(section, setting.key)}`" + (f", flag `--{flag}`" if flag else "")


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _default(setting: Setting) -> str:
    if setting.default is msgspec.NODEFAULT or setting.key == "kind":
        return "must be given"
    return "absent" if setting.default is None else f"`{_toml(setting.default)}`"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case Enum():
            return _toml(value.value)
        case NumberTypeSettings(ton=ton, npi=npi):
            return f"{{ ton = {ton}, npi = {npi} }}"
        case dict():
            return "{}"
        case tuple():
            return f"[{', '.join(map(_toml, cast('tuple[object, ...]', value)))}]"
        case SqliteUrl() | Path():
            return f'"{value}"'
        case _:
            return f'"{value}"'
