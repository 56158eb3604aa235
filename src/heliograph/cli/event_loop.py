"""How commands run what is asynchronous."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_fast(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on uvloop, where there is one."""
    try:
        import uvloop  # not on Windows
    except ModuleNotFoundError:
        return asyncio.run(work)
    return uvloop.run(work)
