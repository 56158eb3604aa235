"""`heliograph version`."""

import json
from typing import Annotated

from cyclopts import App, Parameter

import heliograph
from heliograph.cli.examples import examples

app = App(name="version", help_epilogue=examples("heliograph version", "heliograph version --json"))


@app.default
def version(
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, for programs.")
    ] = False,
) -> None:
    """Print the version."""
    if as_json:
        print(json.dumps({"version": heliograph.__version__}))
    else:
        print(f"heliograph {heliograph.__version__}")
