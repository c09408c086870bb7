"""Writing to a Twisted transport without a detour through the event loop, and how much of it has left."""

from __future__ import annotations

from typing import Any

from twisted.internet.tcp import Connection


def write_now(transport: Any, data: bytes) -> None:
    """Send at once what the socket takes, and leave the rest to the transport.

    `transport.write` asks the event loop to say when the socket is writable, which it nearly always is: two system
    calls and a turn of the loop for each answer. Only for bare TCP: below TLS lies a socket too, and it takes plain text.
    """
    if isinstance(transport, Connection) and not transport.dataBuffer and not transport._tempDataBuffer and not transport.disconnecting:
        try:
            data = data[transport.socket.send(data) :]
        except OSError:  # the socket is full, or lost: the transport meets that itself
            pass
    if data:
        transport.write(data)


def unsent_bytes(transport: Any) -> int:
    """How much of what was written the socket has not taken; also after the connection was lost.

    0 over TLS, where what waits below is not what was written.
    """
    if not isinstance(transport, Connection):
        return 0
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


class Written:
    """Of one connection. at_s: when it was last written on, or begun. size_bytes: all that was written; messages: in so many."""

    __slots__ = ("at_s", "messages", "size_bytes")

    def __init__(self, now_s: float) -> None:
        self.at_s, self.messages, self.size_bytes = now_s, 0, 0

    def lacks(self, whole_at: int, transport: Any) -> bool:
        """Whether so many of the bytes have not all left."""
        return self.size_bytes - unsent_bytes(transport) < whole_at
