"""Contract: section 1, JobRequest: what each option makes of a job."""

from collections import Counter
from datetime import timedelta

import pytest

from heliograph.gsm.segmentation import Encoding
from heliograph.gsm.transliteration import InvalidCharacters
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.errors import CharactersRefused
from heliograph.jobs.naming import JobId
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.plan import plan_job
from heliograph.jobs.request import JobRequest, Message, Recipient
from heliograph.jobs.routing import OwnAlphabet, Route, Routing
from heliograph.jobs.schedule import Period, SendWindow
from heliograph.jobs.status import Status
from tests.fakes.builders import NOW, after, an_account, numbers

ID = JobId("J.20260301-120000.000-0mm7pcqo0ABCDEFGHI")
NUMBER = "+4917612345678"
HOUR = 3600


def plan(*recipients, text="Hello", account=None, routes=(), wide=(), alphabets=None, messages=None, **options):
    recipients = recipients or (NUMBER,)
    recipients = tuple(each if isinstance(each, Recipient) else Recipient(each, each) for each in recipients)
    request = JobRequest(JobOptions(**options), messages or (Message(text, recipients),), fingerprint=b"print")
    routing = Routing(routes, "acme", wide=wide, alphabets=alphabets)
    return plan_job(request, account or an_account(id=1), routing, ID, NOW)


def window(start_s, validity_s=48 * HOUR):
    return SendWindow(after(start_s), after(start_s + validity_s))


# Texts


def test_a_text_that_standard_carries_goes_as_standard():
    [message] = plan(text="Grüße €").messages
    assert (message.encoding, message.parts, message.truncated) == (Encoding.STANDARD, ("Grüße €",), False)


def test_an_encoding_asked_for_is_kept():
    assert plan(encoding=Encoding.UTF_16).messages[0].encoding is Encoding.UTF_16


@pytest.mark.parametrize(
    ("policy", "text", "encoding"),
    [
        (InvalidCharacters.TO_UTF16, "Zoë 日", Encoding.UTF_16),
        (InvalidCharacters.REPLACE, "Zo   ", Encoding.STANDARD),
        (InvalidCharacters.TRANSLITERATE, "Zoe  ", Encoding.STANDARD),
    ],
)
def test_characters_that_standard_can_not_carry_meet_their_policy(policy, text, encoding):
    [message] = plan(text="Zoë 日", invalid_characters=policy).messages
    assert (message.parts, message.encoding) == ((text,), encoding)


def test_each_message_has_an_encoding_of_its_own():
    messages = tuple(Message(text, (Recipient(NUMBER, ""),)) for text in ("Hello", "日本"))
    assert [message.encoding for message in plan(messages=messages).messages] == [Encoding.STANDARD, Encoding.UTF_16]


def test_refuse_refuses_the_whole_job_and_names_every_field_at_fault():
    messages = tuple(Message(text, (Recipient(NUMBER, ""),)) for text in ("日本", "Hello", "Zoë"))
    with pytest.raises(CharactersRefused) as refusal:
        plan(messages=messages, invalid_characters=InvalidCharacters.REFUSE)
    assert [fault.field for fault in refusal.value.faults] == ["messages[0].text", "messages[2].text"]
    assert "U+65E5 at 0" in refusal.value.faults[0].message


def test_no_text_appears_in_a_refusal():
    with pytest.raises(CharactersRefused) as refusal:
        plan(text="secret 日本", invalid_characters=InvalidCharacters.REFUSE)
    assert "secret" not in str(refusal.value)
    assert "日" not in str(refusal.value)


def test_a_long_text_travels_in_parts():
    job = plan(text="x" * 400)
    assert [len(part) for part in job.messages[0].parts] == [153, 153, 94]
    assert job.sms[0].parts == 3


@pytest.mark.parametrize(
    ("recipients", "lengths"),
    [
        (["+491761234567"], [153, 153, 94]),
        (["+436641234567"], [152, 152, 96]),
        (["+491761234567", "+436641234567"], [152, 152, 96]),
        (["+41791234567"], [152, 152, 96]),
        (["rubbish"], [153, 153, 94]),
    ],
)
def test_parts_leave_room_for_16_bits_where_a_carrier_of_theirs_wants_them(recipients, lengths):
    routes = [Route(("+49",), ("near",)), Route(("+43",), ("wide",)), Route(("+41",), ("near", "wide"))]
    job = plan(*recipients, text="x" * 400, routes=routes, wide=("wide",))
    assert [len(part) for part in job.messages[0].parts] == lengths


