"""`heliograph version`."""

import json
from typing import Annotated, Any

from cyclopts import App, Parameter

import heliograph
from heliograph.cli.client_flags import ClientFlags
from heliograph.cli.examples import examples

app = App(
    name="version",
    help_epilogue="Where HELIOGRAPH_URL, or --url, names a service, it is asked too: so a connection can be tested, "
    "for a wrong password is refused. --json is then what it answered.\n\n"
    + examples(
        "heliograph version",
        "heliograph version --json",
        "heliograph version --url https://sms.example --username acme",
    ),
)


@app.default
def version(
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, for programs.")
    ] = False,
    client: ClientFlags | None = None,
) -> None:
    """Print the version; and the service's, if one is named."""
    flags = client or ClientFlags()
    told: dict[str, Any] = {"version": heliograph.__version__}  # What there is to tell where no service is asked.
    if not as_json:
        print(f"heliograph {heliograph.__version__}", flush=True)
    if flags.has_url:
        told = _service_version(flags)
        if not as_json:
            print(f"service    {told.get('versionInfo', '')} ({told.get('message', '')})")
    if as_json:
        print(json.dumps(told))


def _service_version(flags: ClientFlags) -> dict[str, Any]:
    from heliograph.cli.connecting import connected, with_json  # nobody waits for the SDK who asks no service
    from heliograph.sdk.calls import get_version

    with connected(flags) as service:
        told, _ = service.call(with_json(get_version()))
    return told
