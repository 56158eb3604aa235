"""Both clients: tries, pauses, pages, data centres, deadlines. No network, and no time passes."""

import socket
import ssl

import httpx2
import pytest

from heliograph import (
    AsyncClient,
    Client,
    Duplicate,
    EventType,
    IgnoredFields,
    InsecureConnection,
    InvalidRequest,
    Message,
    NotFinished,
    NotFound,
    RateLimited,
    SettingsInvalid,
    Status,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from heliograph.sdk import calls
from tests.fakes.web import URL, Driven, PassingClock, Web, answered, driven, told

JOB = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
OTHER = "J.20221115-102407.583-0lajfsfmoP4Q8ZL2DK"


def sent(job_id=JOB):
    return answered(201, {"jobId": job_id})


def lost():
    return httpx2.ReadTimeout("")


def unreachable():
    return httpx2.ConnectError("connection refused")


def a_version(program="heliograph 0.1.0"):
    return answered(200, {"versionInfo": program})


def a_job(finished=False, job_id=JOB):
    job = {"jobId": job_id, "receiptTs": "2022-11-16T10:24:07.583Z"}
    return answered(200, job | ({"finishedTs": "2022-11-16T10:24:08Z"} if finished else {}))


def an_sms(status="SUC_FIN"):
    return {"smsId": "S.1", "dst": "+49", "processStatus": "DONE", "status": status}


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def kind(request):
    return request.param


# Credentials and addresses


def test_what_is_not_given_comes_from_the_environment(kind, monkeypatch):
    web = Web(a_version())
    monkeypatch.setenv("HELIOGRAPH_URL", "https://env.example/gateway/rest/v1/")
    monkeypatch.setenv("HELIOGRAPH_USERNAME", "müller")
    monkeypatch.setenv("HELIOGRAPH_PASSWORD", "secret")
    client = kind(transport=web.transport(), clock=PassingClock())
    assert repr(client) == f"{kind.__name__}('https://env.example/gateway', 'müller')"
    Driven(client, PassingClock()).version()
    assert web.asked[0].url == "https://env.example/gateway/rest/v1/version"
    assert web.asked[0].headers["authorization"] == "Basic bcO8bGxlcjpzZWNyZXQ="


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ((None, "acme", "secret"), "url is missing: give it, or set HELIOGRAPH_URL"),
        ((URL, None, "secret"), "username is missing"),
        ((URL, "acme", None), "password is missing"),
        ((URL, "ac:me", "secret"), "no colon"),
        (("sms.example", "acme", "secret"), "must be like https://sms.example"),
        (("ftp://sms.example", "acme", "secret"), "must be like"),
        (("https://acme:secret@sms.example", "acme", "secret"), "must not hold a username or a password"),
        (("https//acme:secret@sms.example", "acme", "x"), r"it is 'https//…@sms\.example'"),
        (("https://sms.example/?x=secret", "acme", "secret"), "must end with its path"),
        (("https://sms.example:port", "acme", "secret"), "none that can be read"),
        (("https://sms exa mple", "acme", "secret"), "must be like"),
    ],
)
def test_what_is_missing_or_can_not_be_is_told_without_the_password(kind, arguments, wrong, monkeypatch):
    for name in ("URL", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"HELIOGRAPH_{name}", raising=False)
    with pytest.raises(SettingsInvalid, match=wrong) as refused:
        kind(*arguments)
    assert "secret" not in str(refused.value)


def test_a_certificate_file_that_is_not_there_is_told(kind, tmp_path):
    with pytest.raises(SettingsInvalid, match="verify: there are no certificates"):
        kind(URL, "acme", "secret", verify=tmp_path / "ca.pem")


@pytest.mark.parametrize("url", ["http://sms.example", "http://192.0.2.1:8480"])
def test_a_password_that_travels_in_the_clear_is_warned_about(kind, url):
    with pytest.warns(InsecureConnection, match="use https"):
        kind(url, "acme", "secret")


