"""What any Store must do. A store's own test subclasses StoreConformance and provides `store`."""

import asyncio
from datetime import datetime, timedelta
from itertools import chain, count, zip_longest

import msgspec
import pytest

from heliograph.jobs.accounts import AccountId, OnUnknown, RateLimit
from heliograph.jobs.carriage import SegmentId
from heliograph.jobs.errors import AccountExists, JobDuplicate, SpendingLimitReached
from heliograph.jobs.inbound import NOBODY, InboundSms
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.records import BlockedNumber
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import PartState, ProcessStatus, SmsProgress, Status
from heliograph.store.interface import (
    MOVE_WAIT,
    PARKED_FOR,
    Added,
    DuePart,
    Ended,
    InboundQuery,
    JobQuery,
    Moved,
    Postponed,
    ReceiptNews,
    Store,
    Submitted,
)
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account, an_arrival, numbers

PHONE = "+4917612345678"
LONG_AGO, LONG_HENCE = after(-1_000_000), after(1_000_000)
RECEIPT_DUE = after(200_000)
ONE_OF_TWO = "the carrier is done with 1 of 2 parts"
OPEN, RUNNING, DONE = ProcessStatus.OPEN, ProcessStatus.RUNNING, ProcessStatus.DONE
_answers = count()


class StoreConformance:
    """All that `store.interface` promises."""

    # Jobs

    async def test_a_job_is_read_back_as_it_was_added(self, store: Store):
        plan = a_plan(src="Helio", billcode="b", customer_ref="ref", validity_min=60, flash=True)
        await store.add_job(plan)
        job = await store.job(AccountId(1), plan.job_id)
        assert job is not None
        assert (job.job_id, job.received_at, job.finished_at, job.sms_count) == (plan.job_id, NOW, None, 1)
        assert job.options == plan.options

    async def test_the_sms_of_a_job_come_in_the_order_of_the_request(self, store: Store):
        sms = [a_planned_sms(dst, customer_ref=f"ref {dst}") for dst in reversed(numbers(150))]
        plan = a_plan(*sms)
        await store.add_job(plan)
        found = await sms_of(store, plan)
        assert [each.index for each in found] == list(range(150))
        assert [(each.dst, each.customer_ref) for each in found] == [(each.dst, each.customer_ref) for each in sms]
        assert {each.progress for each in found} == {SmsProgress(OPEN)}

    async def test_a_job_of_another_account_is_invisible(self, store: Store):
        plan = a_plan(account=1)
        await store.add_job(plan)
        assert await store.job(AccountId(2), plan.job_id) is None
        assert await store.sms_of_job(AccountId(2), plan.job_id) is None
        assert await listed(store, account=2) == []

    @pytest.mark.parametrize(
        "unknown",
        [
            "J.20221116-102407.583-0lajfsfmoXIZJO93PQ",
            "J.20221116-102407.583-0zzzzzzzzXIZJO93PQ",
            "J." + "-" * 30,
        ],
    )
    async def test_an_unknown_job_is_none(self, store: Store, unknown: str):
        await store.add_job(a_plan())
        assert await store.job(AccountId(1), unknown) is None
        assert await store.sms_of_job(AccountId(1), unknown) is None

    async def test_an_sms_to_no_possible_number_is_final_from_the_start(self, store: Store):
        plan = a_plan(a_planned_sms(), a_planned_sms("12", carrier=None))
        await store.add_job(plan)
        first, second = await progress_of(store, plan)
        assert first == SmsProgress(OPEN)
        assert second == SmsProgress(DONE, Status.INVALID_DST, "not a possible number", None, NOW)
        assert await finished_at(store, plan) is None

    async def test_a_job_of_nothing_but_such_sms_is_finished_at_once(self, store: Store):
        plan = a_plan(a_planned_sms("12", carrier=None), a_planned_sms("13", carrier=None))
        await store.add_job(plan)
        assert await finished_at(store, plan) == NOW
        assert await listed(store, open_only=True) == []

    # Listing

    async def test_jobs_are_listed_newest_first(self, store: Store):
        plans = [a_plan(at=after(seconds)) for seconds in (0, 5, 5, 3)]
        for plan in plans:
            await store.add_job(plan)
        assert await listed(store) == [plans[place].job_id for place in (2, 1, 3, 0)]

    async def test_a_list_begins_at_its_offset_and_keeps_to_its_limit(self, store: Store):
        plans = [a_plan(at=after(seconds)) for seconds in range(5)]
        for plan in plans:
            await store.add_job(plan)
        assert await listed(store, offset=1, limit=2) == [plans[3].job_id, plans[2].job_id]
        assert await listed(store, offset=4, limit=2) == [plans[0].job_id]
        assert await listed(store, offset=5) == []
        assert await listed(store, limit=0) == []

    async def test_since_is_inclusive_and_until_exclusive(self, store: Store):
        plans = [a_plan(at=after(seconds)) for seconds in (1, 2, 3)]
        for plan in plans:
            await store.add_job(plan)
        assert await listed(store, since=after(1), until=after(3)) == [plans[1].job_id, plans[0].job_id]

    async def test_bounds_between_two_milliseconds_leave_out_what_is_before(self, store: Store):
        plan = a_plan(at=after(0.010))
        await store.add_job(plan)
        a_bit = timedelta(microseconds=1)
        assert await listed(store, since=after(0.010) + a_bit) == []
        assert await listed(store, until=after(0.010) + a_bit) == [plan.job_id]
        assert await listed(store, since=after(0.010) - a_bit) == [plan.job_id]
        assert await listed(store, until=after(0.010) - a_bit) == []

    async def test_bounds_may_lie_at_the_ends_of_time(self, store: Store):
        plan = a_plan()
        await store.add_job(plan)
        ends = datetime.min.replace(tzinfo=NOW.tzinfo), datetime.max.replace(tzinfo=NOW.tzinfo)
        assert await listed(store, since=ends[0], until=ends[1]) == [plan.job_id]
        assert await listed(store, since=ends[1], until=ends[1]) == []

    async def test_the_open_ones_are_those_with_an_sms_not_final(self, store: Store):
        finished, opened = a_plan(), a_plan(a_planned_sms(), a_planned_sms(), at=after(1))
        await store.add_job(finished)
        await store.add_job(opened)
        first, second, _ = await lease(store, at=1)
        await store.record_outcomes("acme", [ended(first), ended(second)])
        assert await listed(store, open_only=True) == [opened.job_id]
        assert await listed(store) == [opened.job_id, finished.job_id]

    # Duplicates

    async def test_an_equal_request_within_10_minutes_is_refused_with_the_first_ones_id(self, store: Store):
        first = a_plan(fingerprint=b"same")
        await store.add_job(first)
        with pytest.raises(JobDuplicate) as refusal:
            await store.add_job(a_plan(fingerprint=b"same", at=after(599.999)))
        assert refusal.value.job_id == first.job_id
        assert await listed(store) == [first.job_id]
        assert len(await lease(store, at=1000)) == 1

    async def test_an_equal_request_after_10_minutes_is_accepted(self, store: Store):
        first, second = a_plan(fingerprint=b"same"), a_plan(fingerprint=b"same", at=after(600))
        await store.add_job(first)
        await store.add_job(second)
        with pytest.raises(JobDuplicate) as refusal:
            await store.add_job(a_plan(fingerprint=b"same", at=after(900)))
        assert refusal.value.job_id == second.job_id

    async def test_a_refused_request_does_not_prolong_the_10_minutes(self, store: Store):
        await store.add_job(a_plan(fingerprint=b"same"))
        with pytest.raises(JobDuplicate):
            await store.add_job(a_plan(fingerprint=b"same", at=after(500)))
        await store.add_job(a_plan(fingerprint=b"same", at=after(700)))

    async def test_an_equal_request_of_another_account_is_accepted(self, store: Store):
        await store.add_job(a_plan(fingerprint=b"same", account=1))
        await store.add_job(a_plan(fingerprint=b"same", account=2))

    async def test_of_two_equal_requests_at_the_same_moment_one_wins(self, store: Store):
        plans = [a_plan(fingerprint=b"same") for _ in range(5)]
        results = await asyncio.gather(*map(store.add_job, plans), return_exceptions=True)
        (winner,) = [plan.job_id for plan, result in zip(plans, results, strict=True) if isinstance(result, Added)]
        assert [result.job_id for result in results if isinstance(result, JobDuplicate)] == [winner] * 4
        assert await listed(store) == [winner]

    async def test_many_requests_are_told_apart(self, store: Store):
        for number in range(30):
            await store.add_job(a_plan(fingerprint=b"%d" % number, at=after(100 * number)))
        with pytest.raises(JobDuplicate):
            await store.add_job(a_plan(fingerprint=b"29", at=after(2901)))
        await store.add_job(a_plan(fingerprint=b"5", at=after(2901)))

    # Leases

    async def test_a_leased_segment_says_all_that_a_carrier_needs(self, store: Store):
        night = Period(after(3600), after(7200))
        sms = a_planned_sms("+491761", parts=2, expires=after(600), blackouts=(night,))
        plan = a_plan(sms, src="Helio", flash=True, validity_min=10, qos=Qos.EXPRESS, on_unknown=OnUnknown.GIVE_UP)
        await store.add_job(plan)
        parts = await lease(store)
        assert [(each.segment.part, each.segment.parts, each.segment.text) for each in parts] == [
            (1, 2, "Hello"),
            (2, 2, "Hello 2"),
        ]
        first, second = parts
        assert first.segment.id != second.segment.id
        assert first.segment.reference == second.segment.reference < 1 << 16
        for part in parts:
            segment = part.segment
            assert (segment.job_id, segment.src, segment.dst) == (plan.job_id, "Helio", "+491761")
            assert segment.encoding is plan.messages[0].encoding
            assert (segment.flash, segment.express, segment.receipt_wanted) == (True, True, True)
            assert (segment.expires_at, segment.validity_min) == (after(600), 10)
            assert (part.was, part.attempt_count, part.status) == (PartState.WAITING, 0, Status.NONE)
            assert (part.reason, part.heard, part.blackouts) == ("", False, (night,))
            assert part.on_unknown is OnUnknown.GIVE_UP

    async def test_blackout_periods_are_each_sms_own(self, store: Store):
        window = a_planned_sms().window
        night, noon = Period(after(3600), after(7200)), Period(after(7200), after(9000))
        sms = [
            msgspec.structs.replace(a_planned_sms(), window=window, blackouts=blackouts)
            for blackouts in ((night,), (noon,), (), (noon, night))
        ]
        await store.add_job(a_plan(*sms))
        assert [part.blackouts for part in await lease(store)] == [(night,), (noon,), (), (noon, night)]

    async def test_each_sms_carries_the_text_of_its_message(self, store: Store):
        plan = a_plan(a_planned_sms(message=1), a_planned_sms(message=0, parts=3), a_planned_sms(message=1))
        await store.add_job(plan)
        texts = [part.segment.text for part in await lease(store)]
        assert texts == ["Hello", "Hello", "Hello 2", "Hello 3", "Hello"]

    async def test_a_text_that_was_cut_is_sent_as_cut(self, store: Store):
        plan = a_plan(text="Hello")
        message = msgspec.structs.replace(plan.messages[0], text="Hello, and more", truncated=True)
        await store.add_job(msgspec.structs.replace(plan, messages=(message,)))
        (part,) = await lease(store)
        assert part.segment.text == "Hello"

    async def test_what_is_not_due_is_not_leased(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(due=after(60))))
        assert await lease(store, at=59.999) == []
        assert len(await lease(store, at=60)) == 1

    async def test_nothing_is_leased_a_fraction_of_a_millisecond_early(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(due=after(60) + timedelta(microseconds=900))))
        assert await lease(store, at=60.0001) == []
        assert len(await lease(store, at=60.001)) == 1

    async def test_a_leased_segment_is_hidden_until_its_lease_expires(self, store: Store):
        await store.add_job(a_plan())
        (first,) = await lease(store, for_s=60)
        assert await lease(store, at=59.999) == []
        (again,) = await lease(store, at=60)
        assert (again.segment, again.was) == (first.segment, PartState.LEASED)

    async def test_a_lease_takes_no_more_than_its_limit(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(5))))
        assert await lease(store, limit=0) == []
        assert dsts(await lease(store, limit=2)) == numbers(5)[:2]
        assert dsts(await lease(store, limit=99)) == numbers(5)[2:]

    async def test_within_an_account_goes_first_what_fell_due_first(self, store: Store):
        late, early, same = numbers(3)
        await store.add_job(a_plan(a_planned_sms(late, due=after(5)), a_planned_sms(early, due=after(2))))
        await store.add_job(a_plan(a_planned_sms(same, due=after(5)), at=after(1)))
        assert dsts(await lease(store, at=9)) == [early, late, same]

    async def test_express_goes_before_normal_however_late_it_comes(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms() for _ in range(4))))
        await lease(store, limit=1)
        await store.add_job(a_plan(a_planned_sms("+491", due=after(9)), qos=Qos.EXPRESS, at=after(9)))
        assert dsts(await lease(store, limit=2, at=9))[0] == "+491"

    async def test_no_more_normal_ones_are_leased_than_there_may_be(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(5))))
        assert await lease(store, normal_limit=0) == []
        await store.add_job(a_plan(a_planned_sms("+491"), a_planned_sms("+492"), qos=Qos.EXPRESS))
        assert dsts(await lease(store, limit=1, normal_limit=2)) == ["+491"]
        assert dsts(await lease(store, limit=4, normal_limit=2)) == ["+492", *numbers(2)]
        assert dsts(await lease(store, limit=4, normal_limit=9)) == numbers(5)[2:]

    async def test_no_more_normal_ones_are_leased_than_there_may_be_among_many(self, store: Store):
        normal, express = numbers(200)[:100], numbers(200)[100:]
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in normal)))
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in express[:30]), qos=Qos.EXPRESS))
        assert dsts(await lease(store, limit=120, normal_limit=40)) == [*express[:30], *normal[:40]]
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in express[30:]), qos=Qos.EXPRESS))
        assert dsts(await lease(store, limit=100, normal_limit=40)) == [*express[30:], *normal[40:70]]
        assert dsts(await lease(store, limit=100, normal_limit=None)) == normal[70:]

    async def test_many_are_leased_in_turn_by_account(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(120)), account=7))
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(200)[140:]), account=8))
        leased = dsts(await lease(store, limit=110))
        assert sorted(leased) == sorted([*numbers(55), *numbers(200)[140:195]])

    async def test_express_that_is_not_due_holds_nothing_up(self, store: Store):
        await store.add_job(a_plan(a_planned_sms("+491", due=after(60)), qos=Qos.EXPRESS))
        await store.add_job(a_plan(a_planned_sms("+492")))
        assert dsts(await lease(store)) == ["+492"]

    async def test_accounts_take_turns(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms("+491") for _ in range(3000)), account=1))
        await store.add_job(a_plan(*(a_planned_sms("+492") for _ in range(3)), account=2))
        await store.add_job(a_plan(*(a_planned_sms("+493") for _ in range(5)), account=3))
        turns = ["+491", "+492", "+493"] * 3 + ["+491", "+493"] * 2 + ["+491"] * 7
        assert dsts(await lease(store, limit=20)) == turns

    async def test_the_turns_go_on_from_lease_to_lease(self, store: Store):
        for account in (1, 2, 3):
            sms = [a_planned_sms(f"+49{account}") for _ in range(4)]
            await store.add_job(a_plan(*sms, account=account))
        taken = [dsts(await lease(store, limit=2)) for _ in range(6)]
        assert [*chain(*taken)] == ["+491", "+492", "+493"] * 4

    async def test_many_accounts_all_get_their_turn(self, store: Store):
        for account in range(1, 151):
            await store.add_job(a_plan(a_planned_sms(f"+49{account}"), account=account))
        taken = dsts(await lease(store, limit=50)) + dsts(await lease(store)) + dsts(await lease(store))
        assert taken == [f"+49{account}" for account in range(1, 151)]

    async def test_carriers_do_not_see_each_others_segments(self, store: Store):
        await store.add_job(a_plan(a_planned_sms("+491", carrier="acme"), a_planned_sms("+492", carrier="beta")))
        assert dsts(await lease(store, "beta")) == ["+492"]
        assert dsts(await lease(store, "acme")) == ["+491"]
        assert await lease(store, "other") == []

    async def test_carriers_that_are_not_known_are_told_with_how_many_sms_they_have(self, store: Store):
        await store.add_job(
            a_plan(
                *(a_planned_sms("+491", carrier="acme", parts=3) for _ in range(2)),
                a_planned_sms("+492", carrier="beta", due=after(1000)),
                a_planned_sms("+493", carrier="gamma"),
                a_planned_sms("1", carrier=None),
            )
        )
        (part,) = await lease(store, "gamma")
        await store.record_outcomes("gamma", [submitted(part)])
        assert await store.sms_at_other_carriers([]) == {"acme": 2, "beta": 1, "gamma": 1}
        assert await store.sms_at_other_carriers({"acme", "delta"}) == {"beta": 1, "gamma": 1}
        await store.record_receipts("gamma", [delivered("m1")])
        assert await store.sms_at_other_carriers({"acme", "beta"}) == {}

    # Moves

    async def test_a_leased_segment_says_where_its_sms_may_move(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(others=("beta", "gamma")), a_planned_sms()))
        assert [part.others for part in await lease(store)] == [("beta", "gamma"), ()]

    async def test_an_sms_that_moves_goes_with_all_its_parts_and_nothing_else(self, store: Store):
        plan = a_plan(
            a_planned_sms("+491", parts=3, others=("beta", "gamma")), a_planned_sms("+492", message=1, others=("beta",))
        )
        await store.add_job(plan)
        (first,) = await lease(store, limit=1)
        await store.record_outcomes("acme", [moved(first, others=("gamma",), at=7)])
        assert dsts(await lease(store, at=7)) == ["+492"]
        assert await lease(store, "beta", at=6.999) == []
        parts = await lease(store, "beta", at=7)
        assert [part.segment.part for part in parts] == [1, 2, 3]
        assert parts[0].segment == first.segment
        assert {(part.was, part.attempt_count, part.status, part.reason, part.others) for part in parts} == {
            (PartState.WAITING, 0, Status.CON_ERR, "acme: down; then beta", ("gamma",))
        }
        progress = (await progress_of(store, plan))[0]
        assert (progress.process_status, progress.status, progress.reason) == (
            OPEN,
            Status.CON_ERR,
            "acme: down; then beta",
        )

    async def test_all_leased_parts_of_an_sms_may_move_together(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(parts=2, others=("beta",))))
        first, second = await lease(store)
        await store.record_outcomes("acme", [moved(first), moved(second, at=9)])
        assert len(await lease(store, "beta", at=1)) == 2
        assert await lease(store, at=100) == []

    async def test_an_sms_with_a_part_that_is_submitted_stays(self, store: Store):
        plan = a_plan(a_planned_sms(parts=2, others=("beta",)))
        await store.add_job(plan)
        first, second = await lease(store)
        await store.record_outcomes("acme", [moved(second), submitted(first)])
        assert await lease(store, "beta", at=1000) == []
        (again,) = await lease(store, at=20)
        assert (again.segment, again.attempt_count, again.reason) == (second.segment, 3, "down")

    async def test_what_cannot_move_ends_if_that_is_what_it_would(self, store: Store):
        plan = a_plan(a_planned_sms(parts=2, others=("beta",)))
        await store.add_job(plan)
        first, second = await lease(store)
        await store.record_outcomes("acme", [submitted(first), moved(second, otherwise=ended(second))])
        assert [each.status for each in await progress_of(store, plan)] == [Status.NOT_ACC_FIN]

    async def test_a_part_that_would_end_waits_for_the_others_before_it_moves(self, store: Store):
        plan = a_plan(a_planned_sms(parts=2, others=("beta",)))
        await store.add_job(plan)
        first, second = await lease(store)
        await store.record_outcomes("acme", [moved(first, otherwise=ended(first))])
        assert await lease(store, "beta", at=1) == []
        assert await lease(store, at=MOVE_WAIT.total_seconds() - 0.001) == []
        await store.record_outcomes("acme", [moved(second, otherwise=ended(second))])
        assert len(await lease(store, "beta", at=1)) == 2

    async def test_an_sms_that_may_have_been_sent_stays(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms(parts=2, others=("beta",)) for _ in range(2))))
        unanswered, other, leased, _ = await lease(store, for_s=60)
        silence = Postponed(unanswered.segment.id, after(5), 1, Status.SEND_ERR, "no answer")
        await store.record_outcomes("acme", [silence, moved(other)])
        assert await lease(store, "beta", at=1000) == []
        again = await lease(store, at=60)
        assert {part.segment.id: part.others for part in again} == {
            unanswered.segment.id: (),
            other.segment.id: ("beta",),
            leased.segment.id: (),
            leased.segment.id + 1: (),
        }
        await store.record_outcomes("acme", [moved(part) for part in again])
        assert await lease(store, "beta", at=1000) == []

    async def test_a_move_that_comes_too_late_changes_nothing(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(others=("beta", "gamma"))))
        (part,) = await lease(store)
        await store.record_outcomes("acme", [moved(part, others=("gamma",))])
        assert len(await lease(store, "beta")) == 1
        await store.record_outcomes("acme", [moved(part, "gamma"), postponed(part, until=1)])
        assert await lease(store, "gamma", at=10) == []
        assert await lease(store, "beta", at=10) == []
        await store.record_outcomes("beta", [submitted(part)])
        await store.record_outcomes("beta", [moved(part, "gamma")])
        assert await store.awaiting_receipts("beta") == ["m1"]

    async def test_receipts_for_an_sms_that_moved_come_from_where_it_went(self, store: Store):
        plan = a_plan(a_planned_sms(others=("beta",)))
        await store.add_job(plan)
        (part,) = await lease(store)
        await store.record_outcomes("acme", [moved(part)])
        await lease(store, "beta")
        await store.record_outcomes("beta", [submitted(part)])
        await store.record_receipts("acme", [failed("m1")])
        await store.record_receipts("beta", [delivered("m1")])
        assert [each.status for each in await progress_of(store, plan)] == [Status.SUC_FIN]

    async def test_a_move_wakes_whoever_waits_for_work(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(others=("beta",))))
        (part,) = await lease(store)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(store.work_arrived("beta", 600))
            tasks.create_task(store.record_outcomes("acme", [moved(part)]))

    # Outcomes

    async def test_a_segment_taken_with_a_receipt_to_come_makes_its_sms_running(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, at=1)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(1))]
        assert await finished_at(store, plan) is None
        assert await lease(store, at=1000) == []

    async def test_a_segment_taken_with_no_receipt_to_come_ends_its_sms(self, store: Store):
        plan, part = await a_leased_sms(store, receipts=False)
        await store.record_outcomes("acme", [submitted(part, at=1, receipt_due_at=None)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_ACC, "", after(1), after(1))]
        assert await finished_at(store, plan) == after(1)
        assert await lease(store, at=1000) == []

    async def test_a_postponed_segment_is_due_again_at_its_instant(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=30, attempts=2)])
        assert await progress_of(store, plan) == [SmsProgress(OPEN, Status.CON_ERR, "no way")]
        assert await lease(store, at=29.999) == []
        (again,) = await lease(store, at=30)
        assert (again.was, again.attempt_count) == (PartState.WAITING, 2)
        assert (again.status, again.reason) == (Status.CON_ERR, "no way")

    async def test_a_last_error_is_told_while_it_is_tried_again_and_forgotten_when_it_is_taken(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=30)])
        (again,) = await lease(store, at=30)
        assert await progress_of(store, plan) == [SmsProgress(OPEN, Status.CON_ERR, "no way")]
        await store.record_outcomes("acme", [submitted(again, at=31)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(31))]

    async def test_a_lease_that_runs_out_after_a_try_keeps_what_is_known(self, store: Store):
        _, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=30, attempts=2)])
        await lease(store, at=30, for_s=10)
        (again,) = await lease(store, at=40)
        assert (again.was, again.attempt_count, again.status) == (PartState.LEASED, 2, Status.CON_ERR)

    async def test_an_ended_segment_ends_its_sms(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [ended(part, Status.NOT_ACC_FIN, "refused", at=3)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", None, after(3))]
        assert await finished_at(store, plan) == after(3)
        assert await lease(store, at=1000) == []

    async def test_many_outcomes_at_once_are_all_recorded(self, store: Store):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(333)))
        await store.add_job(plan)
        parts = await lease(store, limit=333)
        outcomes = [
            (submitted(part, f"m{place}"), postponed(part, until=50), ended(part))[place % 3]
            for place, part in enumerate(parts)
        ]
        await store.record_outcomes("acme", outcomes)
        states = [progress.process_status for progress in await progress_of(store, plan)]
        assert states == [RUNNING, OPEN, DONE] * 111
        await store.record_receipts("acme", [delivered(f"m{place}") for place in range(0, 333, 3)])
        states = [progress.process_status for progress in await progress_of(store, plan)]
        assert states == [DONE, OPEN, DONE] * 111

    @pytest.mark.parametrize("first_at", [0, 20, 33, 60])
    async def test_a_part_taken_says_no_to_a_move_however_many_outcomes_are_between(self, store: Store, first_at: int):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(60)), a_planned_sms(message=1, parts=2, others=("beta",)))
        await store.add_job(plan)
        *parts, first, second = await lease(store, limit=62)
        outcomes = [submitted(part, f"m{place}") for place, part in enumerate(parts)]
        outcomes.insert(first_at, moved(first, otherwise=ended(first)))
        outcomes.append(submitted(second, at=3))
        await store.record_outcomes("acme", outcomes)
        *others, told = await progress_of(store, plan)
        assert told == SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", after(3), NOW)
        assert {each.process_status for each in others} == {RUNNING}

    @pytest.mark.parametrize("first_at", [0, 20, 33, 60])
    async def test_an_end_knows_of_all_parts_taken_however_many_outcomes_are_between(self, store: Store, first_at: int):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(60)), a_planned_sms(message=1, parts=2))
        await store.add_job(plan)
        *parts, first, second = await lease(store, limit=62)
        outcomes = [submitted(part, f"m{place}") for place, part in enumerate(parts)]
        outcomes.insert(first_at, ended(first, at=4))
        outcomes.append(submitted(second, at=3))
        await store.record_outcomes("acme", outcomes)
        told = (await progress_of(store, plan))[-1]
        assert told == SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", after(3), after(4))

    async def test_all_parts_move_together_however_many_outcomes_are_between(self, store: Store):
        plan = a_plan(
            *(a_planned_sms(dst) for dst in numbers(60)), a_planned_sms(message=1, parts=20, others=("beta",))
        )
        await store.add_job(plan)
        parts = await lease(store, limit=80)
        one_by_one = chain.from_iterable(zip_longest(parts[60:], parts[:60]))
        outcomes = [
            moved(part) if part.segment.parts > 1 else submitted(part, f"m{place}")
            for place, part in enumerate(filter(None, one_by_one))
        ]
        await store.record_outcomes("acme", outcomes)
        assert [part.segment.part for part in await lease(store, "beta")] == list(range(1, 21))
        assert await lease(store, at=100) == []

    async def test_outcomes_of_segments_long_gone_change_nothing(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [ended(part, Status.NOT_ACC_FIN, "refused", at=3)])
        late = [ended(part, Status.TIMEOUT, at=5), submitted(part, at=5), postponed(part, until=6)]
        for outcome in late:
            await store.record_outcomes("acme", [outcome])
        unknown = SegmentId(part.segment.id + 3200)
        await store.record_outcomes("acme", [Ended(unknown, Status.TIMEOUT, "", after(5))])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", None, after(3))]
        assert await lease(store, at=1000) == []

    @pytest.mark.parametrize("at_once", [False, True])
    async def test_a_refusal_of_a_later_try_does_not_end_what_the_carrier_took_at_an_earlier_one(
        self, store: Store, at_once
    ):
        plan, part = await a_leased_sms(store)
        for batch in (
            [[submitted(part, at=1), ended(part, at=2)]]
            if at_once
            else [
                [submitted(part, at=1)],
                [ended(part, at=2)],
            ]
        ):
            await store.record_outcomes("acme", batch)
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(1))]
        await store.record_receipts("acme", [delivered("m1", at=3)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(1), after(3))]

    async def test_a_refusal_of_a_later_try_does_not_end_a_long_sms_whose_part_was_taken(self, store: Store):
        plan, first, second, third = await a_leased_sms(store, parts=3)
        taken = [submitted(first, receipt_due_at=None, at=1), submitted(second, "m2", at=1)]
        await store.record_outcomes("acme", taken)
        await store.record_outcomes("acme", [ended(first, reason="no", at=2), ended(second, reason="no", at=2)])
        assert (await progress_of(store, plan))[0].finished_at is None
        await store.record_outcomes("acme", [ended(second, reason="no", at=3), ended(third, reason="refused", at=3)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", after(1), after(3))]

    async def test_a_segment_that_the_carrier_took_is_not_postponed_by_a_later_word(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, at=1)])
        await store.record_outcomes("acme", [postponed(part, until=5)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(1))]

    async def test_a_segment_that_the_carrier_took_after_all_is_not_sent_again(self, store: Store):
        plan, part = await a_leased_sms(store, for_s=10)
        (again,) = await lease(store, at=10)
        await store.record_outcomes("acme", [postponed(again, until=50)])
        await store.record_outcomes("acme", [submitted(part, at=12)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(12))]
        assert await lease(store, at=1000) == []

    async def test_no_outcomes_and_no_receipts_are_no_trouble(self, store: Store):
        await store.record_outcomes("acme", [])
        await store.record_receipts("acme", [])

    # SMS in several parts

    async def test_an_sms_is_running_once_every_part_is_handed_over(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        for second, part in enumerate(parts[:2], 1):
            await store.record_outcomes("acme", [submitted(part, f"m{second}", at=second)])
            assert await progress_of(store, plan) == [SmsProgress(OPEN)]
        await store.record_outcomes("acme", [submitted(parts[2], "m3", at=3)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(3))]

    async def test_an_sms_is_delivered_when_all_its_parts_are(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(part, f"m{at}", at=at) for at, part in enumerate(parts)])
        await store.record_receipts("acme", [delivered("m2", at=4)])
        await store.record_receipts("acme", [delivered("m0", at=5)])
        through = "the carrier is done with 2 of 3 parts"
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, through, after(2))]
        await store.record_receipts("acme", [heard("m1", "on its way")])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "on its way", after(2))]
        await store.record_receipts("acme", [delivered("m1", at=6)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(2), after(6))]
        assert await finished_at(store, plan) == after(6)

    async def test_an_sms_has_failed_when_one_part_has(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(part, f"m{at}", at=at) for at, part in enumerate(parts)])
        await store.record_receipts("acme", [delivered("m2", at=4), failed("m0", at=5), delivered("m1", at=6)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.FAILED_FIN, "no", after(2), after(5))]

    async def test_a_part_that_ends_ends_the_others_with_it(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(parts[0], at=1), ended(parts[1], at=2)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.NOT_ACC_FIN, "refused", after(1), after(2))]
        assert await lease(store, at=1000) == []
        assert await store.awaiting_receipts("acme") == []

    async def test_of_two_parts_that_end_at_once_the_first_says_why(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2)
        first, second = parts
        await store.record_outcomes(
            "acme",
            [ended(first, Status.NOT_ACC_FIN, "one", at=2), ended(second, Status.INVALID_DST, "two", at=3)],
        )
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.NOT_ACC_FIN, "one", None, after(2))]

    async def test_an_sms_is_accepted_when_all_its_parts_are(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3, receipts=False)
        first, second, third = parts
        await store.record_outcomes("acme", [submitted(second, at=1, receipt_due_at=None)])
        assert await progress_of(store, plan) == [SmsProgress(OPEN)]
        await store.record_outcomes("acme", [submitted(each, at=2, receipt_due_at=None) for each in (first, third)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_ACC, "", after(2), after(2))]

    async def test_a_part_that_is_through_is_not_leased_again(self, store: Store):
        _, *parts = await a_leased_sms(store, parts=2, receipts=False, for_s=60)
        await store.record_outcomes("acme", [submitted(parts[0], receipt_due_at=None)])
        again = await lease(store, at=60)
        assert [part.segment.part for part in again] == [2]

    async def test_the_error_of_the_first_part_is_told(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes(
            "acme",
            [
                submitted(parts[0], at=1),
                Postponed(parts[2].segment.id, after(9), 1, Status.CON_ERR, "third"),
                Postponed(parts[1].segment.id, after(9), 1, Status.NOT_ACC_REC, "second"),
            ],
        )
        assert await progress_of(store, plan) == [SmsProgress(OPEN, Status.NOT_ACC_REC, "second")]

    # Receipts

    async def test_a_receipt_of_delivery_ends_its_sms(self, store: Store):
        plan = await a_submitted_sms(store)
        await store.record_receipts("acme", [delivered("m1", at=5)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", NOW, after(5))]
        assert await finished_at(store, plan) == after(5)

    @pytest.mark.parametrize("status", [Status.FAILED_FIN, Status.TIMEOUT])
    async def test_a_receipt_of_failure_ends_its_sms(self, store: Store, status: Status):
        plan = await a_submitted_sms(store)
        await store.record_receipts("acme", [ReceiptNews("m1", status, "no", after(5))])
        assert await progress_of(store, plan) == [SmsProgress(DONE, status, "no", NOW, after(5))]

    async def test_a_receipt_that_is_not_final_shows_in_the_reason_alone(self, store: Store):
        plan = await a_submitted_sms(store)
        await store.record_receipts("acme", [heard("m1", "on its way"), heard("m1", "nearly there")])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "nearly there", NOW)]
        await store.record_receipts("acme", [delivered("m1", at=5)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", NOW, after(5))]

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_the_first_final_word_holds(self, store: Store, at_once: bool):
        plan = await a_submitted_sms(store)
        words = [delivered("m1", at=5), failed("m1", at=6), delivered("m1", at=7), heard("m1", "hm", at=8)]
        for batch in [words] if at_once else [[word] for word in words]:
            await store.record_receipts("acme", batch)
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", NOW, after(5))]

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_the_first_final_word_holds_for_each_part(self, store: Store, at_once: bool):
        plan, *parts = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts, 1)])
        words = [delivered("m1", at=5), failed("m1", at=6), heard("m1", "hm", at=8)]
        for batch in [words] if at_once else [[word] for word in words]:
            await store.record_receipts("acme", batch)
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, ONE_OF_TWO, NOW)]
        await store.record_receipts("acme", [delivered("m2", at=9)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", NOW, after(9))]

    async def test_a_receipt_that_spells_its_id_otherwise_is_matched_by_its_phone(self, store: Store):
        plan = await a_submitted_sms(store)
        await store.record_receipts("acme", [delivered("M1", spellings=("x", "m1"), phones=("", "4917612345678"))])
        assert (await progress_of(store, plan))[0].status is Status.SUC_FIN

    async def test_another_spelling_from_another_phone_is_not_believed(self, store: Store):
        plan = await a_submitted_sms(store)
        await store.record_receipts("acme", [delivered("M1", spellings=("m1",), phones=("4917600000000", ""))])
        await store.record_receipts("acme", [delivered("", spellings=("m1",), phones=())])
        assert (await progress_of(store, plan))[0].status is Status.NONE
        await store.record_receipts("acme", [delivered("m1", spellings=("M1",), phones=("4917600000000",))])
        assert (await progress_of(store, plan))[0].status is Status.SUC_FIN, "the id itself is"

    async def test_of_two_spellings_the_one_of_the_phone_is_meant(self, store: Store):
        plan = a_plan(a_planned_sms("+4917600000010"), a_planned_sms("+4917600000016"))
        await store.add_job(plan)
        first, second = await lease(store)
        await store.record_outcomes("acme", [submitted(first, "10"), submitted(second, "16")])
        await store.record_receipts("acme", [delivered("10", spellings=("16",), phones=("4917600000016",))])
        assert (await progress_of(store, plan))[0].finished_at is None
        assert [sms.status for sms in await progress_of(store, plan)] == [Status.NONE, Status.SUC_FIN]

    async def test_a_receipt_that_overtakes_and_spells_its_id_otherwise_is_matched(self, store: Store):
        plan, part = await a_leased_sms(store)
        news = [delivered("M1", spellings=("x1", "m1"), phones=("4917612345678",), at=1)]
        await store.record_receipts("acme", news)
        await store.record_outcomes("acme", [submitted(part, at=2)])
        assert (await progress_of(store, plan))[0].status is Status.SUC_FIN

    async def test_a_carrier_s_last_word_that_it_accepted_ends_an_sms_once_all_parts_have_it(self, store: Store):
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1"), submitted(second, "m2")])
        accepted = [ReceiptNews(message_id, Status.SUC_ACC, "accepted", after(5)) for message_id in ("m1", "m2")]
        await store.record_receipts("acme", accepted[:1])
        assert (await progress_of(store, plan))[0].finished_at is None
        await store.record_receipts("acme", accepted[1:])
        assert (await progress_of(store, plan))[0].status is Status.SUC_ACC

    async def test_a_late_answer_keeps_a_postponed_segment_from_going_again(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=10)])
        await store.record_outcomes("acme", [submitted(part, at=5)])
        assert await lease(store, at=20) == []
        assert (await progress_of(store, plan))[0].process_status is ProcessStatus.RUNNING

    async def test_a_receipt_that_overtakes_its_submit_response_is_matched(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [delivered("m1", at=1)])
        assert await progress_of(store, plan) == [SmsProgress(OPEN)]
        await store.record_outcomes("acme", [submitted(part, "m1", at=2)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(2), after(1))]

    async def test_several_receipts_that_overtake_count_in_the_order_in_which_they_came(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [heard("m1", "on its way")])
        await store.record_receipts("acme", [delivered("m1", at=1), failed("m1", at=1)])
        await store.record_outcomes("acme", [submitted(part, "m1", at=2)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(2), after(1))]

    async def test_receipts_that_overtake_end_an_sms_in_several_parts(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=70 % 20)
        await store.record_receipts("acme", [delivered(f"m{place}", at=1) for place in range(10)])
        await store.record_outcomes("acme", [submitted(each, f"m{at}", at=at) for at, each in enumerate(parts)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(9), after(1))]

    async def test_a_receipt_that_waited_too_long_is_for_somebody_else(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [failed("m1", at=0)])
        late = PARKED_FOR.total_seconds()
        await store.record_outcomes("acme", [submitted(part, "m1", at=late)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", after(late))]

    async def test_a_receipt_that_overtakes_waits_through_many_others(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [delivered("m1", at=3000)])
        for each in range(20):
            await store.record_receipts("acme", [delivered(f"x{each}.{other}", at=each * 300) for other in range(20)])
        await store.record_outcomes("acme", [submitted(part, "m1", at=6000)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", after(6000), after(3000))]

    async def test_a_receipt_of_another_carrier_is_not_matched(self, store: Store):
        plan = await a_submitted_sms(store)
        await store.record_receipts("beta", [delivered("m1")])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", NOW)]

    async def test_two_carriers_may_use_the_same_message_ids(self, store: Store):
        plan = a_plan(a_planned_sms(carrier="acme"), a_planned_sms(carrier="beta"))
        await store.add_job(plan)
        await store.record_receipts("beta", [failed("m1", at=1)])
        for carrier in ("acme", "beta"):
            (part,) = await lease(store, carrier)
            await store.record_outcomes(carrier, [submitted(part, "m1")])
        await store.record_receipts("acme", [delivered("m1", at=2)])
        assert [each.status for each in await progress_of(store, plan)] == [Status.SUC_FIN, Status.FAILED_FIN]

    async def test_a_carrier_without_message_ids_gets_no_receipts_matched(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [delivered("")])
        await store.record_outcomes("acme", [submitted(part, "")])
        await store.record_receipts("acme", [delivered("")])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", NOW)]
        assert await store.awaiting_receipts("acme") == []
        (overdue,) = await lease(store, at=200_000)
        assert (overdue.was, overdue.message_id) == (PartState.SUBMITTED, "")

    async def test_parts_to_which_a_carrier_gave_one_id_take_one_receipt_each(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(part, "m1") for part in parts])
        await store.record_receipts("acme", [delivered("m1", at=5)])
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, ONE_OF_TWO, NOW)]
        await store.record_receipts("acme", [delivered("m1", at=6)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.SUC_FIN, "yes", NOW, after(6))]

    async def test_parts_to_which_a_carrier_gave_one_id_take_receipts_that_come_together(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(part) for part in parts])
        await store.record_receipts("acme", [heard("m1"), delivered("m1", at=5), delivered("m1", at=5)])
        assert (await progress_of(store, plan))[0].finished_at is None
        spelt = delivered("m1", at=6, spellings=("M1",), phones=("4917612345678",))
        await store.record_receipts("acme", [spelt, spelt])
        assert (await progress_of(store, plan))[0].status is Status.SUC_FIN

    async def test_the_message_ids_of_awaited_receipts_are_told(self, store: Store):
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(4)), a_planned_sms(carrier="beta")))
        parts = await lease(store)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts[:3])])
        await store.record_receipts("acme", [delivered("m1"), heard("m2")])
        assert sorted(await store.awaiting_receipts("acme")) == ["m0", "m2"]
        assert await store.awaiting_receipts("beta") == []
        assert await store.abandoned_receipts("acme") == [], "whoever they were promised to is here"

    async def test_an_overdue_receipt_falls_due(self, store: Store):
        plan = await a_submitted_sms(store)
        assert await lease(store, at=199_999) == []
        (part,) = await lease(store, at=200_000, for_s=60)
        assert (part.was, part.heard, part.message_id) == (PartState.SUBMITTED, False, "m1")
        assert await progress_of(store, plan) == [SmsProgress(RUNNING, Status.NONE, "", NOW)]
        await store.record_outcomes("acme", [ended(part, Status.TIMEOUT, at=200_000, is_overdue=True)])
        assert await progress_of(store, plan) == [SmsProgress(DONE, Status.TIMEOUT, "refused", NOW, after(200_000))]

    async def test_an_overdue_receipt_whose_lease_runs_out_is_overdue_still(self, store: Store):
        await a_submitted_sms(store)
        await lease(store, at=200_000, for_s=60)
        (part,) = await lease(store, at=200_060)
        assert part.was is PartState.SUBMITTED

    async def test_an_overdue_part_says_whether_receipts_were_heard(self, store: Store):
        await a_submitted_sms(store)
        await store.record_receipts("acme", [heard("m1", "on its way")])
        (part,) = await lease(store, at=200_000)
        assert (part.was, part.heard, part.reason) == (PartState.SUBMITTED, True, "on its way")

    async def test_a_receipt_that_comes_at_the_last_moment_counts(self, store: Store):
        plan = await a_submitted_sms(store)
        (part,) = await lease(store, at=200_000)
        await store.record_receipts("acme", [delivered("m1", at=200_001)])
        await store.record_outcomes("acme", [ended(part, Status.TIMEOUT, at=200_002, is_overdue=True)])
        assert (await progress_of(store, plan))[0].status is Status.SUC_FIN

    async def test_a_job_is_finished_when_its_last_sms_is(self, store: Store):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(3)), a_planned_sms("1", carrier=None))
        await store.add_job(plan)
        first, second, third = await lease(store)
        await store.record_outcomes("acme", [ended(second, at=20), submitted(first), submitted(third, "m3")])
        await store.record_receipts("acme", [delivered("m1", at=9)])
        assert await finished_at(store, plan) is None
        await store.record_receipts("acme", [delivered("m3", at=12)])
        assert await finished_at(store, plan) == after(20)

    # Accounts

    async def test_an_account_is_read_back_as_it_was_put(self, store: Store):
        account = an_account(
            "zeta",
            timezone="Europe/Berlin",
            country="DE",
            lenient=True,
            on_unknown=OnUnknown.GIVE_UP,
            rate_limit=None,
            defaults=JobOptions(src="Z", blackout_periods=(Period(after(0), after(3600)),)),
        )
        kept = await store.put_account(account)
        assert kept.id > 0
        assert kept == msgspec.structs.replace(account, id=kept.id)
        assert await store.account("zeta") == kept

    async def test_accounts_are_listed_by_name(self, store: Store):
        zeta, acme = await store.put_account(an_account("zeta")), await store.put_account(an_account("acme"))
        assert zeta.id != acme.id
        assert await store.accounts() == [acme, zeta]

    async def test_an_unknown_account_is_none(self, store: Store):
        assert await store.account("nobody") is None

    async def test_an_account_is_changed(self, store: Store):
        kept = await store.put_account(an_account("acme"))
        changed = msgspec.structs.replace(kept, disabled=True, rate_limit=RateLimit(5, 1), name="acme2")
        assert await store.put_account(changed) == changed
        assert await store.accounts() == [changed]
        assert await store.account("acme") is None

    async def test_a_name_is_given_once(self, store: Store):
        kept = await store.put_account(an_account("acme"))
        other = await store.put_account(an_account("beta"))
        with pytest.raises(AccountExists, match="acme"):
            await store.put_account(an_account("acme", country="DE"))
        with pytest.raises(AccountExists, match="acme"):
            await store.put_account(msgspec.structs.replace(other, name="acme"))
        assert await store.accounts() == [kept, other]

    # The rate limit

    async def test_calls_are_counted_down_to_the_limit(self, store: Store):
        quotas = [await store.take_call(AccountId(1), RateLimit(3, 60), after(each)) for each in range(4)]
        assert [quota.allowed for quota in quotas] == [True, True, True, False]
        assert [quota.remaining for quota in quotas] == [2, 1, 0, 0]
        assert [quota.reset_s for quota in quotas] == [60, 59, 58, 57]

    async def test_a_call_makes_room_when_its_period_is_over(self, store: Store):
        limit = RateLimit(2, 60)
        asked = [0, 30, 59.9, 60, 61, 90, 119.9, 120]
        allowed = [(await store.take_call(AccountId(1), limit, after(each))).allowed for each in asked]
        assert allowed == [True, True, False, True, False, True, False, True]

    async def test_in_no_period_are_there_more_calls_than_the_limit(self, store: Store):
        limit = RateLimit(7, 10)
        taken = [
            tenth for tenth in range(600) if (await store.take_call(AccountId(1), limit, after(tenth / 10))).allowed
        ]
        assert all(later - earlier >= 100 for earlier, later in zip(taken, taken[7:], strict=False))
        assert len(taken) == 42

    async def test_accounts_have_their_own_limits(self, store: Store):
        for account in (1, 2):
            assert (await store.take_call(AccountId(account), RateLimit(1, 60), NOW)).allowed

    async def test_a_limit_that_is_lowered_holds_at_once(self, store: Store):
        for second in range(3):
            await store.take_call(AccountId(1), RateLimit(10, 60), after(second))
        quota = await store.take_call(AccountId(1), RateLimit(2, 60), after(10))
        assert (quota.allowed, quota.remaining, quota.reset_s) == (False, 0, 51)

    @pytest.mark.parametrize("back_s", [1, 61, 3600])
    async def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_period(self, store: Store, back_s):
        limit = RateLimit(3, 60)
        asked = [0, 0, 0, *(each - back_s for each in (0, 1, 59, 60, 60, 60, 60.5))]
        quotas = [await store.take_call(AccountId(1), limit, after(each)) for each in asked]
        assert [quota.allowed for quota in quotas] == [True] * 3 + [False] * 3 + [True] * 3 + [False]
        assert [quota.reset_s for quota in quotas] == [60, 60, 60, 60, 59, 1, 60, 60, 60, 59.5]

    # What agents may spend

    async def test_parts_are_counted_over_an_hour_that_slides(self, store: Store):
        asked = [(0, 3), (1800, 2), (1801, 1), (3599, 1), (3600, 3), (3601, 1), (5400, 2), (5401, 1)]
        sent = [await spent(store, parts, at=at) for at, parts in asked]
        assert sent == [True, True, False, False, True, False, True, False]

    async def test_each_part_of_each_sms_counts_and_what_is_not_to_be_sent_does_not(self, store: Store):
        impossible = a_planned_sms(carrier=None, parts=20)
        await store.add_job(a_plan(a_planned_sms(parts=3), a_planned_sms(), impossible, sms_per_hour=5))
        assert not await spent(store, 2)
        assert await spent(store, 1)

    async def test_jobs_without_a_spending_limit_spend_nothing(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(parts=20)))
        assert await spent(store, 5)

    async def test_a_job_over_the_spending_limit_leaves_nothing_behind(self, store: Store):
        await spent(store, 3)
        plan = a_plan(a_planned_sms(parts=3), fingerprint=b"f", sms_per_hour=5)
        for _ in range(2):  # The second is no duplicate of the first.
            with pytest.raises(SpendingLimitReached, match="of which 2 are left; nothing was sent"):
                await store.add_job(plan)
        assert await store.job(AccountId(1), plan.job_id) is None
        assert await spent(store, 2)

    async def test_a_duplicate_spends_nothing_and_is_told_as_one_though_the_limit_is_reached(self, store: Store):
        await store.add_job(a_plan(a_planned_sms(parts=5), fingerprint=b"f", sms_per_hour=5))
        with pytest.raises(JobDuplicate):
            await store.add_job(a_plan(a_planned_sms(parts=5), fingerprint=b"f", sms_per_hour=5))
        assert await spent(store, 5, at=3600)

    async def test_of_jobs_at_the_same_moment_no_more_fit_in_than_the_spending_limit(self, store: Store):
        results = await asyncio.gather(*(spent(store, 1) for _ in range(20)))
        assert results.count(True) == 5

    async def test_accounts_have_their_own_spending_limits(self, store: Store):
        assert [await spent(store, 5, account=account) for account in (1, 2, 1)] == [True, True, False]

    async def test_a_spending_limit_that_is_lowered_holds_at_once(self, store: Store):
        assert await spent(store, 4)
        assert not await spent(store, 1, limit=3)

    # Retention

    async def test_old_finished_jobs_are_forgotten_and_leave_nothing(self, store: Store):
        old, young = await a_finished_job(store), await a_finished_job(store, at=100)
        assert await store.forget_jobs(after(100), 10) == 1
        assert await store.job(AccountId(1), old.job_id) is None
        assert await store.sms_of_job(AccountId(1), old.job_id) is None
        assert await listed(store) == [young.job_id]
        assert len(await sms_of(store, young)) == 2
        assert await store.forget_jobs(after(100), 10) == 0

    async def test_no_more_jobs_are_forgotten_at_once_than_asked_for(self, store: Store):
        for second in range(5):
            await a_finished_job(store, at=second)
        assert await store.forget_jobs(after(100), 3) == 3
        assert len(await listed(store)) == 2

    async def test_a_job_with_an_sms_not_final_is_never_forgotten(self, store: Store):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(3)))
        await store.add_job(plan)
        parts = await lease(store, for_s=60)
        await store.record_outcomes("acme", [ended(parts[0]), submitted(parts[1])])
        await store.record_receipts("acme", [delivered("early", at=40)])
        before = await sms_of(store, plan)
        assert await store.forget_jobs(after(10**8), 10) == 0
        assert await sms_of(store, plan) == before
        assert len(await lease(store, at=60)) == 1
        await store.record_outcomes("acme", [submitted(parts[2], "early", at=61)])
        await store.record_receipts("acme", [delivered("m1", at=70)])
        assert await finished_at(store, plan) == after(70)
        assert await store.forget_jobs(after(10**8), 10) == 1

    async def test_new_jobs_come_well_after_old_ones_are_forgotten(self, store: Store):
        await a_finished_job(store)
        await store.forget_jobs(after(10), 10)
        plan = await a_finished_job(store, at=20)
        assert len(await sms_of(store, plan)) == 2

    async def test_blanking_the_texts_of_old_jobs_leaves_their_reports(self, store: Store):
        plan, young = await a_finished_job(store), await a_finished_job(store, at=100)
        job, sms = await store.job(AccountId(1), plan.job_id), await sms_of(store, plan)
        assert await store.blank_texts(after(100), 10) == 1
        assert await store.job(AccountId(1), plan.job_id) == job
        assert await sms_of(store, plan) == sms
        assert await store.blank_texts(after(100), 10) == 0
        assert await store.blank_texts(after(1000), 10) == 1
        assert await listed(store) == [young.job_id, plan.job_id]

    async def test_texts_of_jobs_that_are_open_are_kept_until_they_are_finished(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2, for_s=60)
        await a_finished_job(store, at=1)
        assert await store.blank_texts(after(1000), 10) == 1
        again = await lease(store, at=60)
        assert [part.segment.text for part in again] == ["Hello", "Hello 2"]
        await store.record_outcomes("acme", [ended(parts[0])])
        assert await store.blank_texts(after(1000), 10) == 1
        assert await finished_at(store, plan) is not None

    async def test_no_more_texts_are_blanked_at_once_than_asked_for(self, store: Store):
        for second in range(5):
            await a_finished_job(store, at=second)
        assert [await store.blank_texts(after(1000), 2) for _ in range(4)] == [2, 2, 1, 0]

    # The rest

    async def test_counts_tell_how_many_sms_are_open_and_running(self, store: Store):
        assert (await store.counts(NOW)).by_process_status == {OPEN: 0, RUNNING: 0}
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(4)), a_planned_sms("1", carrier=None)))
        await store.add_job(a_plan(a_planned_sms(parts=3), a_planned_sms(parts=3), a_planned_sms(parts=3)))
        parts = await lease(store)
        assert (await store.counts(NOW)).by_process_status == {OPEN: 7, RUNNING: 0}
        # One taken, one ended; of the long ones one with all parts taken, one with the first, one with the last.
        taken = [parts[0], *parts[4:7], parts[7], parts[12]]
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(taken)])
        await store.record_outcomes("acme", [ended(parts[1])])
        assert (await store.counts(NOW)).by_process_status == {OPEN: 4, RUNNING: 2}
        await store.record_receipts("acme", [delivered("m1")])
        assert (await store.counts(NOW)).by_process_status == {OPEN: 4, RUNNING: 2}

    async def test_counts_tell_since_when_an_sms_waits_for_each_carrier(self, store: Store):
        assert (await store.counts(NOW)).oldest_due_at == {}
        await store.add_job(a_plan(a_planned_sms(due=after(5)), a_planned_sms(due=after(7)), account=1))
        await store.add_job(a_plan(a_planned_sms(due=after(3)), account=2, qos=Qos.EXPRESS))
        await store.add_job(a_plan(a_planned_sms(due=after(6), carrier="beta"), account=3))
        await store.add_job(a_plan(a_planned_sms(due=after(99), carrier="gamma"), account=3))
        assert (await store.counts(after(4))).oldest_due_at == {"acme": after(3)}
        assert (await store.counts(after(9))).oldest_due_at == {"acme": after(3), "beta": after(6)}
        await lease(store, limit=2, at=9)
        assert (await store.counts(after(9))).oldest_due_at == {"acme": after(7), "beta": after(6)}

    async def test_a_store_that_can_be_used_is_ready(self, store: Store):
        await store.ready()

    async def test_a_job_that_arrives_wakes_who_waits_for_its_carrier(self, store: Store):
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(store.work_arrived("acme", 600))
            await store.add_job(a_plan(a_planned_sms(carrier="beta")))
            assert not waiting.done()
            await store.add_job(a_plan(a_planned_sms(carrier="acme")))

    async def test_work_that_arrived_before_is_told_at_once_and_once(self, store: Store):
        await store.add_job(a_plan())
        async with asyncio.timeout(60):
            await store.work_arrived("acme", 600)
            await store.work_arrived("acme", 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await store.work_arrived("acme", 600)

    # Nodes

    async def test_nodes_count_while_they_tell_that_they_are_there(self, store: Store):
        assert await store.meet("one", after(15), after(0)) == 1
        assert await store.meet("two", after(20), after(5)) == 2
        assert await store.meet("two", after(30), after(15)) == 1, "one has said nothing since"
        assert await store.meet("one", after(31), after(16)) == 2
        assert await store.meet("two", after(17), after(17)) == 1, "it goes"

    async def test_a_role_is_one_nodes_until_it_lapses_or_is_given_back(self, store: Store):
        assert await store.claim("bind 0", "one", after(15), after(0))
        assert not await store.claim("bind 0", "two", after(16), after(1))
        assert await store.claim("bind 1", "two", after(16), after(1))
        assert await store.claim("bind 0", "one", after(25), after(10)), "kept"
        assert not await store.claim("bind 0", "two", after(39), after(24))
        assert await store.claim("bind 0", "two", after(40), after(25)), "lapsed"
        assert not await store.claim("bind 0", "one", after(41), after(26))
        await store.release("bind 0", "one")
        assert not await store.claim("bind 0", "one", after(41), after(26)), "it wasn't one's to give back"
        await store.release("bind 0", "two")
        assert await store.claim("bind 0", "one", after(41), after(26))

    # SMS from phones

    async def test_an_sms_from_a_phone_is_read_back_by_its_owner(self, store: Store):
        (whole,), _ = await store.record_inbound("acme", [an_arrival("Ja ✓", owner=2, at=after(1.234))])
        assert (whole.account, whole.src, whole.dst) == (2, "+4917612345678", "+4915735982222")
        assert (whole.text, whole.received_at) == ("Ja ✓", after(1.234))
        assert whole.sms_id.startswith("I.20260301-120001.234-0")
        assert await inbound(store, account=2) == [whole]
        assert await inbound(store, account=1) == []

    async def test_without_an_owner_it_belongs_to_the_account_that_last_wrote_to_the_phone(self, store: Store):
        phone, other = numbers(2)
        await send(store, a_plan(a_planned_sms(phone), account=1))
        await send(store, a_plan(a_planned_sms(phone), a_planned_sms(other), account=2), at=1)
        await send(store, a_plan(a_planned_sms(other), account=1), at=2)
        arrivals = [an_arrival(src=phone), an_arrival(src=other), an_arrival(src=phone, text="You?", owner=3)]
        whole, _ = await store.record_inbound("acme", arrivals)
        assert [sms.account for sms in whole] == [2, 1, 3]

    async def test_of_many_that_wrote_the_last_one_counts(self, store: Store):
        phones = numbers(3000)
        for account in (1, 2, 3):
            await send(store, a_plan(*map(a_planned_sms, phones), account=account), at=account)
        whole, _ = await store.record_inbound("acme", [an_arrival(src=phones[0]), an_arrival(src=phones[-1])])
        assert [sms.account for sms in whole] == [3, 3]

    async def test_an_sms_that_no_carrier_got_is_none_that_its_account_wrote(self, store: Store):
        await send(store, a_plan(a_planned_sms(PHONE), account=1))
        scheduled = a_plan(a_planned_sms(PHONE, due=after(1000)), account=2, at=after(1))
        await store.add_job(scheduled)
        assert await writer_to(store, PHONE) == 1, "it waits"
        await store.cancel_job(AccountId(2), scheduled.job_id, after(2))
        await store.add_job(a_plan(a_planned_sms(PHONE), account=2, at=after(3)))
        (part,) = await lease(store, at=3)
        assert await writer_to(store, PHONE) == 1, "it is being sent"
        await store.record_outcomes("acme", [postponed(part, until=4)])
        (part,) = await lease(store, at=4)
        await store.record_outcomes("acme", [ended(part, at=5)])
        await store.block(AccountId(2), PHONE, after(6))
        await store.add_job(a_plan(a_planned_sms(PHONE), account=2, at=after(7)))
        assert await writer_to(store, PHONE) == 1, "refused, cancelled, blocked"

    async def test_who_wrote_last_is_told_by_when_it_was_sent_not_by_when_it_was_accepted(self, store: Store):
        first, second = numbers(2)
        scheduled = a_plan(a_planned_sms(first, due=after(10)), a_planned_sms(second, due=after(10)), account=1)
        await store.add_job(scheduled)
        assert [await writer_to(store, phone) for phone in (first, second)] == [NOBODY, NOBODY]
        await send(store, a_plan(a_planned_sms(first), a_planned_sms(second), account=2), at=5)
        assert await writer_to(store, first) == 2
        parts = await lease(store, at=10)
        await store.record_outcomes("acme", [submitted(part, f"m{part.segment.id}", at=10) for part in parts])
        await send(store, a_plan(a_planned_sms(PHONE), account=2), at=11)
        assert [await writer_to(store, phone) for phone in (first, second, PHONE)] == [1, 1, 2]

    async def test_what_is_recorded_late_is_no_later_for_it(self, store: Store):
        for account in (1, 2):
            await store.add_job(a_plan(a_planned_sms(PHONE), account=account))
        mine, others = await lease(store)
        await store.record_outcomes("acme", [submitted(others, "m2", at=7)])
        await store.record_outcomes("acme", [submitted(mine, "m1", at=9)])
        assert await writer_to(store, PHONE) == 1

    @pytest.mark.parametrize("outcome", [Postponed, Ended])
    async def test_who_may_have_written_has(self, store: Store, outcome: type):
        await send(store, a_plan(a_planned_sms(PHONE), account=1))
        await store.add_job(a_plan(a_planned_sms(PHONE), account=2, at=after(1)))
        (part,) = await lease(store, at=1)
        unknown = (
            Postponed(part.segment.id, after(9), 1, Status.SEND_ERR, "no answer", after(1))
            if outcome is Postponed
            else Ended(part.segment.id, Status.SEND_ERR, "no answer", after(1), maybe_sent_at=after(1))
        )
        await store.record_outcomes("acme", [unknown])
        assert await writer_to(store, PHONE) == 2

    async def test_who_wrote_what_was_killed_meanwhile_has(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.cancel_job(plan.account, plan.job_id, after(1))
        await store.record_outcomes("acme", [submitted(part, at=2)])
        assert await writer_to(store, part.segment.dst) == plan.account

    @pytest.mark.parametrize("src", ["+4917600000000", "80100", "Helio", "+", "+4917612345678901234567"])
    async def test_from_a_phone_that_nobody_wrote_to_it_is_nobodys(self, store: Store, src: str):
        await store.add_job(a_plan(a_planned_sms("+49 no", carrier=None), a_planned_sms("80100", carrier=None)))
        (whole,), _ = await store.record_inbound("acme", [an_arrival(src=src)])
        assert whole.account == NOBODY

    async def test_who_wrote_is_forgotten_with_the_jobs_of_that_day(self, store: Store):
        day_s = 86_400
        old, new = numbers(2)
        await send(store, a_plan(a_planned_sms(old)))
        await send(store, a_plan(a_planned_sms(new)), at=2 * day_s)
        assert await store.forget_jobs(after(day_s), 10) == 0
        whole, _ = await store.record_inbound("acme", [an_arrival(src=old), an_arrival(src=new)])
        assert [sms.account for sms in whole] == [NOBODY, 1]

    async def test_parts_wait_for_each_other_in_any_order(self, store: Store):
        texts = ["One, ", "two, ", "three"]
        arrivals = [
            an_arrival(text, owner=1, reference=7, part=part, parts=3, at=after(part))
            for part, text in enumerate(texts, 1)
        ]
        for place in (2, 0):
            assert await store.record_inbound("acme", [arrivals[place]]) == ([], 0)
            assert await inbound(store) == []
        (whole,), _ = await store.record_inbound("acme", [arrivals[1]])
        assert (whole.text, whole.received_at) == ("One, two, three", after(2))
        assert await inbound(store) == [whole]

    async def test_parts_of_different_sms_do_not_mix(self, store: Store):
        halves = [
            an_arrival(f"{number}{part}", owner=1, part=part, parts=2, **difference)
            for part in (1, 2)
            for number, difference in enumerate(
                ({}, {"src": "+491761"}, {"dst": "80100"}, {"reference": 1}, {"reference": 256})
            )
        ]
        whole, _ = await store.record_inbound("acme", halves)
        assert [sms.text for sms in whole] == ["0102", "1112", "2122", "3132", "4142"]

    async def test_carriers_do_not_mix(self, store: Store):
        await store.record_inbound("acme", [an_arrival(owner=1, part=1, parts=2)])
        assert await store.record_inbound("beta", [an_arrival(owner=1, part=2, parts=2)]) == ([], 0)

    async def test_a_part_that_is_there_already_changes_nothing(self, store: Store):
        first, second = (an_arrival(f"{part}", owner=1, part=part, parts=2) for part in (1, 2))
        again = an_arrival("1", owner=1, part=1, parts=2, at=after(3600))
        assert await store.record_inbound("acme", [first, first]) == ([], 0)
        assert await store.record_inbound("acme", [again]) == ([], 0)
        (whole,), _ = await store.record_inbound("acme", [second, second])
        assert whole.text == "12"
        assert await store.record_inbound("acme", [first, second]) == ([], 0)
        assert await inbound(store) == [whole]

    async def test_the_same_again_is_another_sms_once_it_is_no_redelivery(self, store: Store):
        for at in (0, 119.999, 120, 240):
            await store.record_inbound("acme", [an_arrival("Yes", owner=1, at=after(at))])
        assert [sms.received_at for sms in await inbound(store)] == [after(240), after(120), after(0)]

    async def test_a_reference_used_again_begins_another_sms(self, store: Store):
        lost = an_arrival("Lost, ", owner=1, part=1, parts=2)
        later = [an_arrival(text, owner=1, part=part, parts=2) for part, text in ((1, "This "), (2, "is it"))]
        (whole,), _ = await store.record_inbound("acme", [lost, *later])
        assert whole.text == "This is it"
        (whole,), _ = await store.record_inbound("acme", [an_arrival("found", owner=1, part=2, parts=2, at=after(200))])
        assert whole.text == "Lost, found"

    async def test_missing_parts_are_given_up(self, store: Store):
        await store.record_inbound("acme", [an_arrival("middle", owner=1, part=2, parts=3, at=after(10))])
        await store.record_inbound("acme", [an_arrival("new", owner=1, part=2, parts=3, reference=1, at=after(20))])
        assert await store.give_up_missing_parts(after(10), after(100)) == ([], 0)
        (whole,), _ = await store.give_up_missing_parts(after(11), after(101))
        assert (whole.text, whole.received_at) == ("[…]middle[…]", after(101))
        assert await inbound(store) == [whole]
        assert await store.give_up_missing_parts(after(11), after(102)) == ([], 0)

    async def test_sms_from_phones_are_listed_newest_first(self, store: Store):
        for second in (0, 5, 5, 3):
            await store.record_inbound("acme", [an_arrival(f"{second}", owner=1, src=f"+49{second}", at=after(second))])
        texts = [sms.text for sms in await inbound(store)]
        assert texts == ["5", "3", "0"]  # One came twice.
        assert [sms.text for sms in await inbound(store, offset=1, limit=1)] == ["3"]
        assert await inbound(store, limit=0) == []
        assert [sms.text for sms in await inbound(store, since=after(3), until=after(5))] == ["3"]

    async def test_bounds_of_such_a_list_between_two_milliseconds_leave_out_what_is_before(self, store: Store):
        await store.record_inbound("acme", [an_arrival(owner=1, at=after(0.010))])
        a_bit = timedelta(microseconds=1)
        assert await inbound(store, since=after(0.010) + a_bit) == []
        assert len(await inbound(store, until=after(0.010) + a_bit)) == 1
        assert await inbound(store, until=after(0.010)) == []

    async def test_old_sms_from_phones_are_forgotten(self, store: Store):
        for second in range(5):
            await store.record_inbound("acme", [an_arrival(f"{second}", owner=1, at=after(second))])
        assert await store.forget_inbound(after(3), 2) == 2
        assert await store.forget_inbound(after(3), 2) == 1
        assert await store.forget_inbound(after(3), 2) == 0
        assert [sms.text for sms in await inbound(store)] == ["4", "3"]

    async def test_nothing_arriving_is_no_trouble(self, store: Store):
        assert await store.record_inbound("acme", []) == ([], 0)
        assert await store.give_up_missing_parts(after(0), after(0)) == ([], 0)

    # The blocklist

    async def test_a_blocked_number_is_read_back(self, store: Store):
        entry, ended_count = await store.block(AccountId(1), "+491", after(1))
        assert (entry, ended_count) == (BlockedNumber("+491", after(1)), 0)
        assert await store.blocked(AccountId(1), "+491") == entry
        assert await store.blocked(AccountId(1), "+492") is None
        assert await store.blocked(AccountId(2), "+491") is None

    async def test_a_number_is_blocked_once(self, store: Store):
        first, _ = await store.block(AccountId(1), "+491", after(1))
        again, _ = await store.block(AccountId(1), "+491", after(2))
        assert again == first
        assert await store.unblock(AccountId(1), "+491") == first
        assert await store.unblock(AccountId(1), "+491") is None
        assert await store.blocked(AccountId(1), "+491") is None

    async def test_the_blocklist_is_listed_by_its_numbers(self, store: Store):
        for dst in ("+492", "+4911", "+491", "+1"):
            await store.block(AccountId(1), dst, NOW)
        await store.block(AccountId(2), "+493", NOW)
        assert [each.dst for each in await store.find_blocked(AccountId(1), 0, 10)] == ["+1", "+491", "+4911", "+492"]
        assert [each.dst for each in await store.find_blocked(AccountId(1), 1, 2)] == ["+491", "+4911"]
        assert await store.find_blocked(AccountId(1), 4, 2) == []

    async def test_an_sms_to_a_blocked_number_is_final_from_the_start(self, store: Store):
        await store.block(AccountId(1), "+491", NOW)
        plan = a_plan(a_planned_sms("+491", parts=2), a_planned_sms("+492"), a_planned_sms("+49", carrier=None))
        await store.add_job(plan)
        blocked, other, impossible = await progress_of(store, plan)
        assert blocked == SmsProgress(DONE, Status.BLOCKED, "the number is on the account's blocklist", None, NOW)
        assert other == SmsProgress(OPEN)
        assert impossible.status is Status.INVALID_DST
        assert dsts(await lease(store)) == ["+492"]

    async def test_a_job_to_none_but_blocked_numbers_is_finished_at_once(self, store: Store):
        await store.block(AccountId(1), "+491", NOW)
        plan = a_plan(a_planned_sms("+491"))
        await store.add_job(plan)
        assert await finished_at(store, plan) == NOW

    async def test_a_blocklist_is_the_account_s_own(self, store: Store):
        await store.block(AccountId(1), "+491", NOW)
        await store.add_job(a_plan(a_planned_sms("+491"), account=2))
        assert dsts(await lease(store)) == ["+491"]

    async def test_a_number_taken_off_the_list_gets_sms_again(self, store: Store):
        await store.block(AccountId(1), "+491", NOW)
        await store.unblock(AccountId(1), "+491")
        await store.add_job(a_plan(a_planned_sms("+491")))
        assert dsts(await lease(store)) == ["+491"]

    async def test_sms_that_wait_when_their_number_is_blocked_come_to_their_end(self, store: Store):
        waiting = a_plan(a_planned_sms("+491", parts=2, due=after(60)), a_planned_sms("+492"))
        others = a_plan(a_planned_sms("+491"), account=2)
        await store.add_job(waiting)
        await store.add_job(others)
        _, ended_count = await store.block(AccountId(1), "+491", after(5))
        assert ended_count == 1
        ended_sms, other = await progress_of(store, waiting)
        assert (ended_sms.status, ended_sms.finished_at) == (Status.BLOCKED, after(5))
        assert other == SmsProgress(OPEN)
        assert sorted(dsts(await lease(store, at=100))) == ["+491", "+492"]
        assert await finished_at(store, waiting) is None

    async def test_what_is_leased_or_with_the_carrier_is_not_called_back(self, store: Store):
        leased, running = a_plan(a_planned_sms("+491", parts=2)), a_plan(a_planned_sms("+491"), at=after(1))
        await store.add_job(running)
        (part,) = await lease(store)
        await store.record_outcomes("acme", [submitted(part)])
        await store.add_job(leased)
        await lease(store, limit=1, at=2)
        assert (await store.block(AccountId(1), "+491", after(5)))[1] == 0
        assert [each.process_status for each in await progress_of(store, running)] == [RUNNING]
        assert [each.process_status for each in await progress_of(store, leased)] == [OPEN]
        assert [part.segment.part for part in await lease(store, at=6)] == [2]

    async def test_what_was_leased_when_its_number_was_blocked_is_not_tried_again(self, store: Store):
        plan, part = await a_leased_sms(store)
        others = a_plan(*(a_planned_sms(dst, due=after(30)) for dst in numbers(3)), at=after(1))
        await store.add_job(others)
        await store.block(AccountId(1), part.segment.dst, after(5))
        await store.record_outcomes("acme", [postponed(part, until=30)])
        assert dsts(await lease(store, at=30, limit=2)) == numbers(3)[:2]
        (progress,) = await progress_of(store, plan)
        assert (progress.status, progress.finished_at) == (Status.BLOCKED, after(30))

    async def test_an_sms_that_says_stop_blocks_its_sender(self, store: Store):
        await send(store, a_plan(a_planned_sms(PHONE)))
        plan = a_plan(a_planned_sms(PHONE, due=after(60)))
        await store.add_job(plan)
        (whole,), blocked_count = await store.record_inbound("acme", [an_arrival(" Stop! ", src=PHONE, at=after(1))])
        assert (whole.account, blocked_count) == (1, 1)
        assert await store.blocked(AccountId(1), PHONE) == BlockedNumber(PHONE, after(1))
        assert [each.status for each in await progress_of(store, plan)] == [Status.BLOCKED]
        assert [sms.text for sms in await inbound(store)] == [" Stop! "]

    async def test_an_sms_that_says_start_unblocks_it(self, store: Store):
        for at, text, entry in (
            (0, "STOP", BlockedNumber(PHONE, NOW)),
            (9, "Stop it", ...),
            (10, "start", None),
        ):
            await store.record_inbound("acme", [an_arrival(text, src=PHONE, owner=1, at=after(at))])
            if entry is not ...:
                assert await store.blocked(AccountId(1), PHONE) == entry

    @pytest.mark.parametrize("src", ["80100", "Helio", "+80100"])
    async def test_only_a_number_can_block_itself(self, store: Store, src: str):
        await store.record_inbound("acme", [an_arrival("STOP", src=src, owner=1)])
        assert await store.find_blocked(AccountId(1), 0, 10) == []

    async def test_stop_from_a_phone_that_nobody_wrote_to_blocks_nothing(self, store: Store):
        assert (await store.record_inbound("acme", [an_arrival("STOP")])).blocked_count == 0
        assert await store.blocked(NOBODY, "+4917612345678") is None


# What the tests speak of


async def inbound(
    store: Store,
    *,
    account: int = 1,
    since: datetime = LONG_AGO,
    until: datetime = LONG_HENCE,
    offset: int = 0,
    limit: int = 100,
) -> list[InboundSms]:
    """The SMS from phones listed."""
    return await store.find_inbound(InboundQuery(AccountId(account), since, until, offset, limit))


async def lease(
    store: Store,
    carrier: str = "acme",
    *,
    at: float = 0,
    limit: int = 100,
    for_s: float = 1_000_000,
    normal_limit: int | None = None,
) -> list[DuePart]:
    """Lease what is due `at` seconds after NOW."""
    return await store.lease_segments(carrier, limit, after(at + for_s), after(at), normal_limit)


def dsts(parts: list[DuePart]) -> list[str]:
    return [part.segment.dst for part in parts]


async def a_leased_sms(store: Store, *, parts: int = 1, receipts: bool = True, for_s: float = 1_000_000):
    """A job of one SMS, all its parts leased."""
    plan = a_plan(a_planned_sms(parts=parts), receipts=receipts)
    await store.add_job(plan)
    return plan, *await lease(store, for_s=for_s)


async def send(store: Store, plan: JobPlan, *, at: float = 0) -> None:
    """Add a job, and have the carrier take all that is due."""
    await store.add_job(plan)
    parts = await lease(store, at=at, limit=len(plan.sms))
    due = RECEIPT_DUE if plan.options.status_requested else None
    await store.record_outcomes(
        "acme", [submitted(part, f"m{part.segment.id}", at=at, receipt_due_at=due) for part in parts]
    )


async def writer_to(store: Store, phone: str) -> int:
    """Whose an SMS from a phone is that comes now."""
    (whole,), _ = await store.record_inbound("acme", [an_arrival(f"Hello {next(_answers)}", src=phone)])
    return whole.account


async def a_submitted_sms(store: Store):
    """A job of one SMS whose receipt is awaited as m1."""
    plan, part = await a_leased_sms(store)
    await store.record_outcomes("acme", [submitted(part)])
    return plan


async def a_finished_job(store: Store, *, at: float = 0):
    """A job of two SMS that came to their end."""
    plan = a_plan(a_planned_sms(due=after(at)), a_planned_sms(due=after(at)), at=after(at))
    await store.add_job(plan)
    await store.record_outcomes("acme", [ended(part, at=at) for part in await lease(store, at=at)])
    return plan


def submitted(part: DuePart, message_id: str = "m1", *, at: float = 0, receipt_due_at: datetime | None = RECEIPT_DUE):
    return Submitted(part.segment.id, message_id, after(at), receipt_due_at)


def postponed(part: DuePart, *, until: float, attempts: int = 1):
    return Postponed(part.segment.id, after(until), attempts, Status.CON_ERR, "no way")


def moved(part: DuePart, carrier: str = "beta", *, others: tuple[str, ...] = (), at: float = 0, otherwise=None):
    otherwise = otherwise or Postponed(part.segment.id, after(20), 3, Status.CON_ERR, "down")
    reason = f"acme: down; then {carrier}"
    return Moved(part.segment.id, carrier, others, after(at), 2, Status.CON_ERR, reason, otherwise)


def ended(
    part: DuePart, status: Status = Status.NOT_ACC_FIN, reason: str = "refused", *, at: float = 0, is_overdue=False
):
    return Ended(part.segment.id, status, reason, after(at), is_overdue)


def delivered(message_id: str, *, at: float = 0, spellings: tuple[str, ...] = (), phones: tuple[str, ...] = ()):
    return ReceiptNews(message_id, Status.SUC_FIN, "yes", after(at), spellings, phones)


def failed(message_id: str, *, at: float = 0):
    return ReceiptNews(message_id, Status.FAILED_FIN, "no", after(at))


def heard(message_id: str, reason: str = "on its way", *, at: float = 0):
    return ReceiptNews(message_id, None, reason, after(at))


async def spent(store: Store, parts: int, *, at: float = 0, account: int = 1, limit: int = 5) -> bool:
    """Whether an agent's SMS of so many parts was taken."""
    plan = a_plan(a_planned_sms(parts=parts), account=account, at=after(at), sms_per_hour=limit)
    try:
        await store.add_job(plan)
    except SpendingLimitReached:
        return False
    return True


async def sms_of(store: Store, plan):
    found = await store.sms_of_job(plan.account, plan.job_id)
    assert found is not None
    return found


async def progress_of(store: Store, plan) -> list[SmsProgress]:
    return [sms.progress for sms in await sms_of(store, plan)]


async def finished_at(store: Store, plan) -> datetime | None:
    job = await store.job(plan.account, plan.job_id)
    assert job is not None
    return job.finished_at


async def listed(
    store: Store,
    *,
    account: int = 1,
    since: datetime = LONG_AGO,
    until: datetime = LONG_HENCE,
    open_only: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> list[str]:
    """The ids of the jobs listed."""
    query = JobQuery(AccountId(account), since, until, open_only, offset, limit)
    return [job.job_id for job in await store.find_jobs(query)]
