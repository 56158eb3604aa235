"""The vendor's answers, in the shapes that its connector's public page documents: every field of them is read."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from heliograph import AsyncClient, Client, Encoding, ProcessStatus, Qos, Status
from tests.fakes.web import Web, answered, driven

JOB = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
SMS = "S.20221116-102407.583-0lajfsfmoP4Q8ZL2DK"
RECEIVED = datetime(2022, 11, 16, 10, 24, 7, 583000, UTC)
FINISHED = datetime(2022, 11, 16, 10, 24, 9, 12000, UTC)


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def vendor(request):
    return lambda *values: driven(request.param, Web(*(answered(200, value) for value in values)), retarus=True)


def test_a_job(vendor):
    report = vendor(
        {
            "jobId": JOB,
            "src": "RETARUS",
            "encoding": "STANDARD",
            "billcode": "BILLCODE",
            "statusRequested": True,
            "flash": False,
            "validityMin": 60,
            "customerRef": "internalRef",
            "qos": "NORMAL",
            "receiptTs": "2022-11-16T10:24:07.583Z",
            "finishedTs": "2022-11-16T11:24:09.012+01:00",
            "recipientIds": [SMS],
        }
    ).job(JOB)
    assert asdict(report) == {
        "job_id": JOB,
        "src": "RETARUS",
        "encoding": Encoding.STANDARD,
        "billcode": "BILLCODE",
        "status_requested": True,
        "flash": False,
        "validity_min": 60,
        "customer_ref": "internalRef",
        "qos": Qos.NORMAL,
        "receipt_ts": RECEIVED,
        "finished_ts": FINISHED,
        "recipient_ids": (SMS,),
    }


def test_the_recipients_of_a_job(vendor):
    (report,) = vendor(
        [
            {
                "smsId": SMS,
                "dst": "+4917612345678",
                "processStatus": "DONE",
                "status": "SUC_FIN",
                "customerRef": "myRef",
                "reason": "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)",
                "sentTs": "2022-11-16T10:24:07.583Z",
                "finishedTs": "2022-11-16T10:24:09.012Z",
            }
        ]
    ).sms(JOB)
    assert asdict(report) == {
        "sms_id": SMS,
        "dst": "+4917612345678",
        "process_status": ProcessStatus.DONE,
        "status": Status.SUC_FIN,
        "customer_ref": "myRef",
        "reason": "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)",
        "sent_ts": RECEIVED,
        "finished_ts": FINISHED,
    }


def test_a_recipient_that_waits_has_nulls_or_nothing(vendor):
    for waiting in ({"status": None, "reason": None, "sentTs": None, "finishedTs": None}, {"status": ""}, {}):
        (report,) = vendor([{"smsId": SMS, "dst": "+49", "processStatus": "OPEN"} | waiting]).sms(JOB)
        assert (report.status, report.sent_ts, report.final) == (Status.NONE, None, False)


def test_the_ids_of_jobs(vendor):
    assert vendor([{"jobId": JOB}], [{"jobId": JOB}]).job_ids() == [JOB]


def test_the_version(vendor):
    version = vendor(
        {
            "buildNumber": 42,
            "buildTimestamp": "2022-09-28T10:58:30Z",
            "majorVersion": 1,
            "minorVersion": 0,
            "versionInfo": "SMS for Applications",
            "message": "",
        }
    ).version()
    assert (version.major_version, version.minor_version, version.build_number) == (1, 0, 42)
    assert (version.build_timestamp, version.version_info) == ("2022-09-28T10:58:30Z", "SMS for Applications")