@pytest.mark.parametrize(
    "url", ["http://localhost:8480", "http://127.0.0.1", "http://[::1]:8480", "https://sms.example"]
)
def test_but_not_on_this_machine_or_encrypted(kind, url):
    kind(url, "acme", "secret")  # Warnings are errors in tests.


def test_the_password_is_in_no_representation(kind):
    client = kind(URL, "acme", "secret!")
    assert "secret!" not in repr(client) + repr(vars(client))


# Sending


def test_a_job_is_sent_with_a_key_of_its_own(kind):
    web = Web(sent(), sent(OTHER))
    client = driven(kind, web)
    assert [client.send("Hello", "+49"), client.send("Hello", "+49")] == [JOB, OTHER]
    assert web.paths == ["POST /jobs"] * 2
    assert web.asked[0].key != web.asked[1].key
    assert web.asked[0].json() == {"messages": [{"text": "Hello", "recipients": [{"dst": "+49"}]}]}
    assert web.asked[0].headers["content-type"] == "application/json"


def test_a_service_that_can_not_be_reached_is_tried_again(kind):
    web = Web(unreachable(), unreachable(), sent())
    client = driven(kind, web)
    assert client.send("Hello", "+49") == JOB
    assert len({asked.key for asked in web.asked}) == 1
    assert client.clock.slept[0] < client.clock.slept[1]


def test_after_a_lost_answer_a_heliograph_is_asked_again_with_the_same_key(kind):
    web = Web(lost(), a_version(), sent(), lost(), sent(OTHER))
    client = driven(kind, web)
    assert client.send("Hello", "+49") == JOB
    assert web.paths == ["POST /jobs", "GET /version", "POST /jobs"]
    assert web.asked[0].key == web.asked[2].key
    assert client.send("Hello", "+49") == OTHER
    assert web.paths[3:] == ["POST /jobs"] * 2, "what it is, it is asked only once"


def test_after_a_lost_answer_another_service_gets_nothing_twice(kind):
    web = Web(lost(), a_version("another 1.0"))
    client = driven(kind, web)
    with pytest.raises(Unavailable, match="it is unknown whether it was done all the same") as gone:
        client.send("Hello", "+49")
    assert gone.value.uncertain
    assert web.paths.count("POST /jobs") == 1


def test_nor_does_one_that_does_not_say_what_it_is(kind):
    web = Web(by=lambda asked: lost() if asked.method == "POST" else unreachable())
    with pytest.raises(Unavailable) as gone:
        driven(kind, web).send("Hello", "+49")
    assert gone.value.uncertain
    assert web.paths.count("POST /jobs") == 1


def test_a_job_that_is_still_being_stored_is_asked_for_again(kind):
    web = Web(lost(), a_version(), told(409, "the first request with this key is under way"), sent())
    assert driven(kind, web).send("Hello", "+49") == JOB


def test_a_key_that_was_used_for_another_job_is_told_at_once(kind):
    web = Web(told(409, f"the Idempotency-Key was used for another request, accepted as job {JOB}"))
    with pytest.raises(Duplicate, match="for another request"):
        driven(kind, web).send("Hello", "+49", idempotency_key="order-7")


def test_doubt_stays_when_the_service_is_gone_afterwards(kind):
    answers = iter([lost(), a_version()])
    web = Web(by=lambda _: next(answers, None) or unreachable())
    with pytest.raises(Unavailable) as gone:
        driven(kind, web).send("Hello", "+49")
    assert gone.value.uncertain


def test_a_refused_job_is_not_tried_again(kind):
    web = Web(told(400, "options.validityMin must be a whole number"))
    with pytest.raises(InvalidRequest, match="validityMin"):
        driven(kind, web).send("Hello", "+49", validity_min=3)
    assert len(web.asked) == 1


def test_the_service_says_how_long_to_wait(kind):
    web = Web(told(429, retry_after="7"), sent())
    client = driven(kind, web)
    assert client.send("Hello", "+49") == JOB
    assert client.clock.slept == [7]


