"""Every write on PostgreSQL finds its rows by an index, though it was planned while all tables were empty."""

import re

import pytest

from heliograph.store.postgresql.connection import _QUERIES
from heliograph.store.postgresql.store import open_postgresql

# Lists, which are planned anew each time, by whatever is in the tables then.
READ = {
    "abandoned_receipts", "accounts", "awaiting_receipts", "blocked", "blocklist", "events_given_up",
    "events_waiting", "inbound", "job", "jobs", "live_count", "oldest_due", "open_jobs", "sms_range",
    "sms_at_other_carriers", "sms_range_with_parts", "sms_that_fit", "waiting_for", "webhook", "webhooks",
}  # fmt: skip
# Those that have a small table for their subject, or take a few rows from its beginning, or run once in a while.
MAY_SCAN = {
    "dispatching",
    "part",
    "choose_row_by_row",
    "old_events",
    "free_event_leases",
    "forget_inbound",
    "forget_parked",
    "free_leases",
    "gather_sent",
    "last_of_rest",
    "partitions",
    "survivors",
    "nodes",
    "schema",
    "update_schema",
}
NOT_EXPLAINED = {"create_schema"}
SCAN = re.compile(r"(Seq|Index|Index Only|Bitmap Heap) Scan\b.* on ")


@pytest.mark.parametrize("name", sorted(_QUERIES.keys() - READ - MAY_SCAN - NOT_EXPLAINED))
async def test_a_write_scans_no_table(url, name):
    parameters = ", ".join(["NULL"] * max([0, *map(int, re.findall(r"\$(\d+)", _QUERIES[name]))]))
    async with open_postgresql(url, serving=False) as store, store._database.writing() as db:
        await db.script(f"PREPARE query AS {_QUERIES[name]}")
        explained = await db.raw.fetch(f"EXPLAIN EXECUTE query{f'({parameters})' if parameters else ''}")
    plan = [row[0] for row in explained]
    # An index that is read from end to end says no "Index Cond".
    scans = [
        line for line, below in zip(plan, [*plan[1:], ""], strict=True) if SCAN.search(line) and "Cond" not in below
    ]
    assert [scan for scan in scans if " on pg_" not in scan] == [], "\n".join(plan)
