"""Two nodes on one PostgreSQL database, jobs coming in all the time, and something dies: what is accepted is sent.

Whatever dies, every accepted SMS reaches one final status, and only those that were unanswered on a node that was
killed may go to the carrier twice. Run with `-s` to see the counts.
"""

from collections.abc import Generator
from dataclasses import replace

import pytest

from tests.fakes.postgresql_faults import FAST, IMMEDIATE, mortal_postgres, url_of
from tests.fakes.service import a_job
from tests.fakes.smsc import FakeSmsc, Play, delivered
from tests.journeys.cluster import BINDS, WINDOW, Balancer, Load, Node, cluster, counted, in_turn, until
from tests.journeys.test_service import customer
from tests.journeys.test_smpp import SmscThread

pytestmark = pytest.mark.slow

ANSWER_AFTER_S = 0.04
"""So long that there is always something unanswered."""


@pytest.fixture
def smsc() -> Generator[FakeSmsc]:
    def script(_: object) -> Play:
        return replace(delivered(0.1), answer_after_s=ANSWER_AFTER_S)

    with SmscThread(script) as smsc:
        yield smsc


def is_away(node: Node, job_id: str) -> None:
    """Without its database a node answers, and says that one should come again."""
    assert node.says("/healthz") == 200
    until(lambda: node.says("/readyz") == 503, "it says that it isn't ready")  # It looks no more than once a second.
    with customer(node.url) as client:
        for reply in (
            client.post("/jobs", json=a_job()),
            client.get(f"/jobs/{job_id}"),
            client.get("/sms", params={"jobId": job_id}),
        ):
            assert reply.status_code == 503, reply.text
            assert int(reply.headers["Retry-After"]) > 0


def is_under_load(smsc: FakeSmsc) -> bool:
    return len(smsc.bound) == BINDS and all(link.unanswered >= WINDOW // 2 for link in smsc.bound)


def test_a_killed_node_loses_nothing_and_sends_no_more_than_its_windows_twice(tmp_path, smsc):
    with mortal_postgres() as (database,), cluster(tmp_path, url_of(database), smsc) as nodes:
        doomed, other = nodes
        with Load(in_turn(nodes)) as load:
            until(lambda: is_under_load(smsc), "the carrier has work")
            windows = WINDOW * doomed.bind_count
            doomed.kill()
            load.goes_on()
            doomed.start()
            load.goes_on()
        until(lambda: len(smsc.bound) == BINDS, "what the killed node held is claimed anew")
        totals = counted("a node killed and started again", nodes, load, smsc)
        assert totals.duplicates <= windows
        assert max(totals.submit_count.values()) <= 2
        assert '"store.leases_freed"' in other.log + doomed.log


def test_a_restarted_database_is_waited_for_and_nothing_is_lost_or_sent_twice(tmp_path, smsc):
    # An account that gives up what is unknown would have SMS that end as SEND_ERR, were anything.
    with (
        mortal_postgres() as (database,),
        cluster(tmp_path, url_of(database), smsc, on_unknown="give-up") as nodes,
    ):
        with Load(in_turn(nodes)) as load:
            for how in (FAST, IMMEDIATE, IMMEDIATE):
                until(lambda: is_under_load(smsc), "the carrier has work")
                load.goes_on()
                database.stop(how)
                for node in nodes:
                    is_away(node, next(iter(load.accepted)))
                database.start()
                until(lambda: all(node.says("/readyz") == 200 for node in nodes), "both nodes are ready again")
                load.goes_on()
        totals = counted("the database restarted, fast and at once", nodes, load, smsc)
        assert load.troubles["503"] > 0
        assert totals.duplicates == 0


def test_a_promoted_standby_has_all_that_was_accepted(tmp_path, smsc):
    with mortal_postgres(2) as (primary, standby):
        primary.be_followed_by(standby)
        with cluster(tmp_path, url_of(primary, standby) + "?target_session_attrs=read-write", smsc) as nodes:
            with Load(in_turn(nodes)) as load:
                until(lambda: is_under_load(smsc), "the carrier has work")
                load.goes_on()
                primary.kill()
                for node in nodes:
                    is_away(node, next(iter(load.accepted)))
                until(lambda: not smsc.bound, "who can't renew what it claimed gives it up")
                standby.be_promoted()
                until(lambda: all(node.says("/readyz") == 200 for node in nodes), "both nodes have found the standby")
                load.goes_on()
            totals = counted("a standby promoted for a killed primary", nodes, load, smsc)
            assert load.troubles["503"] > 0
            assert totals.duplicates == 0


def test_a_rolling_restart_behind_a_load_balancer_refuses_nobody(tmp_path, smsc):
    with (
        mortal_postgres() as (database,),
        cluster(tmp_path, url_of(database), smsc, "shutdown_delay = 3600") as nodes,
        Balancer(nodes) as balancer,
    ):
        with Load(balancer.pick) as load:
            for node in nodes:
                until(lambda: is_under_load(smsc), "the carrier has work")
                node.begin_to_stop()
                until(lambda: node not in balancer.ready, "the balancer has noticed")  # noqa: B023 # asked at once
                load.comes_round()
                node.stop()
                node.start()
                until(lambda: node in balancer.ready, "the balancer has it back")  # noqa: B023
                load.goes_on()
        totals = counted("both nodes restarted in turn", nodes, load, smsc)
        assert not load.troubles
        assert totals.duplicates == 0
