"""A gateway killed at each step of the journal, over SMPP: no SMS is lost, few go twice, and no status lies.

The steps: leased, so on disk, and not yet on the wire; on the wire and not answered; answered and not stored; stored;
its receipt received and not stored; that stored and not acknowledged (SMPP checklist, 2.2 and 2.6).
"""

import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.service import a_job
from tests.fakes.smsc import Play, delivered
from tests.journeys.killed_program import STEPS
from tests.journeys.test_service import account, awaited, customer, sent, statuses
from tests.journeys.test_smpp import WINDOW, SmscThread, gateway, until

NUMBERS = [f"+49176{number:07}9" for number in range(100)]
DOOMED = Path(__file__).with_name("killed_program.py")
COUNT = 4
"""How often it gets through the step before: some SMS are through by then, others haven't begun."""
ON_THE_WIRE = "on the wire"
DELIVERED, UNKNOWN = ("DONE", "SUC_FIN"), ("DONE", "SEND_ERR")


def killed_and_started_again(tmp_path, step, *flags):
    """What the SMSC got, and what each SMS came to."""
    account(tmp_path, *flags)
    killing = threading.Event()

    def script(_):
        if not killing.is_set() or len(smsc.submitted) < 40:
            return replace(delivered(0.02), answer_after_s=0.03)
        return Play(answer_after_s=None)

    with SmscThread(script) as smsc:
        program_arguments = ["-m", "heliograph"]
        if step == ON_THE_WIRE:
            killing.set()
        else:
            program_arguments = [str(DOOMED), step, str(COUNT)]
        with gateway(tmp_path, smsc.port, arguments=program_arguments) as (program, url), customer(url) as client:
            job = a_job("Hello", statusRequested=True)
            job["messages"][0]["recipients"] = [{"dst": dst} for dst in NUMBERS]
            job_id = sent(client, job)
            if step == ON_THE_WIRE:
                until(lambda: any(link.unanswered >= WINDOW for link in smsc.links))
                program.kill()
            assert program.wait(20) == -signal.SIGKILL
        before = len(smsc.submitted)
        assert 0 < before < len(NUMBERS), "it died in the midst of it"
        killing.clear()
        with gateway(tmp_path, smsc.port) as (_, url), customer(url) as client:
            until(lambda: not {"OPEN", "RUNNING"} & {process for process, _ in statuses(client, job_id)})
            found = statuses(client, job_id)
            awaited(client, job_id, found)
        until(lambda: {status for _, status in smsc.acknowledged} == {0})
    assert smsc.most_unanswered <= WINDOW
    return Counter(each.destination_addr.decode() for each in smsc.submitted), found


@pytest.mark.parametrize("step", [*STEPS, ON_THE_WIRE])
def test_killed_at_any_step_it_loses_nothing_and_sends_no_more_than_a_window_twice(tmp_path, step):
    submitted, found = killed_and_started_again(tmp_path, step)
    assert found == [DELIVERED] * len(NUMBERS)
    assert submitted.keys() == {number.removeprefix("+") for number in NUMBERS}
    assert submitted.total() - len(NUMBERS) <= WINDOW
    assert max(submitted.values()) <= 2


@pytest.mark.parametrize("step", [*STEPS, ON_THE_WIRE])
def test_and_an_account_that_wants_nothing_twice_gets_nothing_twice(tmp_path, step):
    submitted, found = killed_and_started_again(tmp_path, step, "--on-unknown", "give-up")
    assert set(submitted.values()) == {1}
    assert set(found) <= {DELIVERED, UNKNOWN}
    assert found.count(UNKNOWN) <= WINDOW
    never_sent = len(NUMBERS) - len(submitted)
    assert never_sent <= found.count(UNKNOWN), "what was not sent is told to be unknown, not delivered"
    if step == "leased":
        assert never_sent >= 1, "that is where it died"
    if step in ("answered", ON_THE_WIRE):
        assert found.count(UNKNOWN) >= 1, "that is where it died"
