"""The log, where it can't be written: nobody who logs notices, and nothing but lines is lost."""

import json
from collections import deque
from threading import Event

import pytest
import structlog

from heliograph import logs
from heliograph.logs import Lines, logging_to_stderr, octets_to


class Disk:
    """A file on a disk that may be full. room: how many octets fit; None for any number."""

    def __init__(self, room: int | None = None):
        self.room = room
        self.content = b""
        self.refused = Event()

    def write(self, octets: bytes) -> int:
        taken = octets if self.room is None else octets[: self.room]
        if not taken:
            self.refused.set()
            raise OSError("no space left on device")
        self.content += taken
        if self.room is not None:
            self.room -= len(taken)
        return len(taken)


class Pipe:
    """A pipe whose reader has stopped, until it goes on."""

    def __init__(self):
        self.is_asked, self.flows = Event(), Event()
        self.content = b""

    def write(self, octets: bytes) -> int:
        self.is_asked.set()
        self.flows.wait(10)
        self.content += octets
        return len(octets)


@pytest.fixture
def lost():
    return deque[int]()


def test_lines_are_written_whole_and_in_order(lost):
    disk = Disk()
    lines = Lines(disk.write, lost.append)
    for number in range(1000):
        lines.write(f"line {number} ✉\n")
    lines.end()
    assert disk.content.decode().splitlines() == [f"line {number} ✉" for number in range(1000)]
    assert not lost


def test_a_line_that_can_not_be_written_is_counted_and_told_of_once_when_the_next_one_is(lost, monkeypatch):
    disk = Disk(room=0)
    lines = Lines(disk.write, lost.append)
    monkeypatch.setattr(logs.log, "warning", lambda event, **fields: lines.write(f"{event} {fields['line_count']}\n"))
    for number in range(3):
        disk.refused.clear()
        lines.write(f"lost {number}\n")
        assert disk.refused.wait(10)
    disk.room = None
    for number in range(3):
        lines.write(f"written {number}\n")
    while b"lines_lost" not in disk.content:
        assert lines._thread.is_alive()
    lines.end()
    told = disk.content.decode().splitlines()
    assert [line for line in told if line.startswith("written")] == ["written 0", "written 1", "written 2"]
    assert [line for line in told if not line.startswith("written")] == ["log.lines_lost 3"]
    assert len(lost) == 3


def test_a_line_that_was_cut_short_has_its_end_before_the_next(lost):
    disk = Disk(room=4)
    lines = Lines(disk.write, lost.append)
    lines.write("torn off\n")
    assert disk.refused.wait(10)
    disk.room = None
    lines.write("whole\n")
    lines.end()
    assert disk.content.decode().splitlines()[:2] == ["torn", "whole"]


def test_a_reader_that_stops_holds_nobody_up_and_what_is_too_much_is_dropped(lost, monkeypatch):
    monkeypatch.setattr(logs, "MAX_LINES_WAITING", 5)
    pipe = Pipe()
    lines = Lines(pipe.write, lost.append)
    lines.write("first\n")
    assert pipe.is_asked.wait(10)
    for number in range(8):
        lines.write(f"{number}\n")
    assert len(lost) == 3
    pipe.flows.set()
    lines.end()
    assert pipe.content.decode().splitlines()[:6] == ["first", "0", "1", "2", "3", "4"]


def test_at_the_end_a_reader_that_has_stopped_is_not_waited_for(lost, monkeypatch):
    monkeypatch.setattr(logs, "LAST_LINES_WITHIN_S", 0.05)
    pipe = Pipe()
    lines = Lines(pipe.write, lost.append)
    lines.write("stuck\n")
    lines.end()
    assert not pipe.content
    pipe.flows.set()


def test_what_is_logged_after_the_end_is_written_too(lost):
    disk = Disk()
    lines = Lines(disk.write, lost.append)
    lines.end()
    lines.write("last words\n")
    assert disk.content == b"last words\n"


def test_events_are_lines_of_json_on_stderr(capfd, lost):
    with logging_to_stderr(as_console=False, on_lost=lost.append):
        structlog.get_logger().warning("carrier.unbound", carrier="a")
    told = json.loads(capfd.readouterr().err)
    assert (told["event"], told["level"], told["carrier"]) == ("carrier.unbound", "warning", "a")


def test_without_stderr_all_is_lost_and_nothing_breaks(lost):
    lines = Lines(octets_to(None), lost.append)
    lines.write("nowhere\n")
    lines.end()
    assert len(lost) == 1


def test_a_full_device_takes_nothing(lost):
    with open("/dev/full", "w") as full:  # noqa: PTH123 # a device
        lines = Lines(octets_to(full), lost.append)
        lines.write("nowhere\n")
        lines.end()
    assert len(lost) == 1
