"""A simulated SMSC and its clients in one world without sockets, where time is moved by hand."""

from heliograph.simulator.behaviour import Behaviour
from heliograph.simulator.smsc import Smsc
from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import BindTransceiver, DataSm, DeliverSm, SubmitSm
from heliograph.smpp.receipts import read_receipt
from heliograph.smpp.session import Answered, BindRefused, Bound, Requested, Role, Session, Settings, Unanswered
from heliograph.smpp.statuses import CommandStatus, status_name
from tests.fakes.builders import NOW
from tests.fakes.ids import SeededIds


class World:
    def __init__(self, seed=0, **behaviour):
        self.now = 100.0
        self.smsc = Smsc(Behaviour(**behaviour), SeededIds(seed), self.now, NOW)
        self.clients = []

    def client(self, bind=BindTransceiver, system_id=b"helio", password=b"", acknowledging=0, **settings):
        """Somebody who has just bound. acknowledging: the status receipts are answered with; None for no answer."""
        client = Client(self, acknowledging, settings)
        self.clients.append(client)
        client.session.bind(bind(system_id=system_id, password=password), self.now)
        self.settle()
        return client

    def settle(self):
        """Carry bytes to and fro until nobody has any."""
        busy = True
        while busy:
            busy = False
            for client in self.clients:
                busy |= client.exchange()

    def advance(self, seconds):
        end = self.now + seconds
        while (deadline := self._next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.smsc.expire(self.now)
            for client in self.clients:
                if client.connected:
                    client.link.expire(self.now)
                    client.session.expire(self.now)
            self.settle()
        self.now = end

    def _next_deadline(self):
        deadlines = [self.smsc.next_deadline()]
        for client in self.clients:
            if client.connected:
                deadlines += [client.link.next_deadline(), client.session.next_deadline()]
        return min((d for d in deadlines if d is not None), default=None)


class Client:
    def __init__(self, world, acknowledging, settings):
        self.world = world
        self.acknowledging = acknowledging
        self.session = Session(Role.ESME, Settings(**({"window": 1000} | settings)), world.now)
        self.link = world.smsc.connect(world.now)
        self.connected = True
        self.events = []
        self.delivered = []
        """The receipts and SMS that came, acknowledged or not."""

    def exchange(self):
        if not self.connected:
            return False
        to_link, to_client = self.session.data_to_send(), self.link.data_to_send()
        if to_link:
            self.link.receive(to_link, self.world.now)
        if to_client:
            self.session.receive(to_client, self.world.now)
        for event in self.session.events():
            self.events.append(event)
            if isinstance(event, Requested):
                self.delivered.append(event.pdu)
                if self.acknowledging is not None:
                    self.session.acknowledge(event.sequence, self.acknowledging)
        if self.link.closing:
            self.session.receive(self.link.data_to_send(), self.world.now)
            self.hang_up()
        return bool(to_link or to_client)

    def hang_up(self):
        self.connected = False
        self.link.disconnected(self.world.now)
        self.session.disconnected(self.world.now)
        self.events += self.session.events()

    def unbind(self):
        self.session.unbind(self.world.now)
        self.world.settle()

    def asks(self, pdu):
        self.session.submit(pdu, self.world.now)
        self.world.settle()

    def sends(self, dst="4917612345678", **fields):
        """Submit one message; the name of its answer's status, or None without one."""
        self.asks(a_message(dst, **fields))
        return self.answers[-1] if self.answers else None

    @property
    def answers(self):
        return [status_name(event.status) for event in self.events if isinstance(event, Answered)]

    @property
    def responses(self):
        return [event.response for event in self.events if isinstance(event, Answered)]

    @property
    def message_ids(self):
        return [event.response.message_id for event in self.events if _is_taken(event)]

    @property
    def unanswered_count(self):
        return sum(isinstance(event, Unanswered) for event in self.events)

    @property
    def is_bound(self):
        return any(isinstance(event, Bound) for event in self.events)

    @property
    def refusal(self):
        return next((CommandStatus(e.status).name for e in self.events if isinstance(e, BindRefused)), None)

    @property
    def receipts(self):
        return [receipt for pdu in self.delivered if (receipt := read_receipt(pdu)) is not None]

    @property
    def states(self):
        return [receipt.state.name for receipt in self.receipts]

    @property
    def receipted_ids(self):
        return [receipt.message_ids[0] for receipt in self.receipts]


def _is_taken(event):
    return isinstance(event, Answered) and not event.status and isinstance(event.request, SubmitSm)


def a_message(dst="4917612345678", **fields):
    return SubmitSm(
        **{
            "source_addr_ton": 5,
            "source_addr": b"heliograph",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": dst.encode(),
            "registered_delivery": 1,
            "short_message": b"Hello",
        }
        | fields
    )


def payload_of(pdu):
    assert isinstance(pdu, DeliverSm | DataSm)
    found = find(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    return found.value if found else None
