"""Each row is sent once, whatever is lost on the way: against a service that remembers what it took."""

from datetime import timedelta

import pytest

from heliograph.cli.bulk.batches import batches
from heliograph.cli.bulk.interrupts import Interrupts
from heliograph.cli.bulk.results import Run, State, earlier_results, new_results
from heliograph.cli.bulk.rows import BadRow, Row
from heliograph.cli.bulk.sending import PATIENCE_S, Fate, Plan, Safety, Sender, Unknown, look_through
from heliograph.cli.exits import CommandFailed, Exit
from heliograph.sdk import Duplicate, InvalidRequest, RateLimited, Unauthorized, Unavailable
from tests.fakes.builders import NOW

ROWS = [Row(line, f"+49{line}", "Hi", None) for line in range(2, 12)]
KEYS, DUPLICATES, NOTHING = Safety(True, False), Safety(False, True), Safety(False, False)
RUN = Run(key="k", rows=10, content="c", request="r", service="https://sms.example", username="acme")
NOT_HEARD, REFUSED_NOW = Unavailable("no answer"), Unavailable("connection refused")


def uncertain(error=None):
    error = error or Unavailable("the answer was lost")
    error.uncertain = True
    return error


class Killed(BaseException):
    """The program is gone."""


class Service:
    """Takes batches. faults: by the number of the call, what goes wrong, and whether it took the batch all the same."""

    def __init__(self, safety, faults=None):
        self.safety = safety
        self.faults = faults or {}
        self.calls = 0
        self.taken = []
        self._jobs = {}

    def send(self, batch, key):
        self.calls += 1
        error, takes = self.faults.get(self.calls, (None, True))
        known = key if self.safety.keys else batch.digest() if self.safety.detects else self.calls
        before = self._jobs.get(known)
        if takes and before is None:
            self._jobs[known] = f"J.{len(self._jobs) + 1}"
            self.taken += batch.rows
        if error:
            raise error
        if before and not self.safety.keys:
            raise Duplicate("an equal request was accepted", before)
        return self._jobs[known]


class World:
    """A file of ten rows in jobs of three, a service, and time that passes only in pauses."""

    def __init__(self, path, safety=KEYS, **faults):
        self.path = path
        self.service = Service(safety, {int(number[1:]): fault for number, fault in faults.items()})
        self.now = NOW
        self.slept = []
        self.notes = []
        self.advanced = []
        self.sent = []

    def run(self, rows=ROWS, unknown=None, plan=None):
        plan = plan or look_through(ROWS, 3, self.notes.append)
        opened = earlier_results if self.path.exists() else new_results
        with opened(self.path) as results:
            if results.is_new:
                results.begin(RUN, self.now)
            sender = Sender(
                results,
                self.service.send,
                self.service.safety,
                unknown=unknown,
                now=lambda: self.now,
                clock=self,
                shown=self,
                interrupts=Interrupts(),
            )
            self.sent = []
            sender.send_all(batches(rows, 3), plan, self.sent.append)

    @property
    def states(self):
        with earlier_results(self.path) as results:
            return [results.told[number].state for number in sorted(results.told)]

    def monotonic(self):
        return (self.now - NOW).total_seconds()

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def advance(self, count, *, just_now=True):
        self.advanced.append((count, just_now))

    def note(self, message):
        self.notes.append(message)


@pytest.fixture
def world(tmp_path):
    return lambda *arguments, **faults: World(tmp_path / "x.results.csv", *arguments, **faults)


def test_rows_are_sent_in_their_order(world):
    world = world()
    world.run()
    assert world.service.taken == ROWS
    assert world.sent == ["J.1", "J.2", "J.3", "J.4"]
    assert world.advanced == [(3, True), (3, True), (3, True), (1, True)]


