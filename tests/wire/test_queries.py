"""wire/shapes.py: parameters of a query."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.wire.operations import GET_ALL_JOBS, GET_RECIPIENT_STATUS
from heliograph.wire.shapes import parse_query

ALL = GET_ALL_JOBS.query_parameters


def values(query: str, **keywords) -> dict:
    return parse_query(ALL, parse_qsl(query, keep_blank_values=True), UTC, **keywords)[0]


def faults(query: str, **keywords) -> dict[str, str]:
    with pytest.raises(RequestInvalid) as refused:
        values(query, **keywords)
    return {fault.field: fault.message for fault in refused.value.faults}


def test_what_is_left_out_has_its_default():
    assert values("jobIdsOnly=true") == {
        "jobIdsOnly": True,
        "fromTs": None,
        "toTs": None,
        "open": False,
        "offset": 0,
        "limit": 100,
    }


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("True", True), ("FALSE", False), ("false", False)])
def test_booleans_are_read_in_any_case(text, meant):
    assert values(f"jobIdsOnly={text}")["jobIdsOnly"] is meant


@pytest.mark.parametrize("text", ["1", "yes", "t", "truee", "true,true"])
def test_nothing_else_is_a_boolean(text):
    assert faults(f"jobIdsOnly={text}") == {"jobIdsOnly": f'must be true or false; it is "{text}"'}


def test_a_required_parameter_that_is_missing_is_told_with_its_meaning():
    message = "is missing; give it in the query: true lists the ids of the jobs alone, false whole reports."
    assert faults("") == {"jobIdsOnly": message}
    assert faults("jobIdsOnly=") == {"jobIdsOnly": message}


def test_an_empty_value_is_the_same_as_none():
    assert values("jobIdsOnly=true&limit=&open=&fromTs=") == values("jobIdsOnly=true")


def test_of_one_given_twice_the_first_counts():
    assert values("jobIdsOnly=true&limit=5&limit=6")["limit"] == 5


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_a_limit_is_0_to_1000(number):
    assert values(f"jobIdsOnly=true&limit={number}")["limit"] == number


@pytest.mark.parametrize("text", ["-1", "1001", "1.5", "ten", "1e2", "%D9%A1", "9" * 5000, "--1", "0x10"])
def test_another_limit_is_told_with_its_range(text):
    assert faults(f"jobIdsOnly=true&limit={text}")["limit"].startswith("must be a whole number from 0 to 1000; it is ")


def test_an_offset_has_no_upper_end():
    assert values("jobIdsOnly=true&offset=123456789012")["offset"] == 123456789012
    assert values(f"jobIdsOnly=true&offset={'9' * 5000}")["offset"] == 999_999_999_999_999_999
    assert values(f"jobIdsOnly=true&offset={'0' * 50}7")["offset"] == 7
    assert faults("jobIdsOnly=true&offset=-1") == {"offset": 'must be a whole number of at least 0; it is "-1"'}


@pytest.mark.parametrize(
    "text",
    [
        "2018-06-13T00:00%2B02:00",  # the Python SDK
        "2018-06-13T00:00+02:00",  # typed by hand: the + is a blank
        "2018-06-13T00:00:00%2B0200",  # the Go SDK
        "2018-06-12T22:00:00.0000000Z",  # Power Automate
        "2018-06-12%2022:00:00%20+00:00",
    ],
)
def test_instants_are_read_as_clients_write_them(text):
    if text.endswith("%20+00:00"):
        assert "fromTs" in faults(f"jobIdsOnly=true&fromTs={text}")
    else:
        assert values(f"jobIdsOnly=true&fromTs={text}")["fromTs"] == datetime(2018, 6, 12, 22, 0, tzinfo=UTC)


def test_an_instant_without_an_offset_is_in_the_accounts_zone():
    parameters, _ = parse_query(ALL, [("jobIdsOnly", "true"), ("toTs", "2026-07-01T12:00")], ZoneInfo("Europe/Berlin"))
    assert parameters["toTs"] == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)


def test_all_parameters_at_fault_are_told():
    assert list(faults("jobIdsOnly=x&fromTs=y&limit=z&offset=-1&open=2")) == [
        "jobIdsOnly",
        "fromTs",
        "open",
        "offset",
        "limit",
    ]


def test_unknown_parameters_are_ignored_and_named():
    pairs = parse_qsl("jobIdsOnly=true&limits=5&=7&foo=", keep_blank_values=True)
    assert parse_query(ALL, pairs, UTC)[1] == ["limits", "foo"]


def test_strict_handling_refuses_unknown_parameters_among_the_other_faults():
    assert faults("jobIdsOnly=x&limits=5", strict=True) == {
        "limits": "is not known; did you mean limit?",
        "jobIdsOnly": 'must be true or false; it is "x"',
    }


def test_a_member_of_an_enumeration_is_read_in_any_case():
    values, _ = parse_query(GET_RECIPIENT_STATUS.query_parameters, [("processStatus", "done")], UTC)
    assert values["processStatus"] is ProcessStatus.DONE


def test_what_is_no_member_is_told_with_those_that_are():
    with pytest.raises(RequestInvalid, match=r"processStatus must be one of OPEN, RUNNING, DONE, CANCELED, KILL"):
        parse_query(GET_RECIPIENT_STATUS.query_parameters, [("processStatus", "lost")], UTC)


def test_an_empty_value_is_one_where_the_parameter_says_so():
    values, _ = parse_query(GET_RECIPIENT_STATUS.query_parameters, [("status", ""), ("billcode", "")], UTC)
    assert (values["status"], values["billcode"]) == (Status.NONE, None)


@given(st.lists(st.tuples(st.sampled_from([each.name for each in ALL]) | st.text(), st.text())), st.booleans())
def test_any_query_gives_values_or_an_invalid_request(pairs, strict):
    try:
        found, _ = parse_query(ALL, pairs, UTC, strict=strict)
    except RequestInvalid:
        return
    assert set(found) == {each.name for each in ALL}
