"""`heliograph`, but its process kills itself at one step of the journal, as `kill -9` would: STEP COUNT serve …

It is killed when it gets there for the COUNTth time. Everything else is as it always is: the same program, a store on
disk, a real socket.
"""

import os
import signal
import sys
from contextlib import asynccontextmanager

import heliograph.server
from heliograph.cli.main import run
from heliograph.databases import open_store
from heliograph.store.interface import Submitted

STEPS = {
    # step: the store's call, and whether it has been carried out
    "leased": ("lease_segments", True),
    "answered": ("record_outcomes", False),
    "stored": ("record_outcomes", True),
    "receipt received": ("record_receipts", False),
    "receipt stored": ("record_receipts", True),
}


class DoomedStore:
    """A store around the real one; its process doesn't live beyond a step."""

    def __init__(self, inner, step, count):
        self._inner = inner
        self._call, self._is_done = STEPS[step]
        self._left = count

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        if name != self._call:
            return method

        async def call(*arguments):
            if not self._is_done:
                self._counts(arguments[1])
            result = await method(*arguments)
            if self._is_done:
                self._counts(result or arguments[1])
            return result

        return call

    def _counts(self, things):
        if self._call == "lease_segments":
            is_it = isinstance(things, list)
        elif self._call == "record_outcomes":
            is_it = any(isinstance(each, Submitted) for each in things)
        else:
            is_it = bool(things)
        self._left -= is_it
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main():
    step, count, *arguments = sys.argv[1:]

    @asynccontextmanager
    async def open_doomed(*settings, **keywords):
        async with open_store(*settings, **keywords) as store:
            yield DoomedStore(store, step, int(count))

    heliograph.server.open_store = open_doomed
    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