def test_a_wait_beyond_the_deadline_is_not_begun(kind):
    client = driven(kind, Web(told(429, retry_after="60")))
    with pytest.raises(RateLimited) as limited:
        client.send("Hello", "+49")
    assert limited.value.retry_after_s == 60
    assert client.clock.slept == []


def test_a_service_that_was_never_there_is_given_up_after_some_seconds(kind):
    web = Web(by=lambda _: unreachable())
    client = driven(kind, web, timeout_s=1000)
    with pytest.raises(Unavailable, match="connection refused") as gone:
        client.send("Hello", "+49")
    assert not gone.value.uncertain
    assert 2 < sum(client.clock.slept) < 10


def test_one_that_was_is_tried_until_the_deadline(kind):
    answers = iter([sent()])
    web = Web(by=lambda _: next(answers, None) or unreachable())
    client = driven(kind, web, timeout_s=100)
    client.send("Hello", "+49")
    with pytest.raises(Unavailable):
        client.send("Hello", "+49")
    assert 90 < sum(client.clock.slept) < 100
    assert len(web.asked) < 40


def test_a_certificate_that_can_not_be_trusted_is_told_at_once(kind):
    error = httpx2.ConnectError("")
    error.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    error.__cause__.verify_message = "self-signed certificate"
    web = Web(error)
    with pytest.raises(Unavailable, match="its certificate can't be trusted: self-signed certificate"):
        driven(kind, web).send("Hello", "+49")


def test_a_host_that_is_not_there_is_told_at_once(kind):
    error = httpx2.ConnectError("")
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(Unavailable, match=r"there is no such host: sms\.example"):
        driven(kind, Web(error)).send("Hello", "+49")


def test_more_recipients_than_a_job_holds_make_several(kind):
    web = Web(sent(JOB), sent(OTHER))
    ids = driven(kind, web).send_messages([Message("Hello", ["+49"] * 3001)], idempotency_key="order-7")
    assert ids == [JOB, OTHER]
    assert [len(asked.json()["messages"][0]["recipients"]) for asked in web.asked] == [3000, 1]
    assert [asked.key for asked in web.asked] == ["order-7", "order-7-2"]


def test_jobs_sent_before_the_one_that_failed_are_told(kind):
    web = Web(sent(JOB), told(422, "no"))
    with pytest.raises(InvalidRequest) as refused:
        driven(kind, web).send_messages([Message("Hello", ["+49"] * 3001)])
    assert refused.value.sent == (JOB,)


def test_fields_that_the_service_ignored_are_warned_about(kind):
    web = Web(answered(201, {"jobId": JOB}, heliograph_ignored="options.qos"))
    with pytest.warns(IgnoredFields, match=r"options\.qos"):
        assert driven(kind, web).send("Hello", "+49", qos="EXPRESS") == JOB


# Reading


@pytest.mark.parametrize("trouble", [lost, lambda: told(503), lambda: told(502), unreachable])
def test_reading_is_tried_again(kind, trouble):
    web = Web(trouble(), a_job())
    assert driven(kind, web).job(JOB).job_id == JOB


def test_what_is_done_once_is_not_done_again(kind):
    for act in ("unblock", "remove_webhook", "add_webhook", "replay_webhook"):
        web = Web(lost())
        with pytest.raises(Unavailable) as gone:
            getattr(driven(kind, web), act)("https://example.com")
        assert gone.value.uncertain


def test_a_wrong_password_is_told_at_once(kind):
    with pytest.raises(Unauthorized):
        driven(kind, Web(told(401))).version()


def pages(count, name="J"):
    def answer(asked):
        query = httpx2.URL(asked.url).params
        offset, limit = int(query["offset"]), int(query["limit"])
        ids = [f"{name}.{number:06}" for number in range(count, 0, -1)]
        return answered(200, [{"jobId": job_id} for job_id in ids[offset : offset + limit]])

    return answer


