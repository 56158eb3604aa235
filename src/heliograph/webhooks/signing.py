"""The headers that tell a receiver who has posted, and what. Standard: Standard Webhooks 1.0.0."""

import hmac
from base64 import b64decode, b64encode
from datetime import datetime

_PREFIX = "whsec_"


def signed_headers(event_id: str, secret: str, body: bytes, now: datetime) -> list[tuple[str, str]]:
    """Id, instant of this attempt and signature of what is posted. secret: `whsec_` and a key in base64."""
    timestamp = int(now.timestamp())
    key = b64decode(secret.removeprefix(_PREFIX))
    signature = hmac.digest(key, b"%s.%d.%s" % (event_id.encode(), timestamp, body), "sha256")
    return [
        ("webhook-id", event_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", f"v1,{b64encode(signature).decode()}"),
    ]