@pytest.mark.parametrize(
    ("text", "codec", "encoding", "lengths"),
    [
        ("x" * 170 + "€", "latin-1", Encoding.UTF_16, [67, 67, 37]),
        ("x" * 96 + "€", "latin-1", Encoding.UTF_16, [67, 30]),
        ("€", "latin-1", Encoding.UTF_16, [1]),
        ("ü" * 71, "ascii", Encoding.UTF_16, [67, 4]),
        ("ü" * 170, "latin-1", Encoding.STANDARD, [153, 17]),
        ("x" * 170, "ascii", Encoding.STANDARD, [153, 17]),
    ],
)
def test_a_text_that_the_carrier_s_alphabet_lacks_goes_as_utf_16_whole(text, codec, encoding, lengths):
    [message] = plan(text=text, alphabets={"acme": OwnAlphabet(codec, flash=False)}).messages
    assert (message.encoding, [len(part) for part in message.parts]) == (encoding, lengths)
    assert bool(message.remark) is (encoding is Encoding.UTF_16)


def test_that_a_text_goes_as_utf_16_is_told_with_the_carrier_and_the_character():
    [message] = plan(text="5 €", alphabets={"acme": OwnAlphabet("latin-1", flash=False)}).messages
    assert message.remark == "as UTF-16, since the carrier 'acme' takes latin-1 text, which has no '€'"


@pytest.mark.parametrize(
    ("recipients", "encoding"),
    [
        (["+491761234567"], Encoding.STANDARD),
        (["+436641234567"], Encoding.UTF_16),
        (["+491761234567", "+436641234567"], Encoding.UTF_16),
        (["+41791234567"], Encoding.UTF_16),
        (["rubbish"], Encoding.STANDARD),
    ],
)
def test_a_text_is_cut_for_all_carriers_that_it_may_go_to(recipients, encoding):
    routes = [Route(("+49",), ("near",)), Route(("+43",), ("latin",)), Route(("+41",), ("near", "latin"))]
    job = plan(*recipients, text="€", routes=routes, alphabets={"latin": OwnAlphabet("latin-1", flash=False)})
    assert job.messages[0].encoding is encoding


@pytest.mark.parametrize(("own", "encoding"), [(False, Encoding.STANDARD), (True, Encoding.UTF_16)])
def test_flash_goes_in_the_gsm_alphabet_where_it_has_a_class(own, encoding):  # TS 23.038, 4
    [message] = plan(text="€", flash=True, alphabets={"acme": OwnAlphabet("latin-1", flash=own)}).messages
    assert message.encoding is encoding


def test_what_invalid_characters_left_goes_as_utf_16_too_where_the_carrier_lacks_it():
    alphabets = {"acme": OwnAlphabet("ascii", flash=False)}
    policy = InvalidCharacters.TRANSLITERATE
    [message] = plan(text="Zoë ü", invalid_characters=policy, alphabets=alphabets).messages
    assert (message.parts, message.encoding) == (("Zoe ü",), Encoding.UTF_16)


@pytest.mark.parametrize(("max_parts", "lengths"), [(1, [160]), (2, [153, 153])])
def test_a_text_longer_than_its_parts_is_cut(max_parts, lengths):
    [message] = plan(text="x" * 400, max_parts=max_parts).messages
    assert [len(part) for part in message.parts] == lengths
    assert message.truncated


# Numbers and routes


def test_a_number_in_national_spelling_is_read_by_the_account_s_country():
    [sms] = plan("0176 12345678", account=an_account(id=1, country="DE")).sms
    assert (sms.dst, sms.customer_ref) == (NUMBER, "0176 12345678")


def test_an_impossible_number_ends_at_once_whatever_the_schedule_and_keeps_its_spelling():
    night = Period(after(-60), after(HOUR))
    job = plan("12", NUMBER, job_period=after(86_400), blackout_periods=(night,))
    bad, good = job.sms
    assert (bad.dst, bad.carrier, bad.verdict) == ("12", None, Status.INVALID_DST)
    assert (good.carrier, good.verdict) == ("acme", Status.NONE)


def test_the_first_carrier_of_the_longest_route_takes_the_sms():
    routes = [Route(("+",), ("world",)), Route(("+49", "+43"), ("near", "backup")), Route(("+49176",), ("mobile",))]
    sms = plan(NUMBER, "+436641234567", "+12025550123", routes=routes).sms
    assert [each.carrier for each in sms] == ["mobile", "near", "world"]


