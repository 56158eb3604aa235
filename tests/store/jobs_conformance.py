"""What any Store must do about jobs sent again and cancelled; beside `conformance.py`, and used like that."""

import asyncio
from datetime import datetime

import pytest

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import IdempotencyKeyTaken, JobDuplicate
from heliograph.jobs.search import Criteria, FoundSms
from heliograph.jobs.status import ProcessStatus, SmsProgress, Status
from heliograph.store.interface import PARKED_FOR, Added, Cancelled, DuePart, Postponed, ReceiptNews, SmsQuery, Store
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, numbers
from tests.store.conformance import (
    LONG_AGO,
    LONG_HENCE,
    PHONE,
    RECEIPT_DUE,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    dsts,
    ended,
    failed,
    finished_at,
    heard,
    lease,
    listed,
    moved,
    postponed,
    progress_of,
    submitted,
)

CANCELED, KILL = ProcessStatus.CANCELED, ProcessStatus.KILL
DAY_S = 86_400


class JobsConformance:
    """What `store.interface` promises of `add_job`, `cancel_job` and `find_sms`, besides what StoreConformance says."""

    # What comes of a job

    async def test_a_job_that_is_kept_says_what_is_final_from_the_start(self, store: Store):
        await store.block(AccountId(1), PHONE, NOW)
        plan = a_plan(
            a_planned_sms("+491"), a_planned_sms(PHONE), a_planned_sms(PHONE), a_planned_sms("1", carrier=None)
        )
        assert await store.add_job(plan) == Added(plan.job_id, True, {Status.BLOCKED: 2, Status.INVALID_DST: 1})
        other = a_plan(a_planned_sms(PHONE), account=2)
        assert await store.add_job(other) == Added(other.job_id, True, {})

    @pytest.mark.parametrize("count", [0, 3, 3000])
    async def test_numbers_are_told_that_are_on_the_blocklist(self, store: Store, count: int):
        for dst in numbers(2):
            await store.block(AccountId(1), dst, NOW)
        await store.block(AccountId(2), PHONE, NOW)
        assert await store.blocked_among(AccountId(1), [*numbers(count), PHONE]) == set(numbers(min(count, 2)))
        assert await store.blocked_among(AccountId(1), []) == set()

    # Idempotency keys

    async def test_an_equal_request_with_the_same_key_is_the_first_job(self, store: Store):
        first, again = a_plan(idempotency=("key", b"same")), a_plan(idempotency=("key", b"same"), at=after(DAY_S - 1))
        assert (await store.add_job(first)).is_new
        assert await store.add_job(again) == Added(first.job_id, False, {})
        assert await listed(store) == [first.job_id]
        assert len(await lease(store, at=DAY_S)) == 1

    async def test_another_request_with_the_same_key_is_refused_with_the_first_jobs_id(self, store: Store):
        first = a_plan(idempotency=("key", b"one"))
        await store.add_job(first)
        with pytest.raises(IdempotencyKeyTaken) as refusal:
            await store.add_job(a_plan(idempotency=("key", b"two"), at=after(DAY_S - 1)))
        assert refusal.value.job_id == first.job_id
        assert await listed(store) == [first.job_id]

    async def test_a_key_is_free_again_after_24_hours(self, store: Store):
        await store.add_job(a_plan(idempotency=("key", b"one")))
        second = a_plan(idempotency=("key", b"two"), at=after(DAY_S))
        assert (await store.add_job(second)).is_new
        third = a_plan(idempotency=("key", b"two"), at=after(2 * DAY_S - 1))
        assert (await store.add_job(third)).job_id == second.job_id

    async def test_using_a_key_again_does_not_prolong_its_24_hours(self, store: Store):
        await store.add_job(a_plan(idempotency=("key", b"one")))
        await store.add_job(a_plan(idempotency=("key", b"one"), at=after(DAY_S - 1)))
        assert (await store.add_job(a_plan(idempotency=("key", b"one"), at=after(DAY_S)))).is_new

    async def test_keys_are_each_accounts_own_and_told_apart_to_the_letter(self, store: Store):
        for account, key in ((1, "key"), (2, "key"), (1, "KEY"), (1, "key2")):
            assert (await store.add_job(a_plan(idempotency=(key, b"same"), account=account))).is_new

    async def test_a_key_is_looked_at_before_the_duplicates(self, store: Store):
        first = a_plan(idempotency=("key", b"same"), fingerprint=b"same")
        await store.add_job(first)
        again = a_plan(idempotency=("key", b"same"), fingerprint=b"same", at=after(1))
        assert (await store.add_job(again)).job_id == first.job_id

    async def test_a_job_that_is_refused_uses_up_no_key(self, store: Store):
        first = a_plan(fingerprint=b"same")
        await store.add_job(first)
        with pytest.raises(JobDuplicate):
            await store.add_job(a_plan(idempotency=("key", b"same"), fingerprint=b"same", at=after(1)))
        assert (await store.add_job(a_plan(idempotency=("key", b"other"), at=after(2)))).is_new

    async def test_a_job_sent_again_with_its_key_is_no_duplicate_to_others(self, store: Store):
        first = a_plan(idempotency=("key", b"same"))
        await store.add_job(first)
        await store.add_job(a_plan(idempotency=("key", b"same"), fingerprint=b"same", at=after(1)))
        assert (await store.add_job(a_plan(fingerprint=b"same", at=after(2)))).is_new

    async def test_of_two_requests_with_one_key_at_the_same_moment_one_is_kept(self, store: Store):
        plans = [a_plan(idempotency=("key", b"same")) for _ in range(5)]
        results = await asyncio.gather(*map(store.add_job, plans))
        assert sorted(result.is_new for result in results) == [False] * 4 + [True]
        assert len({result.job_id for result in results}) == 1
        assert await listed(store) == [results[0].job_id]

    async def test_many_keys_are_told_apart(self, store: Store):
        for number in range(30):
            await store.add_job(a_plan(idempotency=(f"{number}", b"same"), at=after(number * 3600)))
        assert not (await store.add_job(a_plan(idempotency=("29", b"same"), at=after(30 * 3600)))).is_new
        assert not (await store.add_job(a_plan(idempotency=("7", b"same"), at=after(30 * 3600)))).is_new
        assert (await store.add_job(a_plan(idempotency=("5", b"same"), at=after(30 * 3600)))).is_new

    # Cancelling

    async def test_what_waits_and_was_never_tried_is_cancelled_and_never_leased(self, store: Store):
        plan = a_plan(a_planned_sms(), a_planned_sms(due=after(60), parts=3, message=1))
        await store.add_job(plan)
        assert await cancel(store, plan, at=5) == (2, 0)
        assert await progress_of(store, plan) == [SmsProgress(CANCELED, Status.NONE, "", None, after(5))] * 2
        assert await finished_at(store, plan) == after(5)
        assert await lease(store, at=1000) == []
        assert await listed(store, open_only=True) == []

    async def test_it_tells_the_job_as_it_is_then(self, store: Store):
        plan = a_plan()
        await store.add_job(plan)
        cancelled = await store.cancel_job(plan.account, plan.job_id, after(5))
        assert cancelled == Cancelled(await store.job(plan.account, plan.job_id), 1, 0)

    async def test_what_waits_after_a_try_is_cancelled_with_what_was_said(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=30)])
        assert await cancel(store, plan, at=5) == (1, 0)
        assert await progress_of(store, plan) == [SmsProgress(CANCELED, Status.NOT_ACC_REC, "no way", None, after(5))]
        assert await lease(store, at=1000) == []

    async def test_a_refusal_that_is_no_try_of_its_own_is_one_all_the_same(self, store: Store):
        plan, part = await a_leased_sms(store)
        throttled = Postponed(part.segment.id, after(30), 0, Status.NOT_ACC_REC, "too fast")
        await store.record_outcomes("acme", [throttled])
        await cancel(store, plan)
        assert (await progress_of(store, plan))[0].status is Status.NOT_ACC_REC

    async def test_what_its_carrier_never_got_was_never_tried(self, store: Store):
        plan, part = await a_leased_sms(store)
        unreachable = Postponed(part.segment.id, after(30), 0, Status.CON_ERR, "no bind")
        await store.record_outcomes("acme", [unreachable])
        await cancel(store, plan)
        assert await progress_of(store, plan) == [SmsProgress(CANCELED, Status.NONE, "no bind", None, NOW)]

    async def test_what_is_leased_is_killed_for_the_carrier_may_be_getting_it(self, store: Store):
        plan, _ = await a_leased_sms(store, for_s=60)
        assert await cancel(store, plan, at=5) == (0, 1)
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "", None, after(5))]
        assert await lease(store, at=1000) == []

    async def test_what_the_carrier_has_is_killed(self, store: Store):
        plan = await a_submitted_sms(store)
        assert await cancel(store, plan, at=5) == (0, 1)
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "", NOW, after(5))]
        assert await lease(store, at=1_000_000) == []
        assert await store.awaiting_receipts("acme") == []

    async def test_what_the_carrier_may_have_is_killed(self, store: Store):
        plan, part = await a_leased_sms(store)
        silence = Postponed(part.segment.id, after(30), 1, Status.SEND_ERR, "no answer")
        await store.record_outcomes("acme", [silence])
        assert await cancel(store, plan, at=5) == (0, 1)
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "no answer", None, after(5))]
        assert await lease(store, at=1000) == []

    async def test_what_the_carrier_may_have_is_killed_whatever_was_said_since(self, store: Store):
        plan, _ = await a_leased_sms(store, for_s=10)
        (again,) = await lease(store, at=10)
        unreachable = Postponed(again.segment.id, after(30), 0, Status.CON_ERR, "no bind")
        await store.record_outcomes("acme", [unreachable])
        assert await cancel(store, plan, at=15) == (0, 1)

    async def test_what_is_final_stays(self, store: Store):
        plan = a_plan(a_planned_sms(), a_planned_sms("12", carrier=None), a_planned_sms(due=after(60)))
        await store.add_job(plan)
        (part,) = await lease(store)
        await store.record_outcomes("acme", [ended(part, at=3)])
        before = await progress_of(store, plan)
        assert await cancel(store, plan, at=5) == (1, 0)
        assert (await progress_of(store, plan))[:2] == before[:2]
        assert await finished_at(store, plan) == after(5)

    async def test_cancelled_again_nothing_changes(self, store: Store):
        plan = a_plan(a_planned_sms(), a_planned_sms(due=after(60)))
        await store.add_job(plan)
        (part,) = await lease(store)
        await store.record_outcomes("acme", [submitted(part)])
        assert await cancel(store, plan, at=5) == (1, 1)
        before = await progress_of(store, plan), await finished_at(store, plan)
        assert await cancel(store, plan, at=9) == (0, 0)
        assert (await progress_of(store, plan), await finished_at(store, plan)) == before

    async def test_a_finished_job_stays_as_it_is(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [ended(part, at=3)])
        before = await progress_of(store, plan)
        assert await cancel(store, plan, at=5) == (0, 0)
        assert await progress_of(store, plan) == before

    async def test_another_accounts_job_and_an_unknown_one_are_none(self, store: Store):
        plan = a_plan()
        await store.add_job(plan)
        assert await store.cancel_job(AccountId(2), plan.job_id, NOW) is None
        assert await store.cancel_job(AccountId(1), a_plan().job_id, NOW) is None
        assert await store.cancel_job(AccountId(1), "J." + "-" * 30, NOW) is None
        assert len(await lease(store)) == 1

    async def test_other_jobs_go_on(self, store: Store):
        first, second, third = (a_plan(a_planned_sms(dst)) for dst in numbers(3))
        for plan in (first, second, third):
            await store.add_job(plan)
        await cancel(store, second)
        assert dsts(await lease(store)) == [numbers(3)[0], numbers(3)[2]]

    async def test_a_large_job_is_cancelled_whole(self, store: Store):
        plan = a_plan(*(a_planned_sms(dst, parts=2) for dst in numbers(500)))
        await store.add_job(plan)
        for part in await lease(store, limit=100):
            await store.record_outcomes("acme", [submitted(part, f"m{part.segment.id}")])
        assert await cancel(store, plan, at=5) == (450, 50)
        assert [each.process_status for each in await progress_of(store, plan)] == [KILL] * 50 + [CANCELED] * 450
        assert await lease(store, at=1_000_000) == []

    async def test_a_job_cancelled_twice_at_the_same_moment_is_counted_once(self, store: Store):
        plan = a_plan()
        await store.add_job(plan)
        results = await asyncio.gather(*(store.cancel_job(plan.account, plan.job_id, after(1)) for _ in range(3)))
        assert sorted(result.canceled_count for result in results if result) == [0, 0, 1]

    # SMS in several parts

    async def test_an_sms_of_which_the_carrier_has_a_part_is_killed_and_the_others_never_go(self, store: Store):
        plan, first, second, third = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(first), postponed(second, until=30)])
        await store.record_outcomes("acme", [postponed(third, until=30)])
        assert await cancel(store, plan, at=5) == (0, 1)
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "no way", NOW, after(5))]
        assert await lease(store, at=1_000_000) == []

    async def test_an_sms_of_which_a_part_was_delivered_is_killed(self, store: Store):
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first), postponed(second, until=30)])
        await store.record_receipts("acme", [delivered("m1", at=2)])
        assert await cancel(store, plan, at=5) == (0, 1)

    async def test_an_sms_of_which_a_part_was_taken_without_a_receipt_is_killed(self, store: Store):
        plan, first, second = await a_leased_sms(store, parts=2, receipts=False)
        await store.record_outcomes("acme", [submitted(first, at=1, receipt_due_at=None), postponed(second, until=30)])
        assert await cancel(store, plan, at=5) == (0, 1)
        assert (await progress_of(store, plan))[0].sent_at == after(1)

    # What was on its way when the job was cancelled

    async def test_no_outcome_of_a_killed_sms_changes_its_status(self, store: Store):
        for outcome in (ended, submitted, moved, taken_for_good, retried):
            plan = a_plan(a_planned_sms(others=("beta",)))
            await store.add_job(plan)
            (part,) = await lease(store)
            await cancel(store, plan, at=5)
            await store.record_outcomes("acme", [outcome(part)])
            assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "", None, after(5))]
            assert await finished_at(store, plan) == after(5)
        assert await lease(store, at=1_000_000) == []
        assert await lease(store, "beta", at=1_000_000) == []
        assert await store.awaiting_receipts("acme") == []

    async def test_no_late_answer_brings_a_cancelled_sms_back(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [postponed(part, until=30)])
        await cancel(store, plan, at=5)
        before = await progress_of(store, plan)
        await store.record_outcomes("acme", [submitted(part, at=6)])
        await store.record_receipts("acme", [delivered("m1", at=7)])
        assert await progress_of(store, plan) == before
        assert await lease(store, at=1_000_000) == []

    # Receipts of killed SMS

    async def test_a_receipt_of_a_killed_sms_is_told_in_its_reason_alone(self, store: Store):
        for word in (delivered, failed):
            plan = await a_submitted_sms(store)
            await cancel(store, plan, at=5)
            await store.record_receipts("acme", [word("m1", at=9)])
            reason = word("m1").reason
            assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, reason, NOW, after(5))]
            assert await finished_at(store, plan) == after(5)

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_of_a_killed_sms_too_the_first_final_word_holds(self, store: Store, at_once: bool):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        words = [heard("m1"), heard("m1", "nearly"), delivered("m1", at=1), failed("m1", at=2), heard("m1", "hm", at=3)]
        for batch in [words] if at_once else [[word] for word in words]:
            await store.record_receipts("acme", batch)
        assert await reasons(store, plan) == ["yes"]

    async def test_a_killed_sms_in_parts_tells_the_last_words_until_one_says_a_failure(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts, 1)])
        await cancel(store, plan)
        told: list[str] = []
        for news in (delivered("m2"), heard("m1", "soon"), failed("m1"), delivered("m3")):
            await store.record_receipts("acme", [news])
            told += await reasons(store, plan)
        assert told == ["yes", "soon", "no", "no"]

    async def test_a_part_taken_after_its_sms_was_killed_has_its_receipt_told(self, store: Store):
        plan, part = await a_leased_sms(store)
        await cancel(store, plan, at=1)
        await store.record_outcomes("acme", [submitted(part, at=2)])
        await store.record_receipts("acme", [delivered("m1", at=3)])
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "yes", None, after(1))]

    async def test_so_has_one_whose_receipt_overtook_its_answer(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [delivered("m1", at=1)])
        await cancel(store, plan, at=2)
        assert await reasons(store, plan) == [""]
        await store.record_outcomes("acme", [submitted(part, at=3)])
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "yes", None, after(2))]

    async def test_among_others_that_are_not_killed(self, store: Store):
        killed, others = a_plan(*(a_planned_sms() for _ in range(3))), a_plan(*(a_planned_sms() for _ in range(70)))
        await store.add_job(killed)
        await store.add_job(others)
        parts = await lease(store)
        await cancel(store, killed)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts)])
        await store.record_receipts("acme", [delivered(f"m{at}", at=9) for at in range(73)])
        assert await reasons(store, killed) == ["yes"] * 3
        assert {each.status for each in await progress_of(store, others)} == {Status.SUC_FIN}
        assert {each.process_status for each in await progress_of(store, killed)} == {KILL}

    async def test_a_receipt_that_waited_too_long_is_not_a_killed_sms_s_either(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_receipts("acme", [failed("m1", at=0)])
        await cancel(store, plan)
        await store.record_outcomes("acme", [submitted(part, at=PARKED_FOR.total_seconds())])
        assert await reasons(store, plan) == [""]

    async def test_a_receipt_is_told_until_it_would_have_been_overdue(self, store: Store):
        due_s = (RECEIPT_DUE - NOW).total_seconds()
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        await store.record_receipts("acme", [heard("m1", "just in time", at=due_s - 0.001)])
        await store.record_receipts("acme", [delivered("m1", at=due_s)])
        assert await reasons(store, plan) == ["just in time"]

    async def test_a_receipt_of_another_carrier_is_nothing_to_a_killed_sms(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        await store.record_receipts("beta", [delivered("m1", at=1)])
        assert await reasons(store, plan) == [""]

    async def test_a_receipt_for_a_killed_sms_that_spells_its_id_otherwise_is_matched_by_its_phone(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        await store.record_receipts("acme", [delivered("M1", spellings=("m1",), phones=("4917600000000",))])
        assert await reasons(store, plan) == [""]
        await store.record_receipts("acme", [delivered("M1", spellings=("m1",), phones=("4917612345678",))])
        assert await reasons(store, plan) == ["yes"]

    async def test_an_id_given_twice_is_rather_that_of_the_sms_that_is_not_killed(self, store: Store):
        other, killed = await a_submitted_sms(store), await a_submitted_sms(store)
        await cancel(store, killed)
        await store.record_receipts("acme", [delivered("m1", at=1)])
        assert await reasons(store, killed) == [""]
        assert [each.status for each in await progress_of(store, other)] == [Status.SUC_FIN]
        await store.record_receipts("acme", [failed("m1", at=2)])
        assert await reasons(store, killed) == ["no"]

    async def test_parts_to_which_a_carrier_gave_one_id_take_one_word_each_when_killed(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(part) for part in parts])
        await cancel(store, plan)
        for at, word in enumerate(("one", "two", "three")):
            await store.record_receipts("acme", [ReceiptNews("m1", Status.SUC_FIN, word, after(at))])
        assert await reasons(store, plan) == ["two"]

    async def test_a_killed_sms_is_forgotten_with_its_job(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        assert await store.forget_jobs(after(1), 10) == 1
        await store.record_receipts("acme", [delivered("m1", at=2)])
        assert await store.job(plan.account, plan.job_id) is None

    # Searching

    async def test_sms_are_found_newest_job_first_and_within_one_as_in_the_request(self, store: Store):
        plans = [a_plan(*(a_planned_sms(dst) for dst in numbers(3)), at=after(seconds)) for seconds in (0, 9, 4)]
        for plan in plans:
            await store.add_job(plan)
        found = await search(store)
        assert [(each.job_id, each.sms.index) for each in found] == [
            (plans[place].job_id, index) for place in (1, 2, 0) for index in range(3)
        ]
        for plan in plans:
            sms = await store.sms_of_job(plan.account, plan.job_id)
            assert [each.sms for each in found if each.job_id == plan.job_id] == sms

    async def test_every_criterion_holds_by_itself_and_all_of_them_together(self, store: Store):
        ours = a_plan(
            a_planned_sms("+491", customer_ref="a"), a_planned_sms("+492", customer_ref="b"), billcode="x", at=after(1)
        )
        await store.add_job(ours)
        await store.add_job(a_plan(a_planned_sms("+491", customer_ref="b"), billcode="y"))
        for criteria, dsts_found in (
            ({"dst": "+491"}, ["+491", "+491"]),
            ({"customer_ref": "b"}, ["+492", "+491"]),
            ({"billcode": "x"}, ["+491", "+492"]),
            ({"billcode": "x", "customer_ref": "b"}, ["+492"]),
            ({"billcode": "x", "customer_ref": "b", "dst": "+491"}, []),
            ({"billcode": ""}, []),
            ({"dst": "+49"}, []),
        ):
            assert [each.sms.dst for each in await search(store, **criteria)] == dsts_found, criteria

    async def test_sms_are_found_by_their_status_be_they_final_or_not(self, store: Store):
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(5)), a_planned_sms("12", carrier=None))
        await store.add_job(plan)
        parts = await lease(store)
        outcomes = [submitted(parts[0]), postponed(parts[1], until=9), ended(parts[2]), submitted(parts[3], "m2")]
        await store.record_outcomes("acme", outcomes)
        await store.record_receipts("acme", [delivered("m2")])
        for criteria, places in (
            ({"process_status": ProcessStatus.OPEN}, [1, 4]),
            ({"process_status": ProcessStatus.RUNNING}, [0]),
            ({"process_status": ProcessStatus.DONE}, [2, 3, 5]),
            ({"process_status": ProcessStatus.KILL}, []),
            ({"status": Status.NONE}, [0, 4]),
            ({"status": Status.CON_ERR}, [1]),
            ({"status": Status.SUC_FIN}, [3]),
            ({"status": Status.INVALID_DST}, [5]),
            ({"status": Status.NONE, "process_status": ProcessStatus.RUNNING}, [0]),
            ({"status": Status.NONE, "process_status": ProcessStatus.DONE}, []),
        ):
            assert [each.sms.index for each in await search(store, **criteria)] == places, criteria

    async def test_what_is_found_begins_at_the_offset_and_keeps_to_the_limit(self, store: Store):
        for at in range(3):
            await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(4)), at=after(at)))
        everything = await search(store)
        assert len(everything) == 12
        for offset, limit in ((0, 5), (3, 4), (7, 100), (11, 1), (12, 5), (100, 5), (0, 0)):
            assert await search(store, offset=offset, limit=limit) == everything[offset : offset + limit]

    async def test_a_search_keeps_to_its_span_and_its_account(self, store: Store):
        plans = [a_plan(at=after(seconds)) for seconds in (1, 2, 3)]
        for plan in plans:
            await store.add_job(plan)
        await store.add_job(a_plan(at=after(2), account=2))
        found = await search(store, since=after(1), until=after(3))
        assert [each.job_id for each in found] == [plans[1].job_id, plans[0].job_id]

    @pytest.mark.parametrize("criteria", [{"billcode": "x"}, {"dst": "+491"}, {"status": Status.NONE}])
    async def test_a_search_finds_nothing_from_before_its_span(self, store: Store, criteria):
        await store.add_job(a_plan(a_planned_sms("+491"), billcode="x"))
        await store.add_job(a_plan(a_planned_sms("+492"), billcode="y", at=after(1)))
        assert len(await search(store, **criteria)) >= 1
        assert await search(store, since=after(2), until=after(3), **criteria) == []

    async def test_a_search_passes_over_what_others_sent_in_between(self, store: Store):
        plans = [a_plan(a_planned_sms("+491"), a_planned_sms("+492"), at=after(at), billcode=f"{at}") for at in (0, 9)]
        await store.add_job(plans[0])
        await store.add_job(a_plan(*(a_planned_sms("+491") for _ in range(2000)), at=after(5), account=2))
        await store.add_job(plans[1])
        assert [each.job_id for each in await search(store, dst="+491")] == [plans[1].job_id, plans[0].job_id]
        assert [each.sms.dst for each in await search(store, billcode="9")] == ["+491", "+492"]
        opened = await search(store, billcode="0", process_status=ProcessStatus.OPEN, dst="+492")
        assert [each.job_id for each in opened] == [plans[0].job_id]

    async def test_a_search_goes_through_many_jobs(self, store: Store):
        rare = [a_plan(a_planned_sms("+49999"), at=after(at)) for at in (0, 700)]
        await store.add_job(rare[0])
        for at in range(1, 700):
            await store.add_job(a_plan(a_planned_sms(), at=after(at)))
        large = a_plan(*(a_planned_sms("+491") for _ in range(2999)), a_planned_sms("+49999"), at=after(0.5))
        await store.add_job(large)
        await store.add_job(rare[1])
        found = await search(store, dst="+49999")
        assert [each.job_id for each in found] == [rare[1].job_id, large.job_id, rare[0].job_id]
        assert found[1].sms.index == 2999
        assert len(await search(store, limit=10_000)) == 3701


# What the tests speak of


async def search(
    store: Store,
    *,
    since: datetime = LONG_AGO,
    until: datetime = LONG_HENCE,
    offset: int = 0,
    limit: int = 100,
    **criteria,
) -> list[FoundSms]:
    """Search among the SMS of account 1."""
    return await store.find_sms(SmsQuery(AccountId(1), since, until, Criteria(**criteria), offset, limit))


async def cancel(store: Store, plan, *, at: float = 0) -> tuple[int, int]:
    """Cancel a job; how many of its SMS are CANCELED and KILL by that."""
    cancelled = await store.cancel_job(plan.account, plan.job_id, after(at))
    assert cancelled is not None
    assert cancelled.job == await store.job(plan.account, plan.job_id)
    return cancelled.canceled_count, cancelled.killed_count


async def reasons(store: Store, plan) -> list[str]:
    return [each.reason for each in await progress_of(store, plan)]


def taken_for_good(part: DuePart):
    return submitted(part, receipt_due_at=None)


def retried(part: DuePart):
    return postponed(part, until=30)
