"""A request as the application looks at it."""

from starlette.requests import Request
from starlette.types import Receive, Scope


class HttpRequest(Request):
    """Starlette's request. Its headers are put in a dict once: Starlette goes through all of them each time.

    Names of headers are given in lower case.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._values.setdefault(name, []).append(value)

    def header(self, name: str) -> str | None:
        """What the first header of a name says; None if there is none."""
        values = self._values.get(name.encode("latin-1"))
        return None if values is None else values[0].decode("latin-1")

    def all_of(self, name: str) -> list[str]:
        """What every header of a name says, in their order."""
        return [value.decode("latin-1") for value in self._values.get(name.encode("latin-1"), ())]
