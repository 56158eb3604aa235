"""Whatever a client sends, and however it is cut, the simulator answers or closes, and nothing breaks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.simulator.behaviour import IdFormat, ReceiptFormat, ReceiptOrder
from heliograph.simulator.pdu_log import PduLog
from heliograph.smpp import pdus
from tests.simulator.world import World, a_message

FRAMES = st.builds(
    pdus.encode,
    st.one_of(
        st.sampled_from([pdu() for pdu in pdus.ALL]),
        st.builds(
            a_message,
            st.sampled_from(["49176123", "49170001", "49170004", "49170006", "no number"]),
            esm_class=st.sampled_from([0, 0x40]),
            data_coding=st.integers(0, 255),
            registered_delivery=st.integers(0, 31),
            validity_period=st.sampled_from([b"", b"000000000100000R", b"tomorrow"]),
            short_message=st.binary(max_size=254),
        ),
    ),
    st.integers(0, 0x7FFFFFFF),
    st.sampled_from([0, 8, 0x58]),
)
FAULTS = st.fixed_dictionaries(
    {},
    optional={
        "drop_answers": st.sampled_from([0.5, 1]),
        "close_every": st.integers(1, 3),
        "late_answers_s": st.just(1),
        "latency_s": st.just(1),
        "rate": st.just(2),
        "max_window": st.integers(1, 3),
        "receipt_window": st.integers(1, 3),
        "kept_receipts": st.integers(1, 3),
        "duplicate_receipts": st.booleans(),
        "ignore_enquire_link": st.booleans(),
        "receipt_order": st.sampled_from(ReceiptOrder),
        "receipt_format": st.sampled_from(ReceiptFormat),
        "ids": st.sampled_from(IdFormat),
    },
)


@settings(max_examples=200, deadline=None)
@given(FAULTS, st.lists(st.one_of(FRAMES, st.binary(max_size=40)), max_size=20), st.data())
def test_any_bytes_are_answered_or_close_the_connection(behaviour, pieces, data):
    world = World(**behaviour)
    link = world.smsc.connect(world.now)
    log_in, log_out = PduLog(1, "<"), PduLog(1, ">")
    stream = pdus.encode(pdus.BindTransceiver(b"helio"), 1) + b"".join(pieces)
    while stream and not link.closing:
        cut = data.draw(st.integers(1, len(stream)))
        log_in.lines(stream[:cut])
        link.receive(stream[:cut], world.now)
        log_out.lines(link.data_to_send())
        stream = stream[cut:]
        world.now += data.draw(st.sampled_from([0, 0.3, 1, 20]))
        world.smsc.expire(world.now)
        link.expire(world.now)
        log_out.lines(link.data_to_send())
    link.disconnected(world.now)
    assert world.smsc.links == set()
    summary = world.smsc.summary
    assert summary.submissions == summary.accepted + summary.refused + summary.put_off + summary.throttled
    assert summary.receipts.waiting >= 0