@pytest.mark.parametrize(("count", "page_count"), [(0, 1), (999, 1), (1000, 2), (2500, 3)])
def test_a_listing_asks_for_pages_until_the_last(kind, count, page_count):
    web = Web(by=pages(count))
    ids = driven(kind, web).job_ids()
    assert len(set(ids)) == len(ids) == count
    assert len(web.asked) == page_count


def test_a_listing_asks_for_no_more_than_it_is_to_tell(kind):
    web = Web(by=pages(2500))
    assert driven(kind, web).job_ids(limit=3) == ["J.002500", "J.002499", "J.002498"]
    assert [httpx2.URL(asked.url).params["limit"] for asked in web.asked] == ["3"]
    assert driven(kind, Web()).job_ids(limit=0) == []


def test_what_a_new_job_pushes_onto_the_next_page_comes_once(kind):
    grown = iter([1000, 1001, 1001])
    web = Web(by=lambda asked: pages(next(grown))(asked))
    ids = driven(kind, web).job_ids()
    assert len(set(ids)) == len(ids) == 1000


def test_an_sms_can_be_found_only_by_something(kind):
    with pytest.raises(InvalidRequest, match="there is no filter"):
        driven(kind, Web()).find_sms()


def test_a_call_can_be_answered_as_it_came(kind):
    value = {"jobId": JOB, "colour": "red"}
    assert driven(kind, Web(answered(200, value))).call(calls.raw(calls.get_job(JOB))) == value


# Waiting


def test_a_job_is_waited_for_until_it_is_finished(kind):
    web = Web(a_job(), a_job(), a_job(finished=True), answered(200, [an_sms()]))
    client = driven(kind, web)
    (sms,) = client.wait(JOB)
    assert sms.status is Status.SUC_FIN
    assert len(client.clock.slept) == 2


def test_a_job_is_looked_at_politely(kind):
    web = Web(by=lambda _: a_job())
    client = driven(kind, web)
    with pytest.raises(NotFinished, match=f"job {JOB} is not finished after 600 s; it goes on") as late:
        client.wait(JOB)
    assert late.value.job_id == JOB
    assert sum(client.clock.slept) == pytest.approx(600)
    assert client.clock.slept[0] < 1
    assert len(web.asked) < 80


def test_a_service_that_goes_away_is_waited_for(kind):
    gone = [unreachable() for _ in range(7)]
    web = Web(a_job(), *gone, told(429, retry_after="59"), a_job(finished=True), answered(200, [an_sms()]))
    client = driven(kind, web)
    assert len(client.wait(JOB)) == 1
    assert 59 in client.clock.slept


def test_but_not_one_that_never_was_there(kind):
    client = driven(kind, Web(by=lambda _: unreachable()))
    with pytest.raises(Unavailable):
        client.wait(JOB)
    assert sum(client.clock.slept) < 30


def test_an_unknown_job_is_not_waited_for(kind):
    with pytest.raises(NotFound):
        driven(kind, Web(told(404))).wait(JOB)


# The vendor

HIGHLY_AVAILABLE, FIRST, SECOND = "sms4a.eu.retarus.com", "sms4a.de1.retarus.com", "sms4a.de2.retarus.com"


def hosts(web):
    return [asked.host for asked in web.asked]


def test_the_vendor_is_sent_to_at_its_highly_available_host_without_a_key(kind):
    web = Web(sent())
    assert driven(kind, web, retarus=True).send("Hello", "+49") == JOB
    assert hosts(web) == [HIGHLY_AVAILABLE]
    assert web.asked[0].key is None


@pytest.mark.parametrize("host", [HIGHLY_AVAILABLE, FIRST, f"{SECOND.upper()}:443"])
def test_the_vendors_url_is_the_vendor(kind, host):
    assert repr(kind(f"https://{host}/rest/v1", "acme", "s")) == repr(kind.retarus("acme", "s"))


