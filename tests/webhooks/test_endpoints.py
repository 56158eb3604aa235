"""webhooks/endpoints.py: how much each webhook is given at a time."""

from heliograph.jobs.webhooks import WebhookId
from heliograph.webhooks.endpoints import LONGEST_PAUSE_S, Endpoint, Endpoints


def posts(endpoint: Endpoint, count: int, *, taken: bool, at_s: float = 0.0) -> None:
    for _ in range(count):
        endpoint.begin()
        endpoint.end(at_s, taken=taken)


def test_a_new_one_is_given_one_at_a_time():
    endpoint = Endpoint(20)
    assert endpoint.room(0) == Endpoints.new_room == 1
    endpoint.begin()
    assert endpoint.room(0) == 0


def test_one_that_takes_well_is_given_more_up_to_a_limit():
    endpoint = Endpoint(20)
    posts(endpoint, 5, taken=True)
    assert endpoint.room(0) == 6
    posts(endpoint, 100, taken=True)
    assert endpoint.room(0) == 20


def test_a_failure_now_and_then_halves_it_and_no_more():
    endpoint = Endpoint(20)
    posts(endpoint, 100, taken=True)
    posts(endpoint, 1, taken=False)
    assert endpoint.room(0) == 10
    posts(endpoint, 1, taken=False)
    posts(endpoint, 1, taken=True)
    posts(endpoint, 1, taken=False)
    assert endpoint.room(0) == 3


def test_one_that_takes_nothing_is_given_one_at_a_time_with_growing_pauses():
    endpoint = Endpoint(20)
    posts(endpoint, 100, taken=True)
    posts(endpoint, 3, taken=False, at_s=0)
    assert (endpoint.room(0.999), endpoint.room(1)) == (0, 1)
    posts(endpoint, 1, taken=False, at_s=1)
    assert (endpoint.room(2.999), endpoint.room(3)) == (0, 1)
    posts(endpoint, 1000, taken=False, at_s=3)
    assert (endpoint.room(3 + LONGEST_PAUSE_S - 0.001), endpoint.room(3 + LONGEST_PAUSE_S)) == (0, 1)
    posts(endpoint, 1, taken=True, at_s=100)
    assert endpoint.room(100) == 2


def test_a_limit_of_one_is_kept():
    endpoint = Endpoint(1)
    posts(endpoint, 10, taken=True)
    assert endpoint.room(0) == 1


def test_those_used_longest_ago_are_forgotten_but_for_those_at_work():
    endpoints = Endpoints(20, most_remembered=2)
    names = [WebhookId(name) for name in "abc"]
    for name in names:
        endpoints.of(name).begin()
    endpoints.of(names[1]).end(0, taken=True)
    endpoints.of(names[0])
    endpoints.forget_some()
    assert endpoints.rooms(0) == {"a": 0, "b": 2, "c": 0}
    endpoints.of(names[2]).end(0, taken=True)
    for name in (names[0], names[1]):
        endpoints.of(name)
    endpoints.forget_some()
    assert endpoints.rooms(0) == {"a": 0, "b": 2}
