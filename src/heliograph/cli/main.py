"""`heliograph`: finds the command, runs it, and turns whatever happens into an exit code.

Commands are imported when they run, so that help and `version` wait for neither the server nor the database.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from cyclopts import App, CycloptsError, UnusedCliTokensError

from heliograph import __version__
from heliograph.cli.examples import examples
from heliograph.cli.exits import Exit, exit_of, tell
from heliograph.jobs.errors import HeliographError

if TYPE_CHECKING:
    from io import TextIOWrapper

SERVER_PACKAGES = frozenset(
    {"anyascii", "argon2", "asyncpg", "httptools", "mcp", "phonenumbers", "prometheus_client", "regex"}
    | {"starlette", "structlog", "tzdata", "uvicorn", "uvloop"}
)
"""What the extra `server` installs, as imported."""

app = App(
    name="heliograph",
    help="An SMS gateway: a REST service, a durable dispatcher and a command line.",
    help_epilogue=examples(
        "heliograph demo                 see it work, in ten seconds",
        "heliograph serve                the service on 127.0.0.1:8480",
        "heliograph account add acme     an account, and its password",
        "heliograph account add --help   all about one command",
    ),
    help_format="plaintext",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
)
app.command("heliograph.cli.serve:app", name="serve", help="Run the service, until SIGTERM or Ctrl-C.")
app.command(
    "heliograph.cli.account:app",
    name="account",
    help="Add, list and change accounts, also while the service runs.",
)
app.command("heliograph.cli.carrier:app", name="carrier", help="Look into the carriers of the configuration.")
app.command(
    "heliograph.cli.connector:app",
    name="connector",
    help="Build the connector for Power Automate, Power Apps, Copilot Studio and Logic Apps.",
)
app.command("heliograph.cli.db:app", name="db", help="Look after the database.")
app.command("heliograph.cli.demo:app", name="demo", help="Send one job through a whole gateway, and stop.")
app.command(
    "heliograph.cli.simulator:app",
    name="simulator",
    help="Run a simulated SMSC that speaks SMPP 3.4, until SIGTERM or Ctrl-C.",
)
app.command("heliograph.cli.send:app", name="send", help="Send a job: one text, or the rows of a CSV file.")
app.command("heliograph.cli.preview:app", name="preview", help="Show what would become of a job, and send nothing.")
app.command("heliograph.cli.jobs:jobs_app", name="jobs", help="List jobs, newest first.")
app.command(
    "heliograph.cli.jobs:job_app", name="job", help="Show a job: its options, when it was received and finished."
)
app.command("heliograph.cli.jobs:sms_app", name="sms", help="Show what became of each SMS.")
app.command("heliograph.cli.jobs:cancel_app", name="cancel", help="Cancel what can still be cancelled of a job.")
app.command("heliograph.cli.version:app", name="version", help="Print the version, and the service's if one is named.")
app.command(
    "heliograph.cli.completion:app", name="completion", help="Print what makes a shell complete commands and flags."
)


def main() -> NoReturn:
    """The program `heliograph`."""
    _open_standard_streams()
    sys.exit(run(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Open those that the caller closed, so that no file of ours gets their numbers; let stdout take any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 # as long as the process
    cast("TextIOWrapper[Any]", sys.stdout).reconfigure(errors="backslashreplace")


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. An error is one line on stderr, never a traceback."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _forget_output()  # Who read it has gone (`heliograph account list | head -1`): there is nobody left to tell.
        return Exit.FAILED
    except Exception as error:  # noqa: BLE001 # the last line of defence before a traceback
        try:
            sys.stdout.flush()
        except OSError:
            _forget_output()
        return _failed(error)
    return int(code) if isinstance(code, int) else Exit.OK


def _forget_output() -> None:
    """Drop what can't be written: otherwise the interpreter tries once more as it ends, and fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(error: Exception) -> Exit:
    if isinstance(error, ExceptionGroup):  # One of several tasks failed; the first says why.
        return _failed(cast("ExceptionGroup[Exception]", error).exceptions[0])
    match error:
        case CycloptsError():
            help_command = " ".join(["heliograph", *(error.command_chain or ()), "--help"])
            tell(f"{_sentence(error)} See {help_command}.")
            return Exit.USAGE
        case HeliographError():
            tell(str(error))
            return exit_of(error)
        case ModuleNotFoundError(name=str(name)) if name.partition(".")[0] in SERVER_PACKAGES:
            tell(f"this command needs {name}, which is not installed: pip install 'heliograph[server]'")
            return Exit.FAILED
        case ImportError(__cause__=ImportError() as cause):  # How Cyclopts says that a command's module failed.
            return _failed(cause)
        case OSError():
            tell(str(error))
            return Exit.FAILED
        case _:
            tell(f"this is a bug, please report it: {type(error).__name__}: {error} (at {_place(error)})")
            return Exit.FAILED


def _sentence(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f'There is nothing for "{" ".join(error.unused_tokens or ())}" to mean.'
    error.verbose = False
    return str(error)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
