"""The SMPP carrier is a Carrier, over a real socket."""

import pytest

from tests.carriers.conformance import CarrierConformance
from tests.carriers.sockets import SocketClock, bound_carrier
from tests.fakes.smsc import fake_smsc


@pytest.fixture
def clock():
    return SocketClock()


class TestSmppIsACarrier(CarrierConformance):
    @pytest.fixture
    async def carrier(self, clock):
        async with fake_smsc(clock) as smsc, bound_carrier(smsc, clock) as carrier:
            yield carrier
