"""A session's life told line by line: what happens to it, and what it sends and tells at once."""

from heliograph.smpp.framing import Framer
from heliograph.smpp.pdus import RESPONSE, BindTransceiver, BindTransceiverResp, decode, encode
from heliograph.smpp.session import Role, Session, Settings


class Playbook:
    """Each step is one input; `sends` and `emits` look at what came of it, and must name all of it.

    Between inputs, time passes as it would with an owner that sets its timer: deadline by deadline.
    """

    def __init__(self, session, now=0.0):
        self.session = session
        self.now = now
        self.last_sequence = None

    def after_s(self, seconds):
        end = self.now + seconds
        while (deadline := self.session.next_deadline()) is not None and deadline <= end:
            assert deadline >= self.now, "a deadline in the past would be a busy loop"
            self.now = deadline
            self.session.expire(self.now)
            assert self.session.next_deadline() != deadline, "an expired deadline must go"
        self.now = end
        return self

    def receives(self, pdu, sequence=None, status=0):
        """A request of the peer's, or its response to our last request."""
        if sequence is None:
            sequence = self.last_sequence if pdu.command_id & RESPONSE else 1
        return self.receives_bytes(encode(pdu, sequence, status))

    def receives_bytes(self, data):
        self.session.receive(data, self.now)
        return self

    def submits(self, pdu):
        self.last_sequence = self.session.submit(pdu, self.now)
        return self

    def binds(self, pdu):
        self.last_sequence = self.session.bind(pdu, self.now)
        return self

    def unbinds(self):
        self.last_sequence = self.session.unbind(self.now)
        return self

    def acknowledges(self, sequence, *answer):
        self.session.acknowledge(sequence, *answer, now=self.now)
        return self

    def loses_the_connection(self):
        self.session.disconnected(self.now)
        return self

    def sends(self, *pdus):
        """PDUs, or (PDU, status) or (PDU, status, sequence) where these matter."""
        sent = [decode(frame) for frame in Framer().feed(self.session.data_to_send())]
        shown = []
        for wanted, got in zip(pdus, sent, strict=False):
            whole = (got.pdu, got.status, got.sequence)
            shown.append(whole[: len(wanted)] if isinstance(wanted, tuple) else got.pdu)
        assert shown + sent[len(shown) :] == list(pdus)
        if sent and not sent[-1].pdu.command_id & RESPONSE:
            self.last_sequence = sent[-1].sequence
        return self

    def emits(self, *events):
        assert self.session.events() == list(events)
        return self

    def is_in(self, state):
        assert self.session.state is state
        return self


def open_session(role=Role.ESME, first_sequence=1, now=0.0, **settings):
    return Session(role, Settings(**settings), now, first_sequence=first_sequence)


def bound_session(bind=BindTransceiver, response=BindTransceiverResp, first_sequence=1, now=0.0, **settings):
    """An ESME's session that is bound, with nothing left to send or tell."""
    session = open_session(first_sequence=first_sequence, now=now, **settings)
    sequence = session.bind(bind(system_id=b"helio"), now)
    session.receive(encode(response(system_id=b"smsc"), sequence), now)
    session.data_to_send(), session.events()
    return session


def serving_session(bind=BindTransceiver, **settings):
    """An SMSC's session that is bound."""
    session = open_session(Role.SMSC, **settings)
    session.receive(encode(bind(system_id=b"helio"), 1), 0.0)
    session.acknowledge(1)
    session.data_to_send(), session.events()
    return session
