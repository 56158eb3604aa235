"""Names of hosts → addresses that may be called. Whoever connects to these connects to what was looked at."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from heliograph.jobs.targets import Address, is_public

LOOKUPS = 16
"""How many names are looked up at a time; a name that is slow takes up one of these, however often it is asked for."""


class NotAllowed(Exception):
    """A name leads to an address that isn't called."""


Resolver = Callable[[str], Awaitable[list[Address]]]


class SystemResolver:
    """The machine's own way of looking names up."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="resolve")
        self._under_way: dict[str, asyncio.Future[list[Address]]] = {}

    async def __call__(self, host: str) -> list[Address]:
        """Its addresses, the best first. Raises OSError if there are none. A time-out is the caller's affair."""
        lookup = self._under_way.get(host)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)
            self._under_way[host] = lookup
            lookup.add_done_callback(lambda done: self._forget(host, done))
        return await asyncio.shield(lookup)

    def _forget(self, host: str, done: "asyncio.Future[list[Address]]") -> None:
        del self._under_way[host]
        if not done.cancelled():
            done.exception()  # Taken note of, though everybody who waited for it may have gone.


def _addresses(host: str) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))


async def callable_addresses(host: str, resolve: Resolver, *, allow_private: bool) -> list[Address]:
    """The addresses of a host, a name or an address itself, of which each may be called.

    Where a single one is private none is called: who answers so is up to something.
    Raises NotAllowed, and OSError if the name can't be resolved.
    """
    try:
        addresses: list[Address] = [ip_address(host)]
    except ValueError:
        addresses = await resolve(host)
    if not allow_private and not all(is_public(address) for address in addresses):
        raise NotAllowed
    return addresses
