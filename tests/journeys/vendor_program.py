"""What a customer's program does with the vendor's SDK. Runs in .venv-vendor, with nothing of ours.

    python vendor_program.py URL NAME PASSWORD sync|async

Prints what each call returned, as JSON.
"""

import asyncio
import json
import sys

from retarus.commons.config import Configuration
from retarus.commons.exceptions import ApiAuthorizationError, ApiInvalidPayload
from retarus.commons.region import Region, RegionUri
from retarus.sms.client import SmsClient
from retarus.sms.model import Messages, Options, Recipient, SmsJob

FROM_TS = "2018-06-13T00:00+02:00"


def jobs():
    minimal = SmsJob.minimal("+4917612345678", "Hello from the SDK")
    full = SmsJob(
        options=Options(
            src="Acme",
            encoding="STANDARD",
            billcode="B-17",
            statusRequested=True,
            flash=False,
            customerRef="job",
            validityMin=60,
            maxParts=3,
            invalidCharacters="TRANSLITERATE",
            qos="EXPRESS",
            jobPeriod="2022-09-28T10:58:30.022+0200",
            duplicateDetection=False,
            blackoutPeriods=["2022-09-28T20:00+02:00/2022-09-29T07:00+02:00"],
        ),
        messages=[
            Messages(text="Grüße „an alle“", recipients=[Recipient(dst="+4917612345678", customerRef="first")]),
            Messages(text="Hello", recipients=[Recipient(dst="0049 176 12345679"), Recipient(dst="+4917612340001")]),
        ],
    )
    invalid = SmsJob(options=Options(validityMin=1), messages=full.messages)
    return minimal, full, invalid


async def run(client, finished):
    minimal, full, invalid = jobs()
    told = {"sent": [await finished(client.send_sms(minimal)), await finished(client.send_sms(full))]}
    told["reports"] = [await finished(client.get_sms_job(sent["jobId"])) for sent in told["sent"]]
    told["listed"] = await finished(client.filter_sms_jobs(job_ids_only=True))
    told["open"] = await finished(client.filter_sms_jobs(job_ids_only=False, open=True, offset=0, limit=1))
    told["long ago"] = await finished(client.filter_sms_jobs(job_ids_only=True, from_ts=FROM_TS))
    told["unknown"] = await finished(client.get_sms_job("J.20221116-102407.583-0lajfsfmoXIZJO93PQ"))
    told["version"] = await finished(client.server_version())
    try:
        await finished(client.send_sms(invalid))
    except ApiInvalidPayload:
        told["invalid"] = "refused"
    Configuration.set_auth("nobody", "nothing")
    try:
        await finished(client.server_version())
    except ApiAuthorizationError:
        told["wrong password"] = "refused"
    return told


async def awaited(call):
    return await call


def main():
    url, name, password, mode = sys.argv[1:]
    SmsClient._SmsClient__sms_uris = [RegionUri(region=Region.Europe, ha_uri=url, urls=[url, url])]
    Configuration.set_auth(name, password)
    if mode == "async":
        told = asyncio.run(run(SmsClient(is_async=True).client, awaited))
    else:
        told = _run_to_its_end(run(SmsClient().client, _returned))
    print(json.dumps(told))


async def _returned(value):
    return value


def _run_to_its_end(coroutine):
    # The synchronous client has an event loop of its own, so none may run around it.
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the synchronous client waited")


if __name__ == "__main__":
    main()
