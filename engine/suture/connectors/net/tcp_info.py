"""What the kernel knows of a connection before the event loop tells it (struct tcp_info of linux/tcp.h)."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

_LINUX = sys.platform == "linux"
_INFO = struct.Struct("=B127xQ")
"""tcpi_state and tcpi_bytes_received (the latter since Linux 4.1)."""
_CLOSE, _CLOSE_WAIT = 7, 8
ENDED = (_CLOSE, _CLOSE_WAIT)
"""States after a reset, and after the peer's FIN (TCP_CLOSE and TCP_CLOSE_WAIT of net/tcp_states.h): the peer has ended the connection."""


def look(sock: Any) -> tuple[int, int]:
    """The state of a connection, and how many bytes have come on it, read or not. (0, 0) where the system does not tell.

    What is written after its end cannot be answered, so that it is better written elsewhere. One system call that does not give up
    the interpreter's lock, unlike poll.
    """
    if not _LINUX:
        return 0, 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except (OSError, ValueError):  # closed already, and not told yet
        return _CLOSE, 0
    state, received_bytes = _INFO.unpack(info.ljust(_INFO.size, b"\0"))
    return state, received_bytes


def is_dead(sock: Any) -> bool:
    """Whether the connection is over in both directions: reset, timed out, or closed by both sides. (Elsewhere than on Linux: False.)"""
    return look(sock)[0] == _CLOSE
