"""What Power Platform does with the committed packages, against a running service."""

from pathlib import Path

import pytest

from heliograph.jobs.options import JobOptions, Qos
from tests.fakes.builders import an_account
from tests.fakes.platform import Connection, a_flow, losing_answers
from tests.fakes.service import PASSWORD, a_job, password_hash, running_server

ROOT = Path(__file__).parents[2]
HOST = "sms.example.com"
CREDENTIALS = {"host": HOST, "username": "acme", "password": PASSWORD}


def package(target):
    return {path.name: path.read_bytes() for path in (ROOT / "connector" / target).iterdir()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    plain = an_account("acme", password_hash=password_hash(), rate_limit=None)
    urgent = an_account("urgent", password_hash=password_hash(), rate_limit=None, defaults=JobOptions(qos=Qos.EXPRESS))
    config = "[webhooks]\nallow_private = true"
    with running_server(tmp_path_factory.mktemp("connector"), plain, urgent, config=config) as running:
        yield running


@pytest.fixture
def heliograph(server):
    return Connection(package("heliograph"), CREDENTIALS, {HOST: server.address})


@pytest.fixture
def retarus(server):
    hosts = dict.fromkeys(("sms4a.eu.retarus.com", "sms4a.de2.retarus.com"), server.address)
    return Connection(package("retarus"), {"username": "acme", "password": PASSWORD}, hosts)


@pytest.fixture(params=["heliograph", "retarus"])
def connection(request):
    return request.getfixturevalue(request.param)


def test_a_connection_is_tested(connection):
    assert connection.test().status == 200


def test_a_connection_with_a_wrong_password_is_not_made(server):
    account = {"host": HOST, "username": "acme", "password": "wrong"}
    assert Connection(package("heliograph"), account, {HOST: server.address}).test().status == 401


def test_a_flow_sends_and_follows_a_job(connection):
    sent = connection.call("SendSmsJob", body=a_job("Hello", "+447700900123", customerRef="flow"))
    assert sent.status == 201
    job_id = sent.json()["jobId"]
    report = connection.call("GetJobStatus", jobId=job_id)
    assert (report.status, report.json()["customerRef"]) == (200, "flow")
    (sms,) = connection.call("GetRecipientStatus", jobId=job_id).json()
    assert sms["dst"] == "+447700900123"
    listed = connection.call("GetAllJobs", limit=1000)
    assert {"jobId": job_id} in listed.json()
    assert connection.call("GetVersion").json()["majorVersion"] >= 0


def test_whole_reports_are_listed_where_the_service_has_them(heliograph):
    job_id = heliograph.call("SendSmsJob", body=a_job()).json()["jobId"]
    reports = heliograph.call("GetAllJobs", jobIdsOnly=False, open=False, limit=1000).json()
    (report,) = [report for report in reports if report["jobId"] == job_id]
    described = heliograph.definition["paths"]["/jobs"]["get"]["responses"]["200"]["schema"]["items"]["properties"]
    assert report.keys() <= described.keys()


def test_a_list_of_jobs_is_offered_where_one_is_asked_for(connection):
    job_id = connection.call("SendSmsJob", body=a_job()).json()["jobId"]
    (parameter,) = connection.definition["paths"]["/jobs/{jobId}"]["get"]["parameters"]
    offered = parameter["x-ms-dynamic-values"]
    answer = connection.call(offered["operationId"], **offered["parameters"]).json()
    assert answer[0][offered["value-path"]] == job_id
    assert len(answer) <= offered["parameters"]["limit"]


def test_a_number_in_a_path_is_encoded_once(heliograph):
    assert heliograph.call("BlockNumber", dst="+447700900666").json()["dst"] == "+447700900666"
    assert heliograph.calls[-1].url.endswith("/blocklist/%2B447700900666")
    assert heliograph.call("GetBlocklistEntry", dst="+44 7700 900666").status == 200
    assert heliograph.call("UnblockNumber", dst="+447700900666").status == 200


def test_a_job_is_previewed_and_nothing_sent(heliograph):
    previewed = heliograph.call("PreviewJob", body=a_job("ë" * 200, customerRef="only previewed"))
    assert previewed.status == 200
    described = heliograph.definition["definitions"]["JobPreview"]["properties"]
    assert previewed.json().keys() == described.keys()
    assert jobs_of(heliograph, "only previewed") == []


def test_sms_are_looked_for_without_their_job(heliograph):
    job = a_job("Hello", "+447700900321")
    job["messages"][0]["recipients"][0]["customerRef"] = "parcel 17"
    job_id = heliograph.call("SendSmsJob", body=job).json()["jobId"]
    (sms,) = heliograph.call("GetRecipientStatus", customerRef="parcel 17").json()
    # What doesn't change while it is on its way.
    (same,) = heliograph.call("GetRecipientStatus", jobId=job_id).json()
    assert all(sms[field] == same[field] for field in ("smsId", "dst", "customerRef"))


def test_a_job_that_waits_is_called_back(heliograph):
    job_id = heliograph.call("SendSmsJob", body=a_job(jobPeriod="2099-01-01T00:00:00Z")).json()["jobId"]
    assert "finishedTs" in heliograph.call("CancelJob", jobId=job_id).json()
    (sms,) = heliograph.call("GetRecipientStatus", jobId=job_id).json()
    assert sms["processStatus"] == "CANCELED"


def test_what_is_wrong_is_told_by_field(connection):
    refused = connection.call("SendSmsJob", body=a_job(validityMin=3))
    assert refused.status == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["options.validityMin"]


def test_ones_own_gateway_is_called_at_the_host_of_the_connection(heliograph):
    heliograph.call("GetVersion")
    assert heliograph.calls[-1].url == f"https://{HOST}/rest/v1/version"


def test_the_vendor_is_sent_to_and_read_from_at_different_hosts(retarus):
    job_id = retarus.call("SendSmsJob", body=a_job()).json()["jobId"]
    retarus.call("GetJobStatus", jobId=job_id)
    assert [call.url for call in retarus.calls] == [
        "https://sms4a.eu.retarus.com/rest/v1/jobs",
        f"https://sms4a.de2.retarus.com/rest/v1/jobs/{job_id}",
    ]


def test_logic_apps_needs_no_policies(server):
    account = {"username": "acme", "password": PASSWORD}
    with_host = Connection(package("retarus"), account, {"sms4a.de2.retarus.com": server.address}, policies=False)
    job_id = with_host.call("SendSmsJob", body=a_job()).json()["jobId"]
    assert with_host.call("GetJobStatus", jobId=job_id).status == 200


def test_an_account_keeps_its_defaults_because_the_definition_has_none(server):
    account = {"host": HOST, "username": "urgent", "password": PASSWORD}
    connection = Connection(package("heliograph"), account, {HOST: server.address})
    job_id = connection.call("SendSmsJob", body=a_job()).json()["jobId"]
    assert connection.call("GetJobStatus", jobId=job_id).json()["qos"] == "EXPRESS"


# Triggers


def test_a_flow_is_told_of_an_sms_and_no_more_once_it_is_turned_off(heliograph):
    with a_flow() as flow:
        location = heliograph.subscribe("OnSmsFinished", flow.callback_url)
        assert location.startswith(f"https://{HOST}/rest/v1/triggers/")
        job_id = heliograph.call("SendSmsJob", body=a_job(dst="+447700900123", statusRequested=True)).json()["jobId"]
        given = flow.run()
        assert given.keys() == heliograph.notified("OnSmsFinished")["properties"].keys()
        assert given["type"] == "sms.finished"
        assert (given["data"]["jobId"], given["data"]["status"]) == (job_id, "SUC_FIN")
        described = heliograph.notified("OnSmsFinished")["properties"]["data"]
        assert set(described["required"]) <= given["data"].keys() <= described["properties"].keys()
        ended = [heliograph.unsubscribe(location) for _ in range(2)]
        assert [reply.status for reply in ended] == [200, 200]
        heliograph.subscribe("OnJobFinished", flow.callback_url)
        job_id = heliograph.call("SendSmsJob", body=a_job(dst="+447700900123")).json()["jobId"]
        given = flow.run()
        assert (given["type"], given["data"]["jobId"]) == ("job.finished", job_id), "and not sms.finished"
        assert flow.is_idle


def test_nobody_ends_a_subscription_by_guessing(heliograph):
    with a_flow() as flow:
        location = heliograph.subscribe("OnJobFinished", flow.callback_url)
        base, _, token = location.rpartition("/")
        assert len(token) >= 16
        assert heliograph.unsubscribe(f"{base}/{'A' * len(token)}").status == 200
        heliograph.call("SendSmsJob", body=a_job(dst="+447700900123"))
        assert flow.run()["type"] == "job.finished"
        heliograph.unsubscribe(location)


def test_a_flow_that_asks_is_told_where_to_ask_again(heliograph):
    given, location = heliograph.poll("OnSmsReceivedPolled", None)
    assert (given, location.startswith(f"https://{HOST}/rest/v1/triggers/sms-received?state=")) == ([], True)
    assert heliograph.poll("OnSmsReceivedPolled", location)[0] == []


# A flow repeats what timed out


def jobs_of(connection, reference):
    reports = connection.call("GetAllJobs", jobIdsOnly=False, limit=1000).json()
    return [report["jobId"] for report in reports if report["customerRef"] == reference]


def test_duplicate_detection_keeps_a_flows_repetition_from_sending_twice(server, heliograph):
    with losing_answers(server.address, 1) as way:
        retarus = Connection(
            package("retarus"), {"username": "acme", "password": PASSWORD}, {"sms4a.eu.retarus.com": way}
        )
        job = a_job("Once", duplicateDetection=True, customerRef="vendor, once")
        repeated = retarus.run("SendSmsJob", "08585", body=job)
    assert len(retarus.calls) == 2
    (job_id,) = jobs_of(heliograph, "vendor, once")
    assert repeated.status == 409
    assert job_id in repeated.json()["message"]


def test_a_flows_repetition_after_a_time_out_sends_no_second_sms(server, heliograph):
    with losing_answers(server.address, 2) as way:
        lossy = Connection(package("heliograph"), CREDENTIALS, {HOST: way})
        repeated = lossy.run("SendSmsJob", "08585", body=a_job("Once", customerRef="flow, once"))
    assert len(lossy.calls) == 3
    assert repeated.status == 201
    assert jobs_of(heliograph, "flow, once") == [repeated.json()["jobId"]]
    (sms,) = heliograph.call("GetRecipientStatus", jobId=repeated.json()["jobId"]).json()
    assert sms["dst"] == "+4917612345678"


def test_another_run_of_the_flow_sends_again(heliograph):
    job = a_job("Twice", customerRef="flow, twice")
    runs = [heliograph.run("SendSmsJob", run, body=job).json()["jobId"] for run in ("08586", "08587")]
    assert sorted(jobs_of(heliograph, "flow, twice")) == sorted(runs)
    assert runs[0] != runs[1]


def test_a_key_of_ones_own_goes_before_the_flows(heliograph):
    job = a_job("Once", customerRef="flow, own key")
    runs = [
        heliograph.run("SendSmsJob", run, body=job, **{"Idempotency-Key": "order-17"}).json()["jobId"]
        for run in ("08588", "08589")
    ]
    assert runs[0] == runs[1]


def test_an_app_that_names_no_run_sends_as_often_as_it_is_told(heliograph):
    job = a_job("Twice", customerRef="app, twice")
    sent = [heliograph.call("SendSmsJob", body=job) for _ in range(2)]
    assert [reply.status for reply in sent] == [201, 201]
    assert len(jobs_of(heliograph, "app, twice")) == 2
