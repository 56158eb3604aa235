"""`heliograph version`."""

import json
from typing import Annotated

from cyclopts import Parameter

import heliograph


def version(
    *, as_json: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON, for programs.")] = False
) -> None:
    """Print the version."""
    if as_json:
        print(json.dumps({"version": heliograph.__version__}))
    else:
        print(f"heliograph {heliograph.__version__}")
