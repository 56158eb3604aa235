import os
from datetime import timedelta

import pytest

from heliograph.cli.bulk.batches import batches
from heliograph.cli.bulk.results import COLUMNS, Run, State, Told, earlier_results, new_results
from heliograph.cli.bulk.rows import Row
from heliograph.cli.exits import CommandFailed
from tests.fakes.builders import NOW

JOB = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
RUN = Run(key="k", rows=4, content="c", request="r", service="https://sms.example", username="acme")
FIRST, SECOND = batches([Row(line, "+49", "Hi", None) for line in range(2, 6)], 2)
LATER = NOW + timedelta(seconds=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.results.csv"


@pytest.fixture
def broken_off(path):
    with new_results(path) as results:
        results.begin(RUN, NOW)
        results.add(State.SENDING, FIRST, NOW)
        results.add(State.SENT, FIRST, LATER, JOB)
        results.add(State.SENDING, SECOND, LATER)
    return path


def test_what_was_done_is_read_again(broken_off):
    with earlier_results(broken_off) as results:
        assert (results.run, results.is_new) == (RUN, False)
        assert results.told == {1: Told(State.SENT, 2, JOB, NOW), 2: Told(State.SENDING, 2, "", LATER)}
        assert (results.rows_sent, results.job_ids, results.key_of(SECOND)) == (2, [JOB], "k-2")


def test_a_line_that_is_not_whole_says_nothing(broken_off):
    whole = broken_off.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        broken_off.write_bytes(whole[:end])
        with earlier_results(broken_off) as results:
            assert results.told.keys() == {1}
        assert broken_off.read_bytes() == whole[:last]


def test_a_run_that_was_broken_off_as_it_began_counts_as_none(broken_off):
    whole = broken_off.read_bytes()
    header, begun, *_ = whole.splitlines(keepends=True)
    for end in range(len(header + begun)):
        broken_off.write_bytes(whole[:end])
        with earlier_results(broken_off) as results:
            assert results.is_new
            results.begin(RUN, NOW)
        assert broken_off.read_bytes() == header + begun


def test_an_unknown_fate_is_as_old_as_its_first_try(broken_off):
    with earlier_results(broken_off) as results:
        results.add(State.SENDING, SECOND, LATER + timedelta(hours=1))
        assert results.told[2].sending_since == LATER
    with earlier_results(broken_off) as results:
        assert results.told[2].sending_since == LATER
        results.add(State.NOT_SENT, SECOND, LATER)
        results.add(State.SENDING, SECOND, LATER + timedelta(hours=2))
    with earlier_results(broken_off) as results:
        assert results.told[2].sending_since == LATER + timedelta(hours=2)


def test_it_holds_neither_numbers_nor_texts(path):
    [batch] = batches([Row(2, "+4917612345678", "your secret", "order 7")])
    with new_results(path) as results:
        results.begin(RUN, NOW)
        results.add(State.SENT, batch, NOW, JOB)
    assert [word for word in ("17612345678", "secret", "order") if word in path.read_text()] == []
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_file_that_is_there_is_not_written_over(broken_off):
    before = broken_off.read_bytes()
    with pytest.raises(CommandFailed, match="already, of an earlier run; give --resume"), new_results(broken_off):
        pass
    assert broken_off.read_bytes() == before


def test_two_runs_do_not_share_a_results_file(broken_off):
    with (
        earlier_results(broken_off),
        pytest.raises(CommandFailed, match="another run is at work"),
        earlier_results(broken_off),
    ):
        pass


@pytest.mark.parametrize("content", ["dst,text\n+49,Hi\n", "dst,text", "time,state\n", "x" * 500, "\xff\n"])
def test_another_file_is_refused_and_left_as_it_is(path, content):
    path.write_text(content, "latin-1")
    with pytest.raises(CommandFailed, match="can't be gone on with"), earlier_results(path):
        pass
    assert path.read_text("latin-1") == content


def test_a_line_that_can_not_be_told_is_named(broken_off):
    broken_off.write_text(broken_off.read_text().replace("sending", "sent by pigeon"))
    with pytest.raises(CommandFailed, match="its line 3 is wrong: 'sent by pigeon'"), earlier_results(broken_off):
        pass


def test_a_file_that_is_not_there_or_can_not_be_made_says_so(path, tmp_path):
    with (
        pytest.raises(CommandFailed, match=r"there is no results file .*; name it with --results"),
        earlier_results(path),
    ):
        pass
    with pytest.raises(CommandFailed, match="can't be made: "), new_results(tmp_path / "no" / "x.csv"):
        pass


def test_a_line_is_on_disk_before_the_next_thing_happens(path, monkeypatch):
    happened = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, octets: happened.append("write") or write(fd, octets))
    monkeypatch.setattr(os, "fsync", lambda fd: happened.append("fsync") or fsync(fd))
    with new_results(path) as results:
        results.begin(RUN, NOW)
        happened.clear()
        results.add(State.SENDING, FIRST, NOW)
    assert happened == ["write", "fsync"]
