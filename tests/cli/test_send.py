"""The MLLP client: cutting files into messages, and what peers do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suture.cli import exits
from suture.wire import mllp
from suture.wire.hl7v2.text import cut
from tests.cli.conftest import Suture

ONE = b"MSH|^~\\&|A|B|C|D|20260304||DFT^P03|ID1|P|2.5.1\rPID|1\r"
TWO = ONE.replace(b"ID1", b"ID2")


def messages(data: bytes) -> list[bytes]:
    """The messages of a file."""
    return list(cut.messages(cut.units([data], max(len(data), 1))))


@pytest.mark.parametrize(
    "data",
    [
        ONE + TWO,
        (ONE + TWO).replace(b"\r", b"\n"),
        (ONE + TWO).replace(b"\r", b"\r\n"),
        b"\xef\xbb\xbf" + ONE + b"\r\r" + TWO,
        mllp.frame(ONE) + mllp.frame(TWO),
        mllp.frame(ONE) + b"\n" + mllp.frame(TWO) + b"\n",
        b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|2\rFTS|1\r",
    ],
)
def test_a_file_is_cut_into_its_messages(data: bytes) -> None:
    assert messages(data) == [ONE, TWO]


def test_one_message_without_a_last_line_end_and_other_separators() -> None:
    assert messages(b"MSH~^|\\&~A\nPID~1") == [b"MSH~^|\\&~A\rPID~1\r"]
    assert messages(b"") == messages(b"\n\n") == []
    assert messages(b"garbage") == [b"garbage\r"]


def ack(raw: bytes, code: str = "AA", control_id: str = "") -> bytes:
    control_id = control_id or raw.split(b"|")[9].decode()
    return mllp.frame(f"MSH|^~\\&|C|D|A|B|20260304||ACK|1|P|2.5.1\rMSA|{code}|{control_id}|said so\r".encode())


class Peer(threading.Thread):
    """A server on a free port that answers each message with `answer`; b"" closes the connection."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        super().__init__(daemon=True)
        self.answer, self.received = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.done = threading.Event()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        unframer = mllp.Unframer(1 << 20)
        with connection:
            while data := connection.recv(65_536):
                for raw in unframer.feed(data):
                    self.received.append(raw)
                    answer = self.answer(raw)
                    if not answer:
                        return
                    for byte in answer:
                        connection.sendall(bytes([byte]))

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def peer_of() -> Iterator[Callable[[Callable[[bytes], bytes]], Peer]]:
    peers: list[Peer] = []

    def make(answer: Callable[[bytes], bytes]) -> Peer:
        peers.append(Peer(answer))
        peers[-1].start()
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages.hl7"
    path.write_bytes(ONE + TWO)
    return path


def test_the_ack_of_one_message_is_printed(suture: Suture, tmp_path: Path, peer_of: Callable[..., Peer]) -> None:
    (tmp_path / "one.hl7").write_bytes(ONE.replace(b"\r", b"\n"))
    peer = peer_of(ack)
    ran = suture("send", tmp_path / "one.hl7", "--to", peer.address)
    assert ran.code == exits.OK
    assert peer.received == [ONE]
    assert ran.lines[1] == "MSA|AA|ID1|said so" and ran.lines[2].startswith("ID1  AA  said so  ")


def test_several_messages_go_over_one_connection_in_order(suture: Suture, file: Path, peer_of: Callable[..., Peer]) -> None:
    peer = peer_of(ack)
    ran = suture("send", file, "--to", peer.address, "--repeat", 2, "--json")
    assert peer.received == [ONE, TWO, ONE, TWO]
    assert [(reply["control_id"], reply["code"]) for reply in ran.json] == [("ID1", "AA"), ("ID2", "AA")] * 2


def test_what_a_receiver_may_find_odd_is_said_and_sent_as_it_is(suture: Suture, tmp_path: Path, peer_of: Callable[..., Peer]) -> None:
    odd = TWO + b"NTE|1||first\nsecond|x\r PV1|1\rno segment\r"
    (tmp_path / "odd.hl7").write_bytes(ONE + odd)
    peer = peer_of(ack)
    ran = suture("send", tmp_path / "odd.hl7", "--to", peer.address)
    assert (ran.code, peer.received) == (exits.OK, [ONE, odd])
    assert ran.err.splitlines() == [
        "suture: message 2: PV1: BAD_SEGMENT: a line that does not begin with a segment's name and the field separator: "
        "line 5, behind this segment; it is sent as it is",
        "suture: message 2: PV1: blanks before the segment's name, in line 4",
    ]


def test_a_second_header_begins_another_message(suture: Suture, tmp_path: Path, peer_of: Callable[..., Peer]) -> None:
    text = TWO + b"NTE|1||a\rMSH and more\r"
    (tmp_path / "two.hl7").write_bytes(mllp.frame(ONE)[:-2] + b"  " + text)
    peer = peer_of(ack)
    ran = suture("send", tmp_path / "two.hl7", "--to", peer.address)
    assert (ran.code, [raw.strip() for raw in peer.received]) == (exits.OK, [ONE.strip(), text.strip()])


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_negative_ack_is_code_1(suture: Suture, file: Path, peer_of: Callable[..., Peer], code: str) -> None:
    peer = peer_of(lambda raw: ack(raw, code))
    ran = suture("send", file, "--to", peer.address)
    assert ran.code == exits.FAILED
    assert len(peer.received) == 2 and f"ID2  {code}  said so" in ran.out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda raw: ack(raw, "AA", "ID10"), "the answer is for 'ID10'"),
        (lambda raw: b"", "closed the connection without an ACK"),
        (lambda raw: mllp.frame(b"hello"), "the answer is not HL7"),
        (lambda raw: mllp.frame(b"MSH|^~\\&|A\r"), "the answer is for ''"),
        (lambda raw: b"\x0bMSH|^~\\&", "no ACK in 0.3 s"),
    ],
)
def test_an_answer_that_is_none_is_code_4(
    suture: Suture, file: Path, peer_of: Callable[..., Peer], answer: Callable[[bytes], bytes], says: str
) -> None:
    ran = suture("send", file, "--to", peer_of(answer).address, "--timeout", 0.3)
    assert ran.code == exits.NO_ANSWER
    assert says in ran.out


def test_a_peer_that_is_not_there_is_code_4(suture: Suture, file: Path) -> None:
    ran = suture("send", file, "--to", "127.0.0.1:1")
    assert ran.code == exits.NO_ANSWER and "cannot connect to 127.0.0.1:1" in ran.out


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "host:", ":2575", "host:99999", "host:port", "ü..ä:2575", f"{'x' * 300}:2575", "a\0b:2575"]
)
def test_a_wrong_address_says_how_to_write_one(suture: Suture, file: Path, address: str) -> None:
    ran = suture("send", file, "--to", address)
    assert ran.code == exits.WRONG and "127.0.0.1:2575" in ran.err


def test_a_file_that_is_not_there_or_empty(suture: Suture, tmp_path: Path) -> None:
    ran = suture("send", tmp_path / "no.hl7", "--to", "127.0.0.1:1")
    assert ran.code == exits.WRONG and "No such file" in ran.err
    (tmp_path / "empty.hl7").write_bytes(b"\n")
    ran = suture("send", tmp_path / "empty.hl7", "--to", "127.0.0.1:1")
    assert ran.code == exits.WRONG and "there is no message in it" in ran.err
