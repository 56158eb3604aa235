"""Contract: section 3, `[[routes]]`."""

from heliograph.jobs.routing import Route, Routing


def test_without_routes_everything_goes_to_the_default():
    assert Routing([], "acme").carriers_for("+4917612345678") == ("acme",)


def test_the_longest_prefix_wins_whatever_the_order():
    routes = [Route(("+4917",), ("mobile",)), Route(("+",), ("world",)), Route(("+49",), ("german", "backup"))]
    for order in (routes, routes[::-1]):
        routing = Routing(order, "unused")
        assert routing.carriers_for("+4917612345678") == ("mobile",)
        assert routing.carriers_for("+4930123456") == ("german", "backup")
        assert routing.carriers_for("+12025550123") == ("world",)


def test_a_number_may_have_no_route():
    assert Routing([Route(("+49",), ("acme",))], "acme").carriers_for("+43123456") == ()


def test_a_prefix_may_be_longer_than_a_number():
    assert Routing([Route(("+491761234567890",), ("acme",))], "acme").carriers_for("+49") == ()
