"""webhooks/signing.py, as an independent verifier sees it."""

import pytest
import standardwebhooks

from heliograph.clock import SystemClock
from heliograph.flow.webhooks import Webhooks
from heliograph.ids import RandomIds
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.webhooks import EventType
from heliograph.store.memory import MemoryStore
from heliograph.webhooks.signing import signed_headers
from tests.fakes.builders import after, an_account

BODY = '{"type":"sms.received","data":{"text":"日本 ✓"}}'.encode()


async def a_secret() -> str:
    webhooks = Webhooks(MemoryStore(), SystemClock(), RandomIds(), allow_private=False)
    account = an_account(id=AccountId(1))
    return (await webhooks.add(account, "https://example.com", [EventType.SMS_RECEIVED])).secret


async def test_what_is_posted_is_verified_by_others():
    secret = await a_secret()
    headers = dict(signed_headers("evt_1", secret, BODY, SystemClock().now()))
    assert standardwebhooks.Webhook(secret).verify(BODY, headers) == {
        "type": "sms.received",
        "data": {"text": "日本 ✓"},
    }


@pytest.mark.parametrize("changed", ["body", "id", "timestamp", "secret"])
async def test_whatever_is_changed_is_noticed(changed):
    secret = await a_secret()
    headers = dict(signed_headers("evt_1", secret, BODY, SystemClock().now()))
    body = BODY
    match changed:
        case "body":
            body += b" "
        case "id":
            headers["webhook-id"] = "evt_2"
        case "timestamp":
            headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
        case _:
            secret = await a_secret()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body, headers)


def test_the_example_of_the_specification():
    secret, when = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", after(0)
    verifier = standardwebhooks.Webhook(secret)
    headers = dict(signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", secret, b'{"test": 2432232314}', when))
    signature = verifier.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", when, '{"test": 2432232314}')
    assert headers["webhook-signature"] == signature
    assert headers["webhook-timestamp"] == str(int(when.timestamp()))
