"""Contract: section 3, `[[routes]]`."""

from collections import Counter

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


# Accounts and senders


def test_with_one_prefix_account_and_sender_go_before_sender_before_account_before_all():
    plus = ("+",)
    routes = [
        Route(plus, ("all",)),
        Route(plus, ("account",), accounts=("acme", "beta")),
        Route(plus, ("sender",), senders=("Helio",)),
        Route(plus, ("both",), accounts=("acme",), senders=("Helio",)),
    ]
    for order in (routes, routes[::-1]):
        routing = Routing(order, "unused")
        assert routing.carriers_for("+49", "acme", "Helio") == ("both",)
        assert routing.carriers_for("+49", "beta", "Helio") == ("sender",)
        assert routing.carriers_for("+49", "acme", "") == ("account",)
        assert routing.carriers_for("+49", "other", "Other") == ("all",)


def test_a_longer_prefix_goes_before_account_and_sender():
    routes = [Route(("+",), ("own",), accounts=("acme",), senders=("Helio",)), Route(("+49",), ("german",))]
    assert Routing(routes, "unused").carriers_for("+49176", "acme", "Helio") == ("german",)


def test_a_longer_prefix_that_is_for_others_doesnt_count():
    routes = [Route(("+",), ("world",)), Route(("+49",), ("german",), accounts=("acme",))]
    assert Routing(routes, "unused").carriers_for("+49176", "other") == ("world",)
    assert Routing(routes[1:], "unused").carriers_for("+49176", "other") == ()


# Weights


def test_without_weights_all_begin_with_the_first_carrier():
    routing = Routing([Route(("+",), ("a", "b"))], "unused")
    assert {routing.carriers_for("+49", turn=turn) for turn in range(20)} == {("a", "b")}


def test_weights_say_how_many_begin_with_each_and_the_others_follow_in_order():
    routing = Routing([Route(("+",), ("a", "b", "c"), weights=(3, 1, 0))], "unused")
    orders = Counter(routing.carriers_for("+49", turn=turn) for turn in range(1000, 1400))
    assert orders == {("a", "b", "c"): 300, ("b", "a", "c"): 100}
