"""What any Carrier must do. A new one subclasses this and provides `carrier`, and numbers for which it does so."""

import asyncio

from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.carriage import Accepted, MessageState, Refused, Segment, SegmentId
from heliograph.jobs.naming import JobId
from tests.fakes.builders import after
from tests.fakes.clock import ManualClock, settle

LONG_S = 60.0


def a_segment(number=1, *, dst="+4917612345678", receipt_wanted=True, parts=1, part=1):
    return Segment(
        id=SegmentId(number << 5 | part - 1),
        job_id=JobId("J.20260301-120000.000-0mm7pcqo0ABCDEFGHI"),
        src="heliograph",
        dst=dst,
        text="Hello",
        encoding=Encoding.STANDARD,
        part=part,
        parts=parts,
        reference=number & 0xFFFF,
        flash=False,
        express=False,
        receipt_wanted=receipt_wanted,
        expires_at=after(86_400),
        validity_min=0,
    )


class CarrierConformance:
    """Provide fixtures `clock` and `carrier`, running, with the peer it needs.

    delivered_dst, refused_dst: numbers that the peer delivers to, and refuses for good.
    """

    delivered_dst = "+4917612345678"
    refused_dst = "+4917612340003"

    async def _pass(self, clock, waiting, seconds=LONG_S):
        """What a coroutine returns, while time passes."""
        task = asyncio.ensure_future(waiting)
        await self._let_pass(clock, task, seconds)
        return task.result()

    async def _let_pass(self, clock: ManualClock, task, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            if task.done():
                return
            await clock.advance(0.1)

    async def _outcomes(self, carrier, clock, count):
        found = []
        while len(found) < count:
            found += await self._pass(clock, carrier.outcomes())
        return found

    async def _receipts(self, carrier):
        async with carrier.receipts() as receipts:
            assert receipts, "one or more"
            return receipts

    async def test_it_has_a_name_and_a_window(self, carrier):
        assert carrier.name
        assert carrier.window >= 1

    async def test_every_submission_is_answered_once(self, carrier, clock):
        numbers = range(1, carrier.window + 1)
        for number in numbers:
            carrier.submit(a_segment(number, dst=self.delivered_dst))
        outcomes = await self._outcomes(carrier, clock, carrier.window)
        assert sorted(outcome.segment for outcome in outcomes) == [number << 5 for number in numbers]
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        more = asyncio.ensure_future(carrier.outcomes())
        await self._let_pass(clock, more, 10)
        assert not more.done()
        more.cancel()
        await settle()

    async def test_accepted_segments_have_different_message_ids(self, carrier, clock):
        for number in range(1, carrier.window + 1):
            carrier.submit(a_segment(number, dst=self.delivered_dst))
        outcomes = await self._outcomes(carrier, clock, carrier.window)
        assert len({outcome.message_id for outcome in outcomes}) == carrier.window

    async def test_a_refusal_says_why(self, carrier, clock):
        carrier.submit(a_segment(dst=self.refused_dst))
        [outcome] = await self._outcomes(carrier, clock, 1)
        assert isinstance(outcome, Refused)
        assert outcome.reason

    async def test_an_answer_may_be_awaited_before_anything_was_submitted(self, carrier, clock):
        waiting = asyncio.ensure_future(carrier.outcomes())
        await settle()
        carrier.submit(a_segment(dst=self.delivered_dst))
        await self._let_pass(clock, waiting, LONG_S)
        assert [outcome.segment for outcome in waiting.result()] == [a_segment().id]

    async def test_a_delivered_segment_s_receipt_comes_with_its_message_id(self, carrier, clock):
        carrier.submit(a_segment(dst=self.delivered_dst))
        [outcome] = await self._outcomes(carrier, clock, 1)
        [receipt] = await self._pass(clock, self._receipts(carrier))
        assert (receipt.message_id, receipt.state) == (outcome.message_id, MessageState.DELIVERED)

    async def test_a_receipt_that_was_not_asked_for_does_not_come(self, carrier, clock):
        carrier.submit(a_segment(dst=self.delivered_dst, receipt_wanted=False))
        await self._outcomes(carrier, clock, 1)
        waiting = asyncio.ensure_future(self._receipts(carrier))
        await self._let_pass(clock, waiting, LONG_S)
        assert not waiting.done()
        waiting.cancel()
        await settle()

    async def test_a_receipt_comes_again_when_the_block_failed(self, carrier, clock):
        class StoreIsAway(Exception):
            pass

        async def failing():
            async with carrier.receipts() as receipts:
                seen.extend(receipts)
                raise StoreIsAway

        seen = []
        carrier.submit(a_segment(dst=self.delivered_dst))
        await self._outcomes(carrier, clock, 1)
        failure = asyncio.ensure_future(failing())
        await self._let_pass(clock, failure, LONG_S)
        assert isinstance(failure.exception(), StoreIsAway)
        again = await self._pass(clock, self._receipts(carrier))
        assert [receipt.message_id for receipt in again] == [receipt.message_id for receipt in seen]

    async def test_a_receipt_comes_again_when_its_reader_was_cancelled(self, carrier, clock):
        async def forever():
            async with carrier.receipts():
                reading.set()
                await asyncio.Event().wait()

        reading = asyncio.Event()
        carrier.submit(a_segment(dst=self.delivered_dst))
        await self._outcomes(carrier, clock, 1)
        reader = asyncio.ensure_future(forever())
        await self._pass(clock, reading.wait())
        reader.cancel()
        await settle()
        assert await self._pass(clock, self._receipts(carrier))

    async def test_an_acknowledged_receipt_comes_no_more(self, carrier, clock):
        carrier.submit(a_segment(dst=self.delivered_dst))
        await self._outcomes(carrier, clock, 1)
        await self._pass(clock, self._receipts(carrier))
        waiting = asyncio.ensure_future(self._receipts(carrier))
        await self._let_pass(clock, waiting, LONG_S)
        assert not waiting.done()
        waiting.cancel()
        await settle()

    async def test_what_comes_while_receipts_are_read_is_not_lost(self, carrier, clock):
        async def reading_slowly():
            async with carrier.receipts() as receipts:
                carrier.submit(a_segment(2, dst=self.delivered_dst))
                await clock.sleep(5)
                return receipts

        carrier.submit(a_segment(1, dst=self.delivered_dst))
        first = await self._pass(clock, reading_slowly())
        second = await self._pass(clock, self._receipts(carrier))
        assert len(first) == len(second) == 1
        assert first[0].message_id != second[0].message_id

    async def test_a_carrier_that_is_told_to_stop_does(self, carrier, clock):
        waiting = [asyncio.ensure_future(each) for each in (carrier.outcomes(), self._receipts(carrier))]
        await clock.advance(1)
        for task in waiting:
            task.cancel()
        await settle()
        assert all(task.cancelled() for task in waiting)
