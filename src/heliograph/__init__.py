"""heliograph: an SMS gateway with a REST service, a dispatcher and a command line; and the SDK to send through it.

The names of the SDK are imported when they are first used, for the server needs none of them.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from heliograph.sdk import *  # noqa: F403 # the public names are in `heliograph.sdk.__all__`
else:

    def __getattr__(name):
        if not name.startswith("_"):
            import heliograph.sdk as sdk  # `from heliograph` would ask here again

            if name in sdk.__all__:
                return getattr(sdk, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        import heliograph.sdk as sdk

        return [*globals(), *sdk.__all__]