def test_the_other_carriers_of_the_route_are_kept_in_their_order():
    [sms] = plan(routes=[Route(("+",), ("a", "b", "c"))]).sms
    assert (sms.carrier, sms.others) == ("a", ("b", "c"))


def test_a_route_may_be_for_an_account_and_a_sender():
    routes = [Route(("+",), ("all",)), Route(("+",), ("own",), accounts=("acme",), senders=("Helio",))]
    assert [plan(src=src, routes=routes).sms[0].carrier for src in ("Helio", "Other")] == ["own", "all"]


def test_carriers_share_the_sms_of_a_job_as_their_weights_say():
    job = plan(*numbers(40), routes=[Route(("+",), ("a", "b"), weights=(3, 1))])
    assert Counter((sms.carrier, sms.others) for sms in job.sms) == {("a", ("b",)): 30, ("b", ("a",)): 10}


def test_a_number_without_a_route_is_not_accepted():
    [sms] = plan(routes=[Route(("+43",), ("near",))]).sms
    assert (sms.carrier, sms.verdict) == (None, Status.NOT_ACC_FIN)


def test_every_recipient_of_every_message_is_an_sms_in_the_order_of_the_request():
    recipients = (Recipient(NUMBER, "a"), Recipient("+436641234567", "b"))
    job = plan(messages=(Message("one", recipients), Message("two", recipients[:1])))
    assert [(sms.message, sms.customer_ref) for sms in job.sms] == [(0, "a"), (0, "b"), (1, "a")]


# When


def test_without_a_schedule_an_sms_is_due_now_and_valid_for_48_hours():
    assert plan().sms[0].window == window(0)


def test_the_validity_counts_from_the_moment_it_falls_due():
    assert plan(job_period=after(HOUR), validity_min=5).sms[0].window == window(HOUR, 300)


def test_a_job_period_in_the_past_means_now():
    assert plan(job_period=NOW - timedelta(days=1)).sms[0].window == window(0)


def test_an_sms_due_in_a_blackout_period_is_due_at_its_end():
    night = Period(after(-60), after(2 * HOUR))
    [sms] = plan(blackout_periods=(night,), validity_min=60).sms
    assert (sms.window, sms.blackouts) == (window(2 * HOUR, HOUR), (night,))


def test_short_blackout_periods_count_as_an_hour_and_join():
    [sms] = plan(blackout_periods=(Period(after(0), after(60)), Period(after(HOUR), after(2 * HOUR)))).sms
    assert sms.blackouts == (Period(after(0), after(2 * HOUR)),)


def test_a_recipient_s_blackout_periods_replace_those_of_the_options():
    night, noon = Period(after(-60), after(8 * HOUR)), Period(after(-60), after(HOUR))
    sms = plan(Recipient(NUMBER, "", None), Recipient(NUMBER, "", (noon,)), blackout_periods=(night,)).sms
    assert [each.window for each in sms] == [window(8 * HOUR), window(HOUR)]


def test_a_recipient_with_no_blackout_periods_has_none():
    [sms] = plan(Recipient(NUMBER, "", ()), blackout_periods=(Period(after(-60), after(HOUR)),)).sms
    assert (sms.window, sms.blackouts) == (window(0), ())


def test_an_sms_keeps_only_the_blackout_periods_that_its_window_can_meet():
    """A calendar of years, for 3000 recipients, must not be kept 3000 times."""
    nights = tuple(Period(after(24 * HOUR * day), after((24 * day + 8) * HOUR)) for day in range(-500, 500))
    for job in (plan(NUMBER, NUMBER, blackout_periods=nights), plan(Recipient(NUMBER, "", nights))):
        assert {sms.blackouts for sms in job.sms} == {nights[500:503]}
        assert len(job.options.blackout_periods) <= 3


# The job


def test_express_goes_before_normal():
    assert plan(qos=Qos.EXPRESS).lane < plan(qos=Qos.NORMAL).lane


def test_only_a_job_with_duplicate_detection_keeps_a_fingerprint():
    assert plan(duplicate_detection=True).fingerprint == b"print"
    assert plan().fingerprint is None


def test_what_to_do_in_doubt_is_the_account_s_choice_when_the_job_came():
    assert plan(account=an_account(id=7, on_unknown=OnUnknown.GIVE_UP)).on_unknown is OnUnknown.GIVE_UP


def test_a_plan_keeps_the_options_and_whose_it_is():
    job = plan(billcode="K-12", flash=True, account=an_account(id=7))
    assert (job.account, job.job_id, job.received_at) == (7, ID, NOW)
    assert (job.options.billcode, job.options.flash) == ("K-12", True)
