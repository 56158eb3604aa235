"""What any Store must do with a message id that a carrier gave twice; used like `recalls_conformance.py`."""

import pytest

from heliograph.jobs.inbound import NOBODY, text_of
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.status import Status
from heliograph.store.interface import Arrival, InboundQuery, ReceiptNews, Store, Submitted
from tests.fakes.builders import a_plan, a_planned_sms, after, an_inbound_part, numbers
from tests.store.conformance import a_leased_sms, delivered, failed, heard, lease, progress_of, submitted
from tests.store.jobs_conformance import cancel, reasons

HERS, HIS = "+4917600000001", "+4917600000002"


class ReceiptsConformance:
    """What `store.interface.ReceiptNews` promises of the phones in receipts."""

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_of_sms_with_one_id_a_receipt_means_the_one_to_its_phone(self, store: Store, at_once: bool):
        plan = await two_with_one_id(store)
        words = [about(HERS, Status.SUC_FIN), about(HIS, Status.FAILED_FIN)]
        for batch in [words] if at_once else [[word] for word in words]:
            await store.record_receipts("acme", batch)
        assert await statuses(store, plan) == [Status.SUC_FIN, Status.FAILED_FIN]

    @pytest.mark.parametrize("dst", [HERS, HIS])
    async def test_a_receipt_for_one_of_two_with_one_id_leaves_the_other(self, store: Store, dst: str):
        plan = await two_with_one_id(store)
        await store.record_receipts("acme", [about(dst, Status.FAILED_FIN)])
        found = await statuses(store, plan)
        assert (found[dst == HIS], found[dst == HERS]) == (Status.FAILED_FIN, Status.NONE)

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_a_receipt_that_comes_twice_is_not_for_another_phone(self, store: Store, at_once: bool):
        plan = await two_with_one_id(store)
        words = [about(HERS, Status.FAILED_FIN, is_phone_known=True)] * 2
        for batch in [words] if at_once else [[word] for word in words]:
            await store.record_receipts("acme", batch)
        assert await statuses(store, plan) == [Status.FAILED_FIN, Status.NONE]

    async def test_a_receipt_that_overtakes_waits_though_another_sms_has_its_id(self, store: Store):
        plan = a_plan(a_planned_sms(HERS), a_planned_sms(HIS))
        await store.add_job(plan)
        hers, his = await lease(store)
        await store.record_outcomes("acme", [submitted(hers, "m1")])
        await store.record_receipts("acme", [about(HIS, Status.FAILED_FIN, is_phone_known=True)])
        assert await statuses(store, plan) == [Status.NONE, Status.NONE]
        await store.record_outcomes("acme", [submitted(his, "m1")])
        assert await statuses(store, plan) == [Status.NONE, Status.FAILED_FIN]

    async def test_a_receipt_that_waits_is_not_given_to_another_phone_s_answer(self, store: Store):
        plan = a_plan(a_planned_sms(HERS), a_planned_sms(HIS))
        await store.add_job(plan)
        hers, his = await lease(store)
        await store.record_receipts("acme", [about(HIS, Status.FAILED_FIN, is_phone_known=True)])
        await store.record_outcomes("acme", [submitted(hers, "m1")])
        await store.record_outcomes("acme", [submitted(his, "m1")])
        assert await statuses(store, plan) == [Status.NONE, Status.FAILED_FIN]

    async def test_a_receipt_that_overtook_finds_its_phone_however_many_answers_come_with_its_own(self, store: Store):
        plan = a_plan(a_planned_sms(HERS), *(a_planned_sms(dst) for dst in numbers(60)), a_planned_sms(HIS))
        await store.add_job(plan)
        hers, *parts, his = await lease(store, limit=62)
        await store.record_receipts("acme", [about(HIS, Status.FAILED_FIN)])
        others = [submitted(part, f"x{place}") for place, part in enumerate(parts)]
        await store.record_outcomes("acme", [submitted(hers, "m1"), *others, submitted(his, "m1")])
        first, *_, last = await statuses(store, plan)
        assert (first, last) == (Status.NONE, Status.FAILED_FIN)

    async def test_a_phone_that_nobody_knows_says_nothing_against_the_id(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, "m1")])
        await store.record_receipts("acme", [delivered("m1", phones=("4917699999999", "12345"))])
        assert await statuses(store, plan) == [Status.SUC_FIN]

    async def test_parts_of_one_id_take_one_receipt_each_where_it_names_their_phone(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(part, "m1") for part in parts])
        word = delivered("m1", phones=("4917612345678", ""))
        await store.record_receipts("acme", [word, word])
        assert await statuses(store, plan) == [Status.NONE]
        await store.record_receipts("acme", [word])
        assert await statuses(store, plan) == [Status.SUC_FIN]

    @pytest.mark.parametrize("failed_part", [None, 2, 3])
    async def test_a_receipt_behind_an_answer_that_is_not_stored_yet_waits_for_it(self, store: Store, failed_part):
        plan, *parts = await a_leased_sms(store, parts=3)
        for number, part in enumerate(parts, 1):
            if number > 1:
                await store.record_receipts("acme", [word(number == failed_part)])
            await store.record_outcomes("acme", [submitted(part, "m1")])
            if number == 1:
                await store.record_receipts("acme", [word()])
        assert await statuses(store, plan) == [Status.FAILED_FIN if failed_part else Status.SUC_FIN]

    @pytest.mark.parametrize("at_once", [True, False])
    @pytest.mark.parametrize("answered_before", [0, 1])
    @pytest.mark.parametrize("phones", [(), ("4917612345678", "12345")])
    async def test_receipts_of_one_id_overtake_one_for_each_part(self, store: Store, at_once, answered_before, phones):
        plan, *parts = await a_leased_sms(store, parts=4)
        await store.record_outcomes("acme", [submitted(part, "m1") for part in parts[:answered_before]])
        words = [delivered("m1", phones=phones)] * 3
        for batch in [words] if at_once else [[each] for each in words]:
            await store.record_receipts("acme", batch)
        answers = [submitted(part, "m1") for part in parts[answered_before:]]
        for batch in [answers] if at_once else [[each] for each in answers]:
            await store.record_outcomes("acme", batch)
        assert await statuses(store, plan) == [Status.NONE], "three receipts are none for four parts"
        await store.record_receipts("acme", [delivered("m1", phones=phones)])
        assert await statuses(store, plan) == [Status.SUC_FIN]

    async def test_what_is_not_final_waits_as_well(self, store: Store):
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1")])
        await store.record_receipts("acme", [word(), heard("m1", "on its way", at=7)])
        await store.record_outcomes("acme", [submitted(second, "m1")])
        (overdue,) = await lease(store, at=200_000)
        assert overdue.heard
        await store.record_receipts("acme", [word()])
        assert await statuses(store, plan) == [Status.SUC_FIN]

    @pytest.mark.parametrize("fails", [True, False])
    async def test_a_repetition_is_for_no_other_part_where_each_has_its_own_id(self, store: Store, fails: bool):
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1")])
        await store.record_receipts("acme", [word()])
        await store.record_receipts("acme", [word(fails), word(fails)])
        await store.record_outcomes("acme", [submitted(second, "m2")])
        assert await statuses(store, plan) == [Status.NONE]
        await store.record_receipts("acme", [word(fails), delivered("m2")])
        assert await statuses(store, plan) == [Status.SUC_FIN]

    async def test_a_repetition_that_waits_is_not_given_to_another_phone_s_answer(self, store: Store):
        plan = a_plan(a_planned_sms(HERS, parts=2), a_planned_sms(HIS, message=1))
        await store.add_job(plan)
        first, second, his = await lease(store)
        await store.record_outcomes("acme", [submitted(first, "m1")])
        await store.record_receipts("acme", [about(HERS, Status.SUC_FIN, is_phone_known=True)] * 2)
        await store.record_outcomes("acme", [submitted(his, "m1"), submitted(second, "m2")])
        assert await statuses(store, plan) == [Status.NONE, Status.NONE]

    async def test_of_killed_sms_with_one_id_a_receipt_means_the_one_to_its_phone(self, store: Store):
        plan = await two_with_one_id(store)
        await cancel(store, plan)
        await store.record_receipts("acme", [about(HERS, Status.SUC_FIN)])
        hers, his = await reasons(store, plan)
        assert (hers, his == hers) == ("SUC_FIN", False)

    # What may be no receipt at all

    async def test_what_reads_like_a_receipt_and_is_for_nobody_is_a_lookalike_in_the_end(self, store: Store):
        await store.record_receipts("acme", [written("m1", "one", at=1), delivered("m2", at=1)])
        await store.record_receipts("beta", [written("m1", "two", at=2)])
        assert await store.lookalikes(after(0), 10) == []
        assert await lookalikes(store, at=1) == [("acme", "one")]
        found = await store.lookalikes(after(2), 10)
        assert {each.number for each in found} & {0} == set()
        assert len(await store.lookalikes(after(2), 1)) == 1
        for each in found:
            arrival = Arrival(each.part, each.number, NOBODY, each.number)
            assert len((await store.record_inbound(each.carrier, [arrival])).sms) == 1
            assert await store.record_inbound(each.carrier, [arrival]) == ([], 0)
        assert await store.lookalikes(after(9), 10) == []
        told = await store.find_inbound(InboundQuery(NOBODY, after(-1), after(99), 0, 10))
        assert sorted(sms.text for sms in told) == ["one", "two"]

    @pytest.mark.parametrize("overtakes", [True, False])
    @pytest.mark.parametrize("killed", [True, False])
    async def test_what_is_for_an_sms_is_no_lookalike(self, store: Store, overtakes: bool, killed: bool):
        plan, part = await a_leased_sms(store)
        news = written("x1", "m1", "id:m1 stat:DELIVRD", at=5)
        answer = Submitted(part.segment.id, "m1", after(6), after(999), after(999))
        if overtakes:
            await store.record_receipts("acme", [news])
        if killed:
            await cancel(store, plan)
        await store.record_outcomes("acme", [answer])
        if not overtakes:
            await store.record_receipts("acme", [news])
        assert await lookalikes(store, at=9999) == []
        assert await reasons(store, plan) == ["yes"]

    async def test_a_lookalike_of_somebody_else_s_receipt_is_one(self, store: Store):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, "m1")])
        await store.record_receipts("acme", [written("m1", "one", phone="4917600000000")])
        assert await statuses(store, plan) == [Status.NONE]
        assert await lookalikes(store, at=9) == [("acme", "one")]

    async def test_a_lookalike_is_there_until_it_is_told(self, store: Store):
        await store.record_receipts("acme", [written("m1", "one", at=0)])
        for hour in range(1, 9):
            await store.record_receipts("acme", [delivered(f"x{hour}.{each}", at=hour * 3600) for each in range(20)])
        assert await lookalikes(store, at=0) == [("acme", "one")]


