"""Who asks, where a proxy stands in between: `X-Forwarded-For`, from proxies that are trusted and from nobody else."""

from collections.abc import Sequence
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    """The application, told the address of who asked the first proxy.

    trusted: addresses and networks. Each proxy adds whom it was asked by, so the last one in the header that isn't
    trusted itself counts: what stands before it anybody may have written.
    """
    return cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app), list(trusted))) if trusted else app
