"""wire/shapes.py: what a JobRequest may be, and what is said of one that may not."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.gsm.segmentation import Encoding
from heliograph.gsm.transliteration import InvalidCharacters
from heliograph.jobs.errors import RequestInvalid
from heliograph.jobs.options import OPTIONS, JobOptions, Qos
from heliograph.jobs.request import JobRequest
from heliograph.jobs.schedule import Period
from heliograph.wire.shapes import parse_job_request, parse_option_defaults
from tests.fakes.builders import an_account
from tests.fakes.service import a_job


def parsed(raw: object, **account: Any) -> JobRequest:
    return parse_job_request(raw, an_account(**account)).request


def options(**given_options: object) -> JobOptions:
    return parsed(a_job(**given_options)).options


def faults(raw: object, **account: Any) -> dict[str, str]:
    with pytest.raises(RequestInvalid) as refused:
        parsed(raw, **account)
    return {fault.field: fault.message for fault in refused.value.faults}


def with_recipient(**recipient: object) -> dict[str, Any]:
    return {"messages": [{"text": "Hello", "recipients": [{"dst": "+4917612345678", **recipient}]}]}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


NIGHT = "2026-03-01T20:00Z/2026-03-02T07:00Z"
NIGHT_PERIOD = Period(instant("2026-03-01T20:00+00:00"), instant("2026-03-02T07:00+00:00"))

VALUES: dict[str, tuple[object, object]] = {
    "src": ("heliograph", "heliograph"),
    "encoding": ("UTF-16", Encoding.UTF_16),
    "billcode": ("B-17", "B-17"),
    "statusRequested": (True, True),
    "flash": (True, True),
    "customerRef": ("ref", "ref"),
    "validityMin": (60, 60),
    "maxParts": (3, 3),
    "invalidCharacters": ("TRANSLITERATE", InvalidCharacters.TRANSLITERATE),
    "qos": ("EXPRESS", Qos.EXPRESS),
    "jobPeriod": ("2026-03-01T13:00:00+01:00", instant("2026-03-01T12:00:00+00:00")),
    "duplicateDetection": (True, True),
    "blackoutPeriods": ([NIGHT], (NIGHT_PERIOD,)),
}
EACH_OPTION = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.wire_name)


# Options


def test_a_job_without_options_has_the_defaults_of_the_contract():
    assert parsed(a_job()).options == JobOptions(
        src="",
        encoding=Encoding.STANDARD,
        billcode="",
        status_requested=False,
        flash=False,
        customer_ref="",
        validity_min=0,
        max_parts=20,
        invalid_characters=InvalidCharacters.TO_UTF16,
        qos=Qos.NORMAL,
        job_period=None,
        duplicate_detection=False,
        blackout_periods=(),
    )


@EACH_OPTION
def test_an_option_is_read_by_its_name_on_the_wire(option):
    sent, meant = VALUES[option.wire_name]
    assert getattr(options(**{option.wire_name: sent}), option.name) == meant


@EACH_OPTION
def test_an_option_is_read_by_the_sdks_spelling_too(option):
    sent, meant = VALUES[option.wire_name]
    assert getattr(options(**{option.name: sent}), option.name) == meant


@EACH_OPTION
def test_null_is_the_same_as_absent(option):
    assert options(**{option.wire_name: None}) == JobOptions()


@EACH_OPTION
def test_an_option_that_is_left_out_is_the_accounts(option):
    sent, meant = VALUES[option.wire_name]
    defaults = parse_option_defaults({option.wire_name: sent}, UTC)
    assert getattr(parsed(a_job(), defaults=defaults).options, option.name) == meant
    assert getattr(parsed({**a_job(), "options": None}, defaults=defaults).options, option.name) == meant


@EACH_OPTION
def test_what_is_asked_for_goes_before_the_accounts_default(option):
    sent, meant = VALUES[option.wire_name]
    other = JobOptions(src="other", validity_min=5, max_parts=1, blackout_periods=(NIGHT_PERIOD,))
    assert getattr(parsed(a_job(**{option.wire_name: sent}), defaults=other).options, option.name) == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, (sent, _) in VALUES.items()
        for value in ([], {}, 1.5, 7, "7", True)
        if type(value) is not type(sent)
    ],
)
def test_nothing_is_converted_between_json_types(name, value):
    wrong = faults(a_job(**{name: value}))
    assert list(wrong) == [f"options.{name}"]
    assert wrong[f"options.{name}"].startswith("must ")


def test_the_right_spelling_wins_over_the_alias_wherever_it_stands():
    assert options(validity_min=5, validityMin=10).validity_min == 10
    assert options(validityMin=10, validity_min=5).validity_min == 10
    assert options(validityMin=None, validity_min=5).validity_min == 5


def test_an_alias_at_fault_is_named_as_it_was_sent():
    assert list(faults(a_job(validity_min=1))) == ["options.validity_min"]


@pytest.mark.parametrize("spelling", ["EXPRESS", "express", "Express"])
def test_enumerations_are_read_in_any_case(spelling):
    assert options(qos=spelling).qos is Qos.EXPRESS
    assert options(encoding="utf-16", invalidCharacters="to_utf16").encoding is Encoding.UTF_16


def test_a_wrong_enumeration_is_told_with_what_would_be_right():
    assert faults(a_job(qos="FAST")) == {"options.qos": 'must be one of EXPRESS, NORMAL; it is "FAST"'}


@pytest.mark.parametrize("number", [0, 5, 2880, 60.0])
def test_validity_is_0_or_5_to_2880_minutes(number):
    assert options(validityMin=number).validity_min == number


@pytest.mark.parametrize("number", [-1, 1, 4, 2881, 10**30, -(10**30), 1e300, 5.5])
def test_another_validity_is_told_with_its_range(number):
    message = faults(a_job(validityMin=number))["options.validityMin"]
    assert message.startswith("must be a whole number from 5 to 2880, or 0 for the carrier's default; it is ")
    assert len(message) < 200


@pytest.mark.parametrize(("number", "meant"), [(1, 1), (20, 20)])
def test_max_parts_are_1_to_20(number, meant):
    assert options(maxParts=number).max_parts == meant


@pytest.mark.parametrize("number", [0, -1, 21])
def test_other_max_parts_are_told_with_their_range(number):
    wrong = faults(a_job(maxParts=number))
    assert wrong == {"options.maxParts": f"must be a whole number from 1 to 20; it is {number}"}


@pytest.mark.parametrize(
    ("option", "number", "nearest"),
    [
        ("validityMin", 1, 5),
        ("validityMin", 4, 5),
        ("validityMin", 0, 0),
        ("validityMin", -1, 0),
        ("validityMin", 2881, 2880),
        ("maxParts", 0, 1),
        ("maxParts", -7, 1),
        ("maxParts", 21, 20),
    ],
)
def test_a_lenient_account_gets_the_nearest_allowed_number(option, number, nearest):
    request = parsed(a_job(**{option: number}), lenient=True)
    assert next(getattr(request.options, each.name) for each in OPTIONS if each.wire_name == option) == nearest


def test_lenience_converts_nothing():
    assert list(faults(a_job(validityMin="5", maxParts=2.5), lenient=True)) == [
        "options.validityMin",
        "options.maxParts",
    ]


@pytest.mark.parametrize("src", ["+49176123", "1" * 20, "Acme Ltd.", "0123456789A", "!"])
def test_a_sender_is_a_number_or_up_to_11_characters(src):
    assert options(src=src).src == src


@pytest.mark.parametrize("src", ["", "1" * 21, "twelve chars", "Ä", "a\n", "+"[:0]])
def test_another_sender_is_400(src):
    assert "a sender ID is 1 to 20 digits" in faults(a_job(src=src))["options.src"]


def test_billcode_has_at_most_70_characters_counted_in_code_points():
    assert options(billcode="\N{GRINNING FACE}" * 70).billcode == "\N{GRINNING FACE}" * 70
    assert faults(a_job(billcode="x" * 71)) == {"options.billcode": "must have at most 70 characters; it has 71"}


def test_references_have_at_most_255_characters():
    assert options(customerRef="x" * 255).customer_ref == "x" * 255
    assert parsed(with_recipient(customerRef="x" * 255)).messages[0].recipients[0].customer_ref == "x" * 255
    assert list(faults(a_job(customerRef="x" * 256))) == ["options.customerRef"]
    assert list(faults(with_recipient(customerRef="x" * 256))) == ["messages[0].recipients[0].customerRef"]


def test_options_must_be_an_object():
    assert faults({**a_job(), "options": []}) == {"options": "must be an object; it is an array"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00Z",
        "2026-03-01T13:00:00.0000000+01:00",  # Power Automate
        "2026-03-01T13:00:00.000+0100",  # the Go SDK
        "2026-03-01T13:00+01",
    ],
)
def test_times_are_read_as_clients_in_the_wild_write_them(text):
    assert options(jobPeriod=text).job_period == instant("2026-03-01T12:00:00+00:00")


def test_a_time_without_an_offset_is_in_the_accounts_time_zone():
    request = parsed(
        a_job(jobPeriod="2026-07-01T12:00", blackoutPeriods=["2026-07-01T20:00/2026-07-02T07:00"]),
        timezone="Europe/Berlin",
    )
    assert request.options.job_period == instant("2026-07-01T10:00:00+00:00")
    assert request.options.blackout_periods[0].start == instant("2026-07-01T18:00:00+00:00")


# Blackout periods


@pytest.mark.parametrize(
    "interval",
    ["2026-03-02T07:00Z/2026-03-01T20:00Z", "2026-03-01T20:00Z/2026-03-01T20:00Z", "2026-03-01T20:00Z", "a/b", "", 7],
)
def test_what_is_no_interval_is_400_with_its_place(interval):
    assert list(faults(a_job(blackoutPeriods=[NIGHT, interval]))) == ["options.blackoutPeriods[1]"]
    assert list(faults(with_recipient(blackoutPeriods=[NIGHT, interval]))) == [
        "messages[0].recipients[0].blackoutPeriods[1]"
    ]


def test_blackout_periods_must_be_an_array():
    assert list(faults(a_job(blackoutPeriods=NIGHT))) == ["options.blackoutPeriods"]
    assert list(faults(with_recipient(blackoutPeriods=NIGHT))) == ["messages[0].recipients[0].blackoutPeriods"]


def test_a_recipients_blackout_periods_replace_those_of_the_options():
    assert parsed(with_recipient(blackoutPeriods=[NIGHT])).messages[0].recipients[0].blackout_periods == (NIGHT_PERIOD,)
    assert parsed(with_recipient(blackoutPeriods=[])).messages[0].recipients[0].blackout_periods == ()
    assert parsed(with_recipient(blackoutPeriods=None)).messages[0].recipients[0].blackout_periods is None


# Messages and recipients


def test_a_recipient_without_reference_is_known_by_its_number_as_sent():
    recipient = parsed(a_job(dst="0049 176 12345678")).messages[0].recipients[0]
    assert (recipient.dst, recipient.customer_ref) == ("0049 176 12345678", "0049 176 12345678")
    assert parsed(with_recipient(customerRef=None)).messages[0].recipients[0].customer_ref == "+4917612345678"


def test_an_empty_reference_is_a_reference():
    assert parsed(with_recipient(customerRef="")).messages[0].recipients[0].customer_ref == ""


@pytest.mark.parametrize("spelling", ["customerRef", "customRef", "customer_ref"])
def test_a_recipients_reference_is_read_in_each_sdks_spelling(spelling):
    assert parsed(with_recipient(**{spelling: "r"})).messages[0].recipients[0].customer_ref == "r"


def test_a_recipients_right_spelling_wins():
    for names in (("customRef", "customerRef"), ("customerRef", "customRef")):
        recipient = with_recipient(**{name: name for name in names})
        assert parsed(recipient).messages[0].recipients[0].customer_ref == "customerRef"


@pytest.mark.parametrize("dst", ["", None, 4917612345678, ["+49"], True])
def test_a_dst_must_be_a_string_that_is_not_empty(dst):
    message = faults(a_job(dst=dst))["messages[0].recipients[0].dst"]
    assert message.startswith("must be a phone number such as +4917612345678, as a string; it is ")


@pytest.mark.parametrize("text", ["", None, 7, ["Hello"]])
def test_a_text_must_be_a_string_that_is_not_empty(text):
    assert list(faults(a_job(text=text))) == ["messages[0].text"]


@pytest.mark.parametrize("messages", [[], None, "Hello", {}, 7])
def test_a_job_needs_a_message(messages):
    assert list(faults({"messages": messages})) == ["messages"]
    assert list(faults({})) == ["messages"]


@pytest.mark.parametrize("recipients", [[], None, "+49", {}])
def test_a_message_needs_a_recipient(recipients):
    assert list(faults({"messages": [{"text": "a", "recipients": recipients}]})) == ["messages[0].recipients"]
    assert list(faults({"messages": [{"text": "a"}]})) == ["messages[0].recipients"]


@pytest.mark.parametrize("body", [None, [], "text", 7, True])
def test_a_body_must_be_an_object(body):
    with pytest.raises(RequestInvalid, match="the body must be a JSON object with messages"):
        parsed(body)


def test_all_faults_are_told_at_once_each_with_its_path():
    wrong = faults(
        {
            "options": {"src": "", "validityMin": 4, "qos": 1, "blackoutPeriods": ["x", "y"]},
            "messages": [
                {"text": "", "recipients": [{"dst": "+491761234567"}, {"dst": ""}, 7, {}]},
                "Hello",
                {"text": 7, "recipients": []},
            ],
        }
    )
    assert list(wrong) == [
        "options.src",
        "options.validityMin",
        "options.qos",
        "options.blackoutPeriods[0]",
        "options.blackoutPeriods[1]",
        "messages[0].text",
        "messages[0].recipients[1].dst",
        "messages[0].recipients[2]",
        "messages[0].recipients[3].dst",
        "messages[1]",
        "messages[2].text",
        "messages[2].recipients",
    ]


def test_the_first_fault_and_the_number_of_the_others_are_the_errors_message():
    with pytest.raises(RequestInvalid) as refused:
        parsed(a_job(text="", dst="", validityMin=4))
    assert str(refused.value).startswith("options.validityMin must be a whole number")
    assert str(refused.value).endswith("(and 2 more, see errors)")


def test_3000_recipients_are_taken():
    half = [{"dst": "+4917612345678"}] * 1500
    request = parsed({"messages": [{"text": "a", "recipients": half}, {"text": "b", "recipients": half}]})
    assert [len(message.recipients) for message in request.messages] == [1500, 1500]


def test_3001_recipients_are_not():
    half = [{"dst": "+4917612345678"}] * 1500
    wrong = faults({"messages": [{"text": "a", "recipients": half}, {"text": "b", "recipients": [*half, half[0]]}]})
    assert wrong == {"messages": "must have at most 3000 recipients in all; it has 3001: send several jobs"}


def test_every_one_of_3000_recipients_at_fault_is_told():
    assert len(faults({"messages": [{"text": "a", "recipients": [{"dst": ""}] * 3000}]})) == 3000


def test_messages_that_can_not_all_have_a_recipient_are_not_read():
    assert list(faults({"messages": [0] * 3001})) == ["messages"]


# What means nothing

ODD: dict[str, Any] = {
    "option": {},
    "options": {"vailidityMin": 5, "src": "x"},
    "messages": [{"text": "a", "txt": "b", "recipients": [{"dst": "+4917612345678", "dest": 1}]}],
}


def test_unknown_fields_are_ignored_and_named_by_path():
    assert parse_job_request(ODD, an_account()).ignored == [
        "option",
        "options.vailidityMin",
        "messages[0].txt",
        "messages[0].recipients[0].dest",
    ]


def test_aliases_are_not_ignored():
    raw = {**with_recipient(customRef="a", customerRef="b"), "options": {"max_parts": 1, "maxParts": 2}}
    assert parse_job_request(raw, an_account()).ignored == []


def test_strict_handling_refuses_unknown_fields_among_the_other_faults():
    with pytest.raises(RequestInvalid) as refused:
        parse_job_request({**ODD, "options": {"vailidityMin": 5, "src": ""}}, an_account(), strict=True)
    assert {fault.field: fault.message for fault in refused.value.faults} == {
        "option": "is not known; did you mean options?",
        "options.vailidityMin": "is not known; did you mean validityMin?",
        "options.src": refused.value.faults[2].message,
        "messages[0].txt": "is not known; did you mean text?",
        "messages[0].recipients[0].dest": "is not known; did you mean dst?",
    }


def test_the_names_of_unknown_fields_are_cut_short():
    raw = {**a_job(), "x" * 100_000: 1}
    assert len(parse_job_request(raw, an_account()).ignored[0]) < 100


def test_what_is_told_of_a_request_is_bounded():
    raw = {**a_job(), **{f"x{number}": 1 for number in range(20_000)}}
    assert len(parse_job_request(raw, an_account()).ignored) == 10_000
    assert len(faults(a_job(blackoutPeriods=[0] * 20_000))) == 10_000


# Account defaults


def test_an_unknown_default_is_refused():
    with pytest.raises(RequestInvalid, match="validity is not known; did you mean validityMin"):
        parse_option_defaults({"validity": 5}, UTC)


def test_every_default_at_fault_is_told():
    with pytest.raises(RequestInvalid) as refused:
        parse_option_defaults({"validityMin": 4, "src": "", "nonsense": 1}, UTC)
    assert [fault.field for fault in refused.value.faults] == ["validityMin", "src", "nonsense"]


# Whatever comes


def test_no_fault_shows_a_text():
    secret = "the code is 4711"
    for raw in (
        {"messages": [{"text": secret}]},
        {"messages": [secret]},
        {"messages": secret},
        {"messages": [{"text": [secret], "recipients": [{"dst": {"text": secret}}]}]},
        {"options": secret, "messages": []},
    ):
        assert all(secret not in message for message in faults(raw).values())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec="utf-8"))
    | st.sampled_from(["STANDARD", "express", NIGHT, "2026-03-01", "+4917612345678"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["options", "messages", "text", "recipients", "dst", "customerRef", "customRef", "blackoutPeriods"]
                + [option.wire_name for option in OPTIONS]
                + [option.name for option in OPTIONS]
            )
            | st.text(alphabet=st.characters(codec="utf-8"), max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
OPTION_NAMES = st.sampled_from([name for option in OPTIONS for name in (option.name, option.wire_name)])
NEARLY = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries(
                {"text": JSON, "recipients": st.lists(st.fixed_dictionaries({"dst": JSON}) | JSON, max_size=2)}
            ),
            max_size=2,
        )
    },
    optional={"options": st.dictionaries(OPTION_NAMES, JSON, max_size=4)},
)


@settings(max_examples=400, deadline=None)
@given(raw=JSON | NEARLY, lenient=st.booleans(), strict=st.booleans())
def test_any_json_value_gives_a_request_or_one_that_is_invalid(raw, lenient, strict):
    account = an_account(lenient=lenient, timezone="Europe/Berlin")
    try:
        request, _ = parse_job_request(raw, account, strict=strict)
    except RequestInvalid as invalid:
        faults_told = invalid.faults
    else:
        assert request.messages
        return
    assert faults_told or not isinstance(raw, dict)
    assert all(fault.message for fault in faults_told)
    msgspec.json.encode([[fault.field, fault.message] for fault in faults_told])
