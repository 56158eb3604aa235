"""The log: events with fields, one a line, on stderr.

Whoever logs waits for nobody, and nothing ends or fails because a line is lost. A thread writes the lines, in their
order. Those that can't be written, as on a full disk, or that come while too many wait for whoever reads them, are
dropped and counted; once a line is written again, the next one tells how many.
"""

import io
import logging
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TextIO, cast

import structlog

MAX_LINES_WAITING = 10_000
"""For whoever reads stderr, should they have stopped; a few megabytes."""
LAST_LINES_WITHIN_S = 2.0
"""How long the last lines may take before the process ends without them."""

log = structlog.get_logger()


@contextmanager
def logging_to_stderr(*, as_console: bool, on_lost: Callable[[int], None]) -> Generator[None]:
    """Have everything logged on stderr, other libraries' warnings too.

    as_console: for people, not for programs. on_lost: called with how many lines are lost, from any thread.
    """
    lines = Lines(octets_to(sys.stderr), on_lost)
    stamped = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.dev.ConsoleRenderer() if as_console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*stamped, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", lines)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamped,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    try:
        yield
    finally:
        lines.end()


def octets_to(stream: TextIO | None) -> Callable[[bytes], int]:
    """What writes octets where a stream does, and keeps none of them; how many it wrote. Raises OSError, ValueError."""
    buffer = getattr(stream, "buffer", None)
    raw: Any = getattr(buffer, "raw", buffer)

    def write(octets: bytes) -> int:
        if stream is None:
            raise OSError("the process was started without stderr")
        if raw is None:  # It is none of octets.
            stream.write(octets.decode())
            return len(octets)
        count: int | None = raw.write(octets)
        if count is None:
            raise BlockingIOError("who reads stderr has stopped, and it is not to be waited for")
        return count

    return write


class Lines(io.TextIOBase):
    """A file of lines that is written by a thread. `write` takes a whole line, from any thread."""

    def __init__(self, write_octets: Callable[[bytes], int], on_lost: Callable[[int], None]) -> None:
        """write_octets: writes some of the octets, and tells how many; it may raise OSError or ValueError."""
        super().__init__()
        self._write_octets = write_octets
        self._on_lost = on_lost
        self._waiting = SimpleQueue[str | None]()
        self._lost_count = 0
        self._counting = Lock()
        self._is_torn = False
        # A daemon: where stderr takes nothing, the process ends all the same.
        self._thread = Thread(target=self._keep_writing, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> int:
        if not self._thread.is_alive():
            self._write_line(line)  # The very last words, after `end`.
        elif self._waiting.qsize() >= MAX_LINES_WAITING:
            self._lose()
        else:
            self._waiting.put(line)
        return len(line)

    def end(self) -> None:
        """Write what waits, for so long as that may take."""
        self._waiting.put(None)
        self._thread.join(LAST_LINES_WITHIN_S)

    def _keep_writing(self) -> None:
        while (line := self._waiting.get()) is not None:
            if self._write_line(line) and self._lost_count and self._waiting.empty():
                with self._counting:
                    lost_count, self._lost_count = self._lost_count, 0
                log.warning("log.lines_lost", line_count=lost_count, message="they could not be written")

    def _write_line(self, line: str) -> bool:
        octets = ("\n" if self._is_torn else "").encode() + line.encode(errors="backslashreplace")
        with suppress(OSError, ValueError):  # Counted: there is nowhere to tell it now.
            while octets:
                octets = octets[self._write_octets(octets) :]
                self._is_torn = bool(octets)
            return True
        self._lose()
        return False

    def _lose(self) -> None:
        with self._counting:
            self._lost_count += 1
        self._on_lost(1)
