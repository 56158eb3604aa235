"""What goes wrong between two peers, by who has to act."""


class LocalProtocolError(Exception):
    """We broke the protocol, or were about to: a bug on our side. Nothing was sent."""


class RemoteProtocolError(Exception):
    """The peer sent what can't be read on from: drop the connection."""


class MalformedPdu(RemoteProtocolError):
    """A PDU of a good length that doesn't hold what its command_id promises. What follows it can still be read."""

    def __init__(self, command_id: int, sequence: int, reason: str) -> None:
        super().__init__(reason)
        self.command_id = command_id
        self.sequence = sequence
        self.reason = reason
