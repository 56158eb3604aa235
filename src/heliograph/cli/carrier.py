"""`heliograph carrier`."""

import asyncio
import os
from contextlib import aclosing
from typing import Annotated

from cyclopts import App, Parameter

from heliograph.cli.examples import examples
from heliograph.cli.exits import Exit, tell
from heliograph.cli.service_flags import ConfigFlag
from heliograph.config.reading import load_settings
from heliograph.config.settings import Settings

app = App(
    name="carrier",
    help="Look into the carriers of the configuration.",
    help_epilogue=examples("heliograph carrier check acme", "heliograph carrier check --help"),
)


@app.command(
    name="check",
    help_epilogue="It binds beside the running service: an account that allows one bind only is then refused as "
    "already bound (RALYBND), which shows that all else is right.\n\n"
    "Exit codes: 0 everything works; 1 the SMSC, or the encryption, says no; 3 the configuration is wrong, or has no "
    "such carrier; 4 nobody is there, or nobody answers.\n\n"
    + examples("heliograph carrier check acme", "heliograph carrier check acme --config /etc/heliograph.toml"),
)
def check(
    name: Annotated[str, Parameter(metavar="NAME", help="The carrier, as the configuration calls it.")],
    /,
    *,
    config: ConfigFlag = None,
) -> int:
    """Connect, bind, enquire and unbind, and say what works and what to change."""
    return asyncio.run(_check(load_settings(config, os.environ, {}), name))


async def _check(settings: Settings, name: str) -> int:
    from heliograph.server import Verdict, check_carrier  # a wrong setting is told at once

    marks = {Verdict.WORKS: "ok  ", Verdict.DOUBTFUL: "?   ", Verdict.REFUSED: "FAIL", Verdict.NO_ANSWER: "FAIL"}
    codes = {Verdict.REFUSED: Exit.FAILED, Verdict.NO_ANSWER: Exit.UNAVAILABLE}
    code = Exit.OK
    async with aclosing(check_carrier(settings, name)) as findings:
        async for finding in findings:
            print(f"{marks[finding.verdict]}  {finding.text}")
            if finding.remedy:
                print(f"      {finding.remedy}")
            if finding.verdict in codes:
                code = codes[finding.verdict]
                tell(f"{name} can't be used as configured: {finding.text}")
    return code
