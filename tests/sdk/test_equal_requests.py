"""Both clients ask the same; and there is a method for every operation, with all its parameters."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import AsyncClient, Client, Encoding, EventType, InvalidCharacters, Message, Period, Qos, Recipient
from heliograph.wire.operations import BASE_PATH, OPERATIONS
from tests.fakes.web import Web, answered, driven

JOB = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
instants = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
periods = st.builds(lambda start, hours: Period(start, start + timedelta(hours=hours)), instants, st.integers(1, 99))
recipients = st.builds(Recipient, texts, st.none() | texts, st.none() | st.lists(periods, max_size=2))
numbers = texts | recipients | st.lists(texts | recipients, min_size=1, max_size=3)
options = st.fixed_dictionaries(
    {},
    optional={
        "src": st.none() | texts,
        "encoding": st.sampled_from(Encoding),
        "billcode": texts,
        "status_requested": st.booleans(),
        "flash": st.booleans(),
        "customer_ref": texts,
        "validity_min": st.integers(-1, 9999),
        "max_parts": st.integers(-1, 99),
        "invalid_characters": st.sampled_from(InvalidCharacters),
        "qos": st.sampled_from(Qos),
        "job_period": instants,
        "duplicate_detection": st.booleans(),
        "blackout_periods": st.lists(periods, max_size=2),
    },
)
keys = st.from_regex(r"[!-~]{1,20}", fullmatch=True)
spans = st.fixed_dictionaries({}, optional={"from_ts": instants, "to_ts": instants})
limits = st.fixed_dictionaries({}, optional={"limit": st.integers(0, 5)})
listings = st.builds(dict, open_only=st.booleans())
filters = st.fixed_dictionaries(
    {"job_id": texts},
    optional={
        **dict.fromkeys(["dst", "customer_ref", "billcode", "process_status", "status"], texts),
        "from_ts": instants,
        "to_ts": instants,
    },
)


def merged(*parts):
    return st.tuples(*parts).map(lambda each: {name: value for part in each for name, value in part.items()})


segments = texts.filter(lambda text: text not in (".", ".."))
several = st.lists(st.builds(Message, texts, numbers), min_size=1, max_size=3)
nothing = st.just({})


def use(names, arguments=st.just(()), keywords=nothing):  # noqa: B008 # strategies are values
    return st.tuples(st.sampled_from(names.split()), arguments, keywords)


uses = st.one_of(
    use(
        "send",
        st.tuples(texts, numbers),
        merged(options, st.fixed_dictionaries({}, optional={"idempotency_key": keys})),
    ),
    use("preview", st.tuples(texts, numbers), options),
    use("send_messages preview_messages", st.tuples(several), options),
    use("jobs job_ids", keywords=merged(spans, limits, listings)),
    use("inbound", keywords=merged(spans, limits)),
    use("find_sms", keywords=merged(filters, limits)),
    use("blocklist", keywords=limits),
    use("job sms cancel blocklist_entry block unblock remove_webhook replay_webhook", st.tuples(segments)),
    use("webhook_failures", st.tuples(segments), limits),
    use("add_webhook", st.tuples(texts, st.lists(st.sampled_from(EventType)))),
    use("webhooks version"),
)

ANSWERS = {
    "send": {"jobId": JOB},
    "send_messages": {"jobId": JOB},
    "preview": {"refused": False, "messages": []},
    "preview_messages": {"refused": False, "messages": []},
    "job": {"jobId": JOB, "receiptTs": "2022-11-16T10:24:07.583Z"},
    "cancel": {"jobId": JOB, "receiptTs": "2022-11-16T10:24:07.583Z"},
    "blocklist_entry": {"dst": "+49", "createdTs": "2022-11-16T10:24:07.583Z"},
    "block": {"dst": "+49", "createdTs": "2022-11-16T10:24:07.583Z"},
    "unblock": {"dst": "+49", "createdTs": "2022-11-16T10:24:07.583Z"},
    "add_webhook": {"id": "W.1", "url": "https://example.com", "events": [], "secret": "whsec_1"},
    "remove_webhook": {"id": "W.1", "url": "https://example.com"},
    "replay_webhook": {"id": "W.1", "replayed": 3},
    "version": {"versionInfo": "heliograph 0.1.0"},
}
"""Of the others: an empty array."""


def asked_by(kind, name, arguments, keywords):
    web = Web(by=lambda _: answered(200, ANSWERS.get(name, [])))
    value = getattr(driven(kind, web), name)(*arguments, **keywords)
    return web.asked, value


@given(uses)
@settings(deadline=None)
def test_both_clients_build_equal_requests_and_read_equal_answers(used):
    assert asked_by(Client, *used) == asked_by(AsyncClient, *used)


SPAN = {"from_ts": datetime(2026, 1, 1, tzinfo=UTC), "to_ts": datetime(2026, 1, 2, tzinfo=UTC)}
EVERYTHING = {
    "send": (["Hello", "+49"], {}),
    "preview": (["Hello", "+49"], {}),
    "job": ([JOB], {}),
    "jobs": ([], SPAN | {"open_only": True}),
    "inbound": ([], SPAN),
    "sms": ([JOB], {}),
    "find_sms": (
        [],
        dict.fromkeys(["job_id", "dst", "customer_ref", "billcode", "process_status", "status"], "x") | SPAN,
    ),
    "cancel": ([JOB], {}),
    "version": ([], {}),
    "blocklist": ([], {}),
    "blocklist_entry": (["+49"], {}),
    "block": (["+49"], {}),
    "unblock": (["+49"], {}),
    "webhooks": ([], {}),
    "add_webhook": (["https://example.com"], {}),
    "remove_webhook": (["W.1"], {}),
    "webhook_failures": (["W.1"], {}),
    "replay_webhook": (["W.1"], {}),
}


def for_flows(operation):
    """What the connector's triggers subscribe with: programs have webhooks."""
    return operation.path.startswith("/triggers/")


def everything_asked():
    for name, (arguments, keywords) in EVERYTHING.items():
        yield from asked_by(Client, name, arguments, keywords)[0]


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not for_flows(each)], ids=lambda operation: operation.name
)
def test_an_operation_has_a_method_that_asks_for_all_it_can_be_asked(operation):
    path = re.compile(BASE_PATH + re.sub("{.*?}", "[^/?]+", operation.path))
    asked = [each for each in everything_asked() if each.method == operation.method]
    queries = [each.path.partition("?")[2] for each in asked if path.fullmatch(each.path.partition("?")[0])]
    assert queries
    named = {pair.partition("=")[0] for query in queries for pair in query.split("&") if pair}
    assert named >= {parameter.name for parameter in operation.query_parameters}