def test_what_one_data_centre_has_not_the_other_may_have(kind):
    web = Web(told(404), a_job())
    assert driven(kind, web, retarus=True).job(JOB).job_id == JOB
    assert hosts(web) == [FIRST, SECOND]
    with pytest.raises(NotFound):
        driven(kind, Web(told(404), told(404)), retarus=True).job(JOB)


@pytest.mark.parametrize("first_is_down", [True, False])
def test_what_one_data_centre_has_not_and_the_other_can_not_tell_is_not_called_missing(kind, first_is_down):
    def answer(asked):
        return unreachable() if (asked.host == FIRST) is first_is_down else told(404)

    with pytest.raises(Unavailable):
        driven(kind, Web(by=answer), retarus=True).sms(JOB)


def test_a_data_centre_that_is_down_leaves_time_for_the_other(kind):
    def answer(asked):
        return lost() if asked.host == FIRST else a_job()

    client = driven(kind, Web(by=answer), retarus=True)
    assert client.job(JOB).job_id == JOB
    assert sum(client.clock.slept) <= 15


def test_jobs_of_both_data_centres_are_listed_newest_first_and_once(kind):
    def answer(asked):
        ids = {FIRST: ["J.5", "J.3", "J.1"], SECOND: ["J.4", "J.3", "J.2"]}[asked.host]
        return answered(200, [{"jobId": job_id} for job_id in ids])

    client = driven(kind, Web(by=answer), retarus=True)
    assert client.job_ids() == ["J.5", "J.4", "J.3", "J.2", "J.1"]
    assert client.job_ids(limit=2) == ["J.5", "J.4"]


def test_a_data_centre_without_jobs_is_passed_over_and_one_that_is_down_is_not(kind):
    web = Web(by=lambda asked: told(404) if asked.host == FIRST else answered(200, [{"jobId": JOB}]))
    assert driven(kind, web, retarus=True).job_ids() == [JOB]
    web = Web(by=lambda asked: unreachable() if asked.host == FIRST else answered(200, [{"jobId": JOB}]))
    with pytest.raises(Unavailable):
        driven(kind, web, retarus=True).job_ids()


@pytest.mark.parametrize("trouble", [lost, lambda: told(503), lambda: told(500)])
def test_the_vendor_gets_no_job_twice(kind, trouble):
    web = Web(trouble())
    with pytest.raises(Unavailable):
        driven(kind, web, retarus=True).send("Hello", "+49")
    assert len(web.asked) == 1


def test_the_vendor_gets_a_job_again_where_it_looks_for_duplicates(kind):
    web = Web(lost(), sent())
    assert driven(kind, web, retarus=True).send("Hello", "+49", duplicate_detection=True) == JOB
    assert hosts(web) == [HIGHLY_AVAILABLE] * 2


def test_a_duplicate_of_a_job_whose_answer_was_lost_is_that_job(kind):
    web = Web(lost(), told(409, f"an equal request was accepted as job {JOB}"))
    assert driven(kind, web, retarus=True).send("Hello", "+49", duplicate_detection=True) == JOB
    web = Web(told(409, f"an equal request was accepted as job {JOB}"))
    with pytest.raises(Duplicate) as duplicate:
        driven(kind, web, retarus=True).send("Hello", "+49", duplicate_detection=True)
    assert duplicate.value.job_id == JOB


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cancel", [JOB]),
        ("preview", ["Hello", "+49"]),
        ("jobs", []),
        ("inbound", []),
        ("blocklist", []),
        ("block", ["+49"]),
        ("webhooks", []),
        ("add_webhook", ["https://example.com", [EventType.SMS_FINISHED]]),
    ],
)
def test_what_the_vendor_has_not_is_told_before_anything_is_asked(kind, name, arguments):
    web = Web()
    with pytest.raises(Unsupported, match="the vendor's service has no"):
        getattr(driven(kind, web, retarus=True), name)(*arguments)
    assert web.asked == []
