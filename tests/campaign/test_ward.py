"""What the campaign knows of an engine's sockets."""

from __future__ import annotations

import os
import socket
import struct

from tests.campaign.ward import Sockets


def test_a_socket_leaks_that_leads_nowhere_for_long() -> None:
    sockets = Sockets()
    for now_s, lost in ((0, {"a", "b"}), (5, {"a"}), (9, {"a", "b"}), (10, {"a", "b"}), (18, {"b"})):
        sockets.note(lost, now_s)
    assert sockets.leaked == {"a"}


def test_a_socket_that_was_reset_and_one_that_the_peer_has_closed_lead_nowhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ends = [(socket.create_connection(listening.getsockname()), listening.accept()[0]) for _ in range(3)]
        (whole, _), (closed, mine), (reset, other) = ends
        closed.close()
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reset.close()
        sockets = Sockets()
        for now_s in (0, 11):
            sockets.look(os.getpid(), now_s)
        names = {os.readlink(f"/proc/self/fd/{one.fileno()}")[8:-1] for one in (mine, other)}
        assert names <= sockets.leaked
        assert os.readlink(f"/proc/self/fd/{whole.fileno()}")[8:-1] not in sockets.leaked
        for pair in ends:
            for one in pair:
                one.close()
