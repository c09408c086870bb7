"""Sockets as connectors want them: keep-alive that notices a dead peer in time, writing without a detour, ports that are shared,
endings that end; and what the kernel knows of a connection before the event loop tells it (struct tcp_info of linux/tcp.h)."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import error, tcp

from suture.ports import Clock

LINUX = sys.platform == "linux"
_INFO = struct.Struct("=B127xQ")
"""tcpi_state and tcpi_bytes_received (the latter since Linux 4.1)."""
_CLOSE, _CLOSE_WAIT = 7, 8
ENDED = (_CLOSE, _CLOSE_WAIT)
"""States after a reset, and after the peer's FIN (TCP_CLOSE and TCP_CLOSE_WAIT of net/tcp_states.h): the peer has ended the connection."""
PROBES = 4
"""Keep-alive probes without an answer after which the kernel gives a connection up."""
LINGER_S = 5.0
"""Seconds that a peer has to take what was written and close its side, before the connection is cut."""
_FAILURES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ConnectionRefusedError, error.ConnectionRefusedError), "connection refused"),
    ((TimeoutError, error.TimeoutError, error.TCPTimedOutError), "no answer to the connection attempt"),
    ((socket.gaierror, error.DNSLookupError), "the host name is not known"),
    ((error.ConnectBindError,), "the address of source_host is not this machine's"),
)
"""Why there is no connection, by what asyncio and Twisted raise."""

Held = Iterator[tuple[socket.socket, Callable[[], None]]]
"""The sockets of a connector's connections, each with what ends its connection at once (a connector's `held()`)."""


def prepare(transport: Any, keepalive_s: float) -> None:
    """Send small packets at once, and have the kernel probe a connection that was silent for keepalive_s.

    One that its peer has reset meanwhile may refuse that, and is told to be lost by the reactor.
    """
    with contextlib.suppress(OSError):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
        handle = bare(transport)
        if LINUX:  # elsewhere the kernel's own times hold
            for option, value in (
                (socket.TCP_KEEPIDLE, keepalive_s),
                (socket.TCP_KEEPINTVL, keepalive_s / PROBES),
                (socket.TCP_KEEPCNT, PROBES),
            ):
                handle.setsockopt(socket.IPPROTO_TCP, option, max(1, min(32767, int(value))))


def no_connection(why: BaseException | None) -> str:
    """Why there is no connection, in an operator's words."""
    return next((words for kinds, words in _FAILURES if isinstance(why, kinds)), type(why).__name__)


def bare(transport: Any) -> socket.socket:
    """The socket of a Twisted transport, below TLS where there is TLS."""
    found: socket.socket = getattr(transport, "transport", transport).getHandle()
    return found


def write_now(transport: Any, data: bytes) -> None:
    """Send at once what the socket takes, and leave the rest to the transport.

    `transport.write` asks the event loop to say when the socket is writable, which it nearly always is: two system
    calls and a turn of the loop for each answer. Only for bare TCP: below TLS lies a socket too, and it takes plain text.
    """
    if isinstance(transport, tcp.Connection) and not transport.dataBuffer and not transport._tempDataBuffer and not transport.disconnecting:
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
    if not isinstance(transport, tcp.Connection):
        return 0
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


class SharedPort(tcp.Port):
    """A port that several processes may listen on; the kernel spreads the connections over them (SO_REUSEPORT)."""

    def createInternetSocket(self) -> socket.socket:  # noqa: N802
        made = super().createInternetSocket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return made


def hang_up(transport: Any, clock: Clock, slowly: bool) -> Any:
    """Close in good order, and cut the connection after LINGER_S; cancel the timer that this gives when it is lost.

    slowly: to a peer that is still talking: it hears our end at once, and has LINGER_S to read what was said before. Closing
    while it talks would reset the connection, and that may take what it has not read yet.
    """
    if slowly and hasattr(transport, "loseWriteConnection") and not hasattr(transport, "wrappedProtocol"):
        transport.loseWriteConnection()
    else:
        transport.loseConnection()  # TLS says its own goodbye, and waits for the peer's
    return clock.callLater(LINGER_S, transport.abortConnection)


def tcp_info(sock: Any) -> tuple[int, int]:
    """The state of a connection, and how many bytes have come on it, read or not. (0, 0) where the system does not tell.

    What is written after its end cannot be answered, so that it is better written elsewhere. One system call that does not give up
    the interpreter's lock, unlike poll.
    """
    if not LINUX:
        return 0, 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except (OSError, ValueError):  # closed already, and not told yet
        return _CLOSE, 0
    state, received_bytes = _INFO.unpack(info.ljust(_INFO.size, b"\0"))
    return state, received_bytes


def is_dead(sock: Any) -> bool:
    """Whether the connection is over in both directions: reset, timed out, or closed by both sides. (Elsewhere than on Linux: False.)"""
    return tcp_info(sock)[0] == _CLOSE
