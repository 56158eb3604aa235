"""Every hot query finds its rows by an index, however much history there is."""

import re
from contextlib import closing

import pytest

from heliograph.store.sqlite.connection import _QUERIES, Connection, _many

# Those that have a whole table for their subject and run seldom, and those that take a few rows from its beginning.
MAY_SCAN = {
    "accounts", "awaiting_receipts", "forget_fingerprints", "forget_parked", "free_leases", "live_count",
    "last_sms_number", "parked_count", "waiting_for", "blocking_accounts", "forget_inbound", "ungathered",
    "ungathered_count", "list_sent", "webhook_accounts", "free_event_leases", "old_events", "events_waiting",
    "forget_idempotency",
}  # fmt: skip
TABLES = (
    "account|job|message|sms|live|parked|fingerprint|inbound|inbound_part|last_writer|blocked|ungathered|webhook|event|"
    "late|idempotency|call"
)
WIDTHS = {
    "insert_jobs": 9, "insert_messages": 5, "insert_sms": 11, "insert_live": 15, "leased": 1, "lease": 2,
    "movable": 1, "moved": 6,
    "submitted": 4, "postponed": 6, "part_done": 3, "heard": 2, "part_states": 1, "by_message_id": 3,
    "by_spelling": 4, "end_sms": 6, "end_live": 1, "finish_jobs": 1, "park": 4, "parked": 3, "unpark": 1,
    "blank_messages": 1, "blank_jobs": 1, "delete_messages": 1, "delete_jobs": 1, "blocked_among": 2,
    "blocked_segments": 1, "insert_events": 8, "sms_events": 1, "job_events": 1, "lease_events": 2, "sms_told": 1,
    "jobs_told": 1, "inbound_told": 2, "delete_events": 1, "events_of_sms": 1, "release_jobs": 2, "postpone_events": 5,
    "give_up_events": 5, "insert_late": 5, "submitted_late": 5, "late_by_id": 5, "lease_recalls": 3,
    "settle_recalls": 2, "keep_calls": 3, "list_sent": 3,
    "sms_that_fit": 6, "live_of_sms": 1, "jobs_by_number": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    with closing(Connection(tmp_path_factory.mktemp("plans") / "heliograph.db")) as connection:
        connection.upgrade()
        yield connection


@pytest.mark.parametrize("size", [1, 8, 50])
@pytest.mark.parametrize("name", sorted(set(_QUERIES) - MAY_SCAN))
def test_a_query_scans_no_table(db, name, size):
    sql = _many(name, WIDTHS[name], size) if ":rows" in _QUERIES[name] else _QUERIES[name]
    plan = [row[3] for row in db.raw.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]
    scanned = re.compile(rf"SCAN ({TABLES})\b")
    assert [step for step in plan if scanned.match(step)] == []
    assert [step for step in plan if "AUTOMATIC" in step or "TEMP B-TREE FOR ORDER" in step] == []
