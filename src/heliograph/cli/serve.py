"""`heliograph serve`."""

import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

from heliograph.cli.event_loop import run_fast
from heliograph.cli.examples import examples
from heliograph.cli.service_flags import ConfigFlag, DatabaseFlag
from heliograph.config.reading import load_settings

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter's lock while another waits for it.

After each commit the SQLite writer's thread waits for the lock, up to a whole interval (measured), and with
it the requests that wait for that commit; Python's own 5 ms is many times what the commit itself takes.
"""

app = App(
    name="serve",
    help_epilogue="On an empty database it makes the account demo and prints its password once. SIGTERM, Ctrl-C and a "
    "terminal that is closed (SIGHUP) drain: the service takes no more requests, submits nothing more, and stores the "
    "answers to what it has submitted.\n\n"
    + examples(
        "heliograph serve",
        "heliograph serve --listen 0.0.0.0:8480 --config /etc/heliograph.toml",
        "HELIOGRAPH_SERVER_LOG_FORMAT=json heliograph serve",
    ),
)


@app.default
def serve(
    *,
    listen: Annotated[
        str | None,
        Parameter(metavar="HOST:PORT", help="Where to listen, 127.0.0.1:8480 if nothing says otherwise."),
    ] = None,
    database: DatabaseFlag = None,
    config: ConfigFlag = None,
    roles: Annotated[
        str | None,
        Parameter(metavar="ROLES", help="What this process does: api, dispatch, or (as by default) api,dispatch."),
    ] = None,
) -> None:
    """Run the service, until SIGTERM or Ctrl-C."""
    flags = {"server.listen": listen, "database.url": database, "server.roles": roles}
    settings = load_settings(config, os.environ, flags)
    from heliograph.server import serve as run_service  # a wrong setting is told at once

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    run_fast(run_service(settings))
