"""Contract: section 2, `POST /jobs/preview`: what is told about an SMS."""

from heliograph.jobs.naming import JobId
from heliograph.jobs.options import JobOptions
from heliograph.jobs.preview import preview_job, reason_of
from heliograph.jobs.request import JobRequest, Message, Recipient
from heliograph.jobs.routing import OwnAlphabet, Routing
from tests.fakes.builders import NOW, after, an_account

NUMBER = "+4917612345678"
LATIN = Routing([], "acme", alphabets={"acme": OwnAlphabet("latin-1", flash=False)})


def preview(text="Hello", *, dst=NUMBER, routing=LATIN, **options):
    request = JobRequest(JobOptions(**options), (Message(text, (Recipient(dst, dst),)),), fingerprint=b"print")
    return preview_job(request, an_account(id=1), routing, JobId("J.1"), NOW)


def reason(*args, **options):
    shown = preview(*args, **options)
    return reason_of(shown.plan.sms[0], shown.plan)


def test_a_text_that_goes_as_utf_16_for_its_carrier_s_sake_is_shown_so_and_why():
    [message] = preview("Rechnung: 49,90 € " * 5).plan.messages
    assert (message.encoding.value, len(message.parts)) == ("UTF-16", 2)
    assert reason("5 €") == "as UTF-16, since the carrier 'acme' takes latin-1 text, which has no '€'"
    assert reason("5 ü") == ""


def test_all_reasons_are_told():
    assert reason("€", job_period=after(60)).startswith("the job period begins then; as UTF-16, since ")


def test_a_sender_that_smpp_has_no_room_for_is_told():
    assert reason(src="{{{{{{").startswith("by SMPP it would be refused: ")
    assert reason(src="Heliograph") == ""


def test_of_what_is_not_sent_nothing_else_is_told():
    assert reason("€", dst="12") == "not a possible number"
