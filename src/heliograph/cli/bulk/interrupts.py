"""Ctrl-C while rows are sent: the job under way is finished first, so that its fate is known."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from heliograph.cli.exits import say
from heliograph.clock import BlockingClock


class Interrupts:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._asked = False
        self._waiting = False

    @contextmanager
    def noticed(self) -> Generator[None]:
        """Let Ctrl-C stop between jobs, and at once where nothing but time passes; the second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Signals are the main thread's.
            return
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def check(self) -> None:
        """Stop here if somebody asked for it. Raises KeyboardInterrupt."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Generator[None]:
        """While it lasts, Ctrl-C stops at once."""
        self._waiting = True
        try:
            self.check()
            yield
        finally:
            self._waiting = False

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._asked or self._waiting:
            raise KeyboardInterrupt
        self._asked = True
        say("Stopping after the job under way; Ctrl-C once more stops at once.")


LONG_S = 1.0
"""A pause that a person wonders about."""


class InterruptibleClock:
    """A clock whose sleep Ctrl-C ends. told: whether long ones are told of, for who sleeps doesn't say why."""

    def __init__(self, clock: BlockingClock, interrupts: Interrupts, *, told: bool = False) -> None:
        self._clock = clock
        self._interrupts = interrupts
        self._told = told

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._told and seconds >= LONG_S:
            say(f"The service is away, or the account's calls are used up: trying again in {seconds:.0f} s.")
        with self._interrupts.waiting():
            self._clock.sleep(seconds)