@pytest.mark.parametrize("takes", [False, True], ids=["not taken", "taken"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("safety", [KEYS, DUPLICATES], ids=["keys", "duplicates"])
def test_a_run_that_was_killed_at_any_moment_goes_on_and_sends_each_row_once(world, safety, call, takes):
    world = world(safety, **{f"c{call}": (Killed(), takes)})
    with pytest.raises(Killed):
        world.run()
    world.run()
    assert world.service.taken == ROWS
    assert world.sent == ["J.1", "J.2", "J.3", "J.4"]
    assert world.advanced[-4:] == [(3, call <= 1), (3, call <= 2), (3, call <= 3), (1, True)]


@pytest.mark.parametrize(("safety", "minutes"), [(KEYS, 23 * 60), (DUPLICATES, 9), (NOTHING, 0)])
def test_what_may_have_been_sent_too_long_ago_is_not_sent_again_without_being_told_to(world, safety, minutes):
    world = world(safety, c2=(Killed(), True))
    with pytest.raises(Killed):
        world.run()
    world.now += timedelta(minutes=minutes)
    with pytest.raises(Fate, match=r"nobody knows whether the rows of lines 5 to 7 were sent.*--unknown skip") as asked:
        world.run()
    assert asked.value.code is Exit.UNCERTAIN
    assert world.service.calls == 2
    world.run(unknown=Unknown.PASS_OVER)
    assert world.service.taken == ROWS
    assert world.states == [State.SENT, State.PASSED_OVER, State.SENT, State.SENT]
    assert world.sent == ["J.1", "J.3", "J.4"]


def test_what_is_known_to_be_unsent_is_sent_if_told_to(world):
    world = world(NOTHING, c2=(Killed(), False))
    with pytest.raises(Killed):
        world.run()
    world.run(unknown=Unknown.SEND)
    assert world.service.taken == ROWS


def test_a_little_less_than_that_is_early_enough(world):
    assert KEYS.holds(NOW, NOW + timedelta(hours=22, minutes=59))
    assert DUPLICATES.holds(NOW, NOW + timedelta(minutes=8, seconds=59))
    assert not NOTHING.holds(NOW, NOW)


@pytest.mark.parametrize("error", [uncertain(), Unavailable("503")], ids=["answer lost", "away"])
def test_a_service_that_is_away_for_a_while_is_waited_for(world, error):
    world = world(c2=(error, error.uncertain), c3=(error, False), c4=(error, False))
    world.run()
    assert world.service.taken == ROWS
    assert world.slept == [1, 2, 4]
    assert world.notes[0].endswith("; trying again in 1 s")


def test_the_rate_limit_is_waited_for_as_long_as_it_says(world):
    world = world(c2=(RateLimited("too many calls", 42.0), False))
    world.run()
    assert world.slept == [42.0]
    assert world.notes == ["too many calls; trying again in 42 s"]
    assert world.service.taken == ROWS


def test_a_rate_limit_of_hours_is_left_to_another_run(world):
    world = world(c2=(RateLimited("too many calls", 3600.0), False))
    with pytest.raises(RateLimited):
        world.run()
    assert (world.slept, world.states) == ([], [State.SENT, State.NOT_SENT])


def test_patience_has_an_end(world):
    world = world(**{f"c{call}": (Unavailable("connection refused"), False) for call in range(2, 100)})
    with pytest.raises(Unavailable) as gone:
        world.run()
    assert not gone.value.uncertain
    assert 0.8 * PATIENCE_S < sum(world.slept) <= PATIENCE_S
    assert world.states == [State.SENT, State.NOT_SENT]
    world.service.faults = {}
    world.run()
    assert world.service.taken == ROWS


def test_a_lost_answer_is_not_asked_for_again_where_that_could_send_twice(world):
    world = world(NOTHING, c2=(uncertain(), True))
    with pytest.raises(Unavailable) as lost:
        world.run()
    assert lost.value.uncertain
    assert (world.slept, world.states) == ([], [State.SENT, State.SENDING])


def test_doubt_stays_though_a_later_try_was_surely_not_taken(world):
    faults = {f"c{call}": (Unavailable("connection refused"), False) for call in range(3, 100)}
    world = world(c2=(uncertain(), True), **faults)
    with pytest.raises(Unavailable) as gone:
        world.run()
    assert gone.value.uncertain
    assert world.states == [State.SENT, State.SENDING]


def test_a_job_that_is_still_being_taken_is_waited_for(world):
    world = world(c2=(uncertain(), False), c3=(Duplicate("the first one is under way"), True))
    world.run()
    assert world.service.taken == ROWS
    assert world.slept == [1, 2]


def test_a_duplicate_of_somebody_else_is_an_error_and_no_success(world):
    world = world(DUPLICATES, c2=(Duplicate("an equal request was accepted", "J.9"), False))
    with pytest.raises(Duplicate):
        world.run()
    assert world.states == [State.SENT, State.NOT_SENT]


def test_a_service_that_names_no_first_job_still_tells_that_it_was_sent(world):
    world = world(DUPLICATES, c2=(uncertain(), True), c3=(Duplicate("duplicate"), False))
    world.run()
    assert world.service.taken == ROWS
    assert world.sent == ["J.1", "J.3", "J.4"]


@pytest.mark.parametrize("error", [InvalidRequest("src is wrong"), Unauthorized("wrong password")])
def test_what_somebody_has_to_mend_stops_the_run_and_is_not_sent(world, error):
    world = world(c2=(error, False))
    with pytest.raises(type(error)):
        world.run()
    assert world.states == [State.SENT, State.NOT_SENT]
    world.run()
    assert world.service.taken == ROWS


def test_ctrl_c_in_a_pause_leaves_nothing_in_doubt(world):
    world = world(c2=(Unavailable("connection refused"), False))

    def interrupted(seconds):
        raise KeyboardInterrupt

    world.sleep = interrupted
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert world.states == [State.SENT, State.NOT_SENT]


def test_a_file_that_changes_meanwhile_is_noticed_before_it_is_sent(world):
    world = world()
    changed = [*ROWS[:4], ROWS[4]._replace(text="Ho"), *ROWS[5:]]
    with pytest.raises(CommandFailed, match="changed while it was being sent"):
        world.run(rows=changed)
    assert world.service.taken == ROWS[:3]
    with pytest.raises(CommandFailed, match="changed while it was being sent"):
        world.run(rows=[*ROWS, *ROWS])
    with pytest.raises(CommandFailed, match="became shorter"):
        world.run(rows=ROWS[:6])


def test_a_file_is_looked_through_before_anything_is_sent():
    told = []
    plan = look_through([ROWS[0], BadRow(3, "dst is empty"), *ROWS[2:]], 3, told.append)
    assert (plan.rows, plan.bad_rows, len(plan.digests), told) == (9, 1, 3, [BadRow(3, "dst is empty")])
    assert plan.content != look_through(ROWS[1:], 3, told.append).content
    assert plan == Plan(9, 1, plan.digests)
