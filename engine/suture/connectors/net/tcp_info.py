"""What the kernel knows of a connection before the event loop tells it (struct tcp_info of linux/tcp.h)."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

_LINUX = sys.platform == "linux"
_STATE = 0
_INFO = struct.Struct("=B127xQ")
"""tcpi_state and tcpi_bytes_received (the latter since Linux 4.1)."""
_CLOSE, _CLOSE_WAIT = 7, 8
"""After a reset, and after the peer's FIN (TCP_CLOSE and TCP_CLOSE_WAIT of net/tcp_states.h)."""


def look(sock: Any) -> tuple[bool, int]:
    """Whether the peer has ended the connection, and how many bytes have come on it, read or not.

    What is written after its end cannot be answered, so that it is better written elsewhere. (False, 0) where the system does
    not tell. One system call that does not give up the interpreter's lock, unlike poll.
    """
    if not _LINUX:
        return False, 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except (OSError, ValueError):  # closed already, and not told yet
        return True, 0
    state, received_bytes = _INFO.unpack(info.ljust(_INFO.size, b"\0"))
    return state in (_CLOSE, _CLOSE_WAIT), received_bytes


def is_dead(sock: Any) -> bool:
    """Whether the connection is over in both directions: reset, timed out, or closed by both sides. (Elsewhere than on Linux: False.)"""
    if not _LINUX:
        return False
    try:
        return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[_STATE] == _CLOSE)
    except (OSError, ValueError):
        return True
