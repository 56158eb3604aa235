"""What schemathesis is told of our document that JSON Schema can't say."""

from datetime import UTC, datetime, timedelta

import schemathesis
from hypothesis import strategies as st

from heliograph.jobs.arrivals import MARK_OCTETS, Heard
from heliograph.jobs.targets import LONGEST_URL
from heliograph.wire.openapi import INTERVAL_FORMAT
from heliograph.wire.operations import PHONE_NUMBER_FORMAT
from heliograph.wire.polling import STATE_FORMAT, format_heard

INSTANTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 # as hypothesis wants it

schemathesis.openapi.format(
    INTERVAL_FORMAT,
    st.builds(
        lambda start, minutes: f"{start.isoformat()}/{(start + timedelta(minutes=minutes)).isoformat()}",
        INSTANTS,
        st.integers(1, 10_000),
    ),
)

schemathesis.openapi.format(
    PHONE_NUMBER_FORMAT,
    st.builds(lambda plus, last: f"{plus}49176{last}", st.sampled_from(("+", "00", "")), st.integers(10**6, 10**8 - 1)),
)

MARKS = st.frozensets(st.binary(min_size=MARK_OCTETS, max_size=MARK_OCTETS), max_size=3)
schemathesis.openapi.format(
    STATE_FORMAT, st.builds(lambda since, marks: format_heard(Heard(since, marks)), INSTANTS, MARKS)
)

schemathesis.openapi.format(
    "uri",
    st.builds(
        lambda host, path: f"https://{host}/{path}",
        st.sampled_from(("example.com", "sms.example.org:8443", "192.0.46.9")),
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~/", max_size=LONGEST_URL - 40),
    ),
)