def written(*ids_and_text: str, at: float = 5, phone: str = "4917612345678") -> ReceiptNews:
    """What reads like a receipt for one of several spellings of an id, and has come from a phone."""
    *ids, text = ids_and_text
    part = an_inbound_part(text, src=phone, at=after(at))
    return ReceiptNews("", Status.SUC_FIN, "yes", after(at), tuple(ids), (phone, "12345"), False, part)


async def lookalikes(store: Store, *, at: float) -> list[tuple[str, str]]:
    return [(each.carrier, text_of([each.part])) for each in await store.lookalikes(after(at), 100)]


def about(dst: str, status: Status, *, is_phone_known: bool = False) -> ReceiptNews:
    """A receipt for the id that was given twice; it names the phone as a carrier does."""
    return ReceiptNews("m1", status, status.value, after(5), (), (dst[1:], "12345"), is_phone_known)


def word(fails: bool = False) -> ReceiptNews:
    return failed("m1", at=5) if fails else delivered("m1", at=5)


async def two_with_one_id(store: Store) -> JobPlan:
    plan = a_plan(a_planned_sms(HERS), a_planned_sms(HIS))
    await store.add_job(plan)
    await store.record_outcomes("acme", [submitted(part, "m1") for part in await lease(store)])
    return plan


async def statuses(store: Store, plan: JobPlan) -> list[Status]:
    return [each.status for each in await progress_of(store, plan)]
