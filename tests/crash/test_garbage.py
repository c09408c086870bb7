"""Sent garbage: a clear answer or a closed connection, a log line without content, and other connections unharmed."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.hospital import MARKER, Hospital, check_sink, wait_until
from tests.crash.load import dft
from tests.faults.certificates import Authority

CLOSED_WITHIN_S = 12
STRANGER = 999
"""An account that the other senders have not."""


@pytest.fixture
def busy(hospital: Hospital) -> Iterator[Hospital]:
    """A hospital with senders that are not to notice anything."""
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: len(charges.acked) > 50)
    before = hospital.rss_bytes()
    yield hospital
    taken = len(charges.acked)
    wait_until(lambda: len(charges.acked) > taken + 50, what="others go on")
    assert (charges.refused, charges.broken) == (0, 0), "others were disturbed"
    assert hospital.rss_bytes() - before < 60_000_000
    hospital.wait_for_delivery()
    hospital.terminate()
    check_sink([row for row in hospital.erp.seen if row[0].startswith("C")], charges.acked)


def bad(hospital: Hospital) -> socket.socket:
    """A connection of a bad sender."""
    return socket.create_connection(("127.0.0.1", hospital.charges_port), 5)


def end_of(connection: socket.socket) -> bytes:
    """What is answered until the engine closes the connection."""
    connection.settimeout(CLOSED_WITHIN_S)
    answer = b""
    with contextlib.suppress(ConnectionError):
        while got := connection.recv(65536):
            answer += got
    connection.close()
    return answer


def test_what_never_becomes_a_message_ends_its_connection(busy: Hospital) -> None:
    chance = random.Random(5)
    noisy, browser, halves = [bad(busy) for _ in range(5)], bad(busy), [bad(busy) for _ in range(20)]
    for connection in noisy:
        with contextlib.suppress(ConnectionError):
            connection.sendall(chance.randbytes(100_000))
    browser.sendall(b"GET / HTTP/1.1\r\nHost: " + MARKER.encode() + b"\r\n\r\n")
    for connection in halves:
        connection.sendall(b"\x0b" + dft("D1", STRANGER)[:-40])
    for connection in noisy:
        end_of(connection)
    assert [end_of(connection) for connection in (browser, *halves)] == [b""] * 21
    assert busy.said().count("FRAME_TIMEOUT") >= 21
    assert "STRAY_BYTES" in busy.said()
    assert 'suture_framing_quirks_total{channel="charges",code="STRAY_BYTES",destination=""}' in busy.page("metrics")[1]


def test_a_frame_of_fifty_megabytes(busy: Hospital) -> None:
    head, rest = dft("C9000001", STRANGER).split(b"\r", 1)
    with bad(busy) as connection:
        connection.settimeout(CLOSED_WITHIN_S)
        for n in (1, 2):  # the connection goes on
            connection.sendall(b"\x0b" + head + b"\r" + rest + MARKER.encode() * 6_250_000 + b"\r\x1c\r")
            answer = connection.recv(65536)
            assert b"\rMSA|AR|C9000001|" in answer and b"\rERR|" in answer
            connection.sendall(b"\x0b" + dft(f"X{n}", STRANGER) + b"\x1c\r")
            assert f"MSA|AA|X{n}".encode() in connection.recv(65536)
    assert "FRAME_TOO_LARGE" in busy.said()
    assert 'suture_framing_quirks_total{channel="charges",code="FRAME_TOO_LARGE",destination=""} 2.0' in busy.page("metrics")[1]
    listed = busy.suture("exception", "list", "--json").stdout
    assert "FRAME_TOO_LARGE" in listed and "C9000001" in listed and MARKER not in listed


def test_a_message_without_an_end_is_answered_and_ends_its_connection(hospital: Hospital) -> None:
    channel = hospital.directory / "channels" / "charges" / "channel.yaml"
    channel.write_text(channel.read_text().replace("frame_timeout_s: 1", "frame_timeout_s: 60, limit_bytes: 100000, skip_bytes: 1000000"))
    hospital.start()
    with bad(hospital) as connection:
        connection.sendall(b"\x0b" + dft("C9000002", STRANGER) + b"x" * 2_000_000)
        assert b"MSA|AR|C9000002|" in end_of(connection)
    assert hospital.query("SELECT code FROM exception") == [("FRAME_TOO_LARGE",)]
    hospital.terminate()


def test_signs_of_life_are_no_messages(hospital: Hospital) -> None:
    hospital.start()
    with bad(hospital) as connection:
        connection.settimeout(CLOSED_WITHIN_S)
        connection.sendall(b"\x0b\x1c\r" * 10 + b"\x0b" + dft("C1", 1) + b"\x1c\r" + b"\x0b\r\x1c\r" * 10)
        assert connection.recv(65536).count(b"\rMSA|") == 1
        connection.sendall(b"\x0b" + dft("C2", 1) + b"\x1c\r")
        assert connection.recv(65536).count(b"\rMSA|AA|C2") == 1
    assert hospital.query("SELECT count(*) FROM message") == [(2,)]
    assert hospital.query("SELECT count(*) FROM exception") == [(0,)]
    assert 'suture_framing_quirks_total{channel="charges",code="EMPTY_FRAME",destination=""} 20.0' in hospital.page("metrics")[1]
    hospital.terminate()


def test_frames_that_are_no_messages_are_kept_answered_and_wait_for_a_person(busy: Hospital) -> None:
    odd = [
        MARKER.encode(),
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"\x00" * 100 + b"x",
        b"PID|1||" + MARKER.encode(),
        dft("D1", STRANGER).replace(b"FT1|1|D1-1", b"FT1|1|\xff\xfe"),
        dft("D2", STRANGER).replace(b"IMP-1", MARKER.encode() * 40),
        dft("D3", STRANGER).replace(b"CG|IMP-1|||1", b"CG|IMP-1|||" + MARKER.encode()),
        dft("D4", STRANGER).replace(b"20260512090210-0500", MARKER.encode()),
        dft("D5", STRANGER).replace(b"P03", b"P99"),
        dft("D6", STRANGER).replace(b"D6|P|", b"D6" * 300 + b"|P|"),
        dft("D7\x00", STRANGER),
    ]
    with bad(busy) as connection:
        connection.settimeout(5)
        for each in odd:
            connection.sendall(b"\x0b" + each + b"\x1c\r")
            answer = connection.recv(65536)
            assert answer.startswith(b"\x0bMSH|") and b"\rMSA|A" in answer, each
            assert MARKER.encode() not in answer
    wait_until(lambda: busy.query("SELECT count(*) FROM message WHERE state = 'received' AND control_id NOT LIKE 'C%'") == [(0,)])
    states = dict(busy.query("SELECT state, count(*) FROM message WHERE control_id NOT LIKE 'C%' GROUP BY state"))
    assert sum(states.values()) == len(odd)
    reasons = repr(busy.query("SELECT reason, code, field, path FROM exception"))
    assert len(busy.query("SELECT id FROM exception")) >= 9
    assert MARKER not in reasons
    assert MARKER not in repr(busy.query("SELECT reason FROM message"))
    assert MARKER not in busy.page("metrics")[1] + busy.page("readyz")[1]


def test_senders_that_reset_their_connection_right_after_a_message(busy: Hospital) -> None:
    sent = {f"C{9_000_000 + n}" for n in range(50)}
    for control_id in sorted(sent):
        with socket.create_connection(("127.0.0.1", busy.charges_port)) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.sendall(b"\x0b" + dft(control_id, int(control_id[1:])) + b"\x1c\r")
    wait_until(lambda: not busy.query("SELECT 1 FROM message WHERE state = 'received' AND control_id LIKE 'C90000%' LIMIT 1"))
    assert "unexpected error" not in busy.said()


def test_senders_that_reset_their_connection_over_tls(tmp_path: Path) -> None:
    with Hospital(tmp_path) as hospital:
        ca = Authority(tmp_path)
        pair = ca.sign("engine")
        channel = hospital.directory / "channels" / "charges" / "channel.yaml"
        tls = f"tls: {{certificate: {pair.certificate}, key: {pair.key}}}"
        channel.write_text(channel.read_text().replace("frame_timeout_s: 1", f"frame_timeout_s: 20, {tls}"))
        hospital.start()
        context = ssl.create_default_context(cafile=ca.path)
        context.check_hostname = False
        for n in range(600):  # some are reset when the engine is about to write, as the handshake ends or the answer is due
            plain = socket.create_connection(("127.0.0.1", hospital.charges_port))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with context.wrap_socket(plain) as sender:
                sender.sendall(b"\x0b" + dft(f"C{n}", n) + b"\x1c\r")
        wait_until(lambda: not [c for c in hospital.process.net_connections() if c.laddr.port == hospital.charges_port and c.raddr])
        wait_until(lambda: not hospital.query("SELECT 1 FROM message WHERE state = 'received' LIMIT 1"))
        assert " critical " not in hospital.said()
        hospital.terminate()


@pytest.mark.parametrize("descriptors", [1024])
def test_a_thousand_connections_that_say_nothing(hospital: Hospital, descriptors: int) -> None:
    """With the limit of open files that most systems give a process."""
    hospital.limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    hospital.start()
    charges = hospital.send_charges()
    wait_until(lambda: len(charges.acked) > 50)
    with contextlib.ExitStack() as silent:
        for _ in range(1000):
            silent.enter_context(bad(hospital))
        taken = len(charges.acked)
        wait_until(lambda: len(charges.acked) > taken + 100, what="others go on")
        with bad(hospital) as one_more:
            one_more.settimeout(5)
            one_more.sendall(b"\x0b" + dft("C9999999", STRANGER) + b"\x1c\r")
            assert b"MSA|AA|C9999999" in one_more.recv(65536)
        assert (charges.refused, charges.broken) == (0, 0), "others were disturbed"
        wait_until(lambda: "C9999999" in {row[0] for row in list(hospital.erp.seen)}, what="deliveries go on")
    hospital.wait_for_delivery()
    hospital.terminate()
