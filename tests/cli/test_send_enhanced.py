"""`suture send` in enhanced mode: a commit answer, then the application's, each awaited where the message asks for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from suture.cli import exits
from suture.wire import mllp
from tests.cli.conftest import Ran, Suture

LONG_S = 60
SHORT_S = 0.4


def message(modes: str, control_id: str = "E1") -> bytes:
    return rf"MSH|^~\&|POC|WEST|HUB|GENERAL|20260401||ADT^A08|{control_id}|P|2.5.1|||{modes}".encode() + b"\rPID|1\r"


def answer(code: str, control_id: str, modes: str = "|", more: str = "") -> bytes:
    head = rf"MSH|^~\&|HUB|GENERAL|POC|WEST|20260401||ACK^A08^ACK|H-{code}-{control_id}|P|2.5.1|||{modes}"
    return mllp.frame(f"{head}\rMSA|{code}|{control_id}{more}\r".encode())


@dataclass
class Partner(threading.Thread):
    """Answers each message with the next list of its script: bytes to send at once, or an Event to wait for before the next."""

    script: list[list[bytes | threading.Event | None]] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.converse(connection)
            self.over.set()

    def converse(self, connection: socket.socket) -> None:
        unframer = mllp.Unframer(1 << 20)
        while data := connection.recv(65_536):
            for raw in unframer.feed(data):
                self.received.append(raw)
                for step in self.script.pop(0) if self.script else []:
                    if step is None:
                        return
                    if isinstance(step, threading.Event):
                        assert step.wait(LONG_S)
                    else:
                        connection.sendall(step)


@dataclass
class Sent:
    """One run of the command with this script at the peer's side."""

    suture: Suture
    directory: Path
    partners: list[Partner] = field(default_factory=list)

    def __call__(self, messages: bytes, script: list[list[Any]], *options: object) -> tuple[Ran, Partner]:
        (self.directory / "m.hl7").write_bytes(messages)
        partner = Partner(script)
        self.partners.append(partner)
        partner.start()
        given = ("--timeout", LONG_S, "--application-timeout", LONG_S) if "--timeout" not in options else ()
        return self.suture("send", self.directory / "m.hl7", "--to", partner.address, *given, *options), partner

    def json(self, *given: Any) -> tuple[int, dict[str, Any]]:
        ran, _ = self(*given, "--json")
        (reply,) = ran.json
        return ran.code, reply


@pytest.fixture
def send(suture: Suture, tmp_path: Path) -> Iterator[Sent]:
    one = Sent(suture, tmp_path)
    yield one
    for partner in one.partners:
        partner.listener.close()


@pytest.mark.parametrize(("code", "ends"), [("AA", exits.OK), ("AE", exits.FAILED), ("AR", exits.FAILED)])
def test_the_applications_answer_decides_after_the_commit_answer(send: Sent, code: str, ends: int) -> None:
    ended, reply = send.json(message("AL|AL"), [[answer("CA", "E1"), answer(code, "E1", more="|because")]])
    assert ended == ends
    assert (reply["commit"], reply["code"], reply["text"], reply["fault"]) == ("CA", code, "because", "")
    assert f"MSA|{code}|E1" in reply["ack"] and "MSA|CA|E1" in reply["commit_ack"]
    assert 0 < reply["commit_ms"] <= reply["took_ms"]


def test_both_answers_in_one_packet_are_both_heard(send: Sent) -> None:
    ran, _ = send(message("AL|AL"), [[answer("CA", "E1") + answer("AE", "E1", more="|no such account")]])
    assert ran.code == exits.FAILED
    assert ran.lines[-1].startswith("E1  CA, then AE  no such account  ")
    assert [line for line in ran.lines if line.startswith("MSA")] == ["MSA|CA|E1", "MSA|AE|E1|no such account"]


@pytest.mark.parametrize("code", ["CE", "CR"])
def test_a_refusal_at_receipt_is_the_end(send: Sent, code: str) -> None:
    ended, reply = send.json(message("AL|AL"), [[answer(code, "E1")]])
    assert (ended, reply["code"], reply["commit"], reply["fault"]) == (exits.FAILED, code, code, "")


def test_a_commit_answer_without_the_applications_is_said_to_be_that(send: Sent) -> None:
    ran, _ = send(message("AL|AL"), [[answer("CA", "E1")]], "--timeout", LONG_S, "--application-timeout", SHORT_S)
    assert ran.code == exits.NO_ANSWER
    assert f"E1  CA, then FAILED: no application answer in {SHORT_S} s over this connection" in ran.out


def test_the_peer_may_close_after_its_commit_answer(send: Sent) -> None:
    ended, reply = send.json(message("AL|AL"), [[answer("CA", "E1"), None]])
    assert (ended, reply["commit"], reply["code"]) == (exits.NO_ANSWER, "CA", "")
    assert reply["fault"] == "the peer closed the connection after CA, without the application's answer"


def test_each_answer_has_its_own_time(send: Sent) -> None:
    ran, _ = send(message("AL|AL"), [[]], "--timeout", SHORT_S, "--application-timeout", LONG_S)
    assert ran.code == exits.NO_ANSWER and f"FAILED: no ACK in {SHORT_S} s" in ran.out


def test_a_peer_that_knows_no_enhanced_mode_is_understood(send: Sent) -> None:
    ended, reply = send.json(message("AL|AL"), [[answer("AA", "E1")]])
    assert (ended, reply["commit"], reply["code"]) == (exits.OK, "", "AA")


ROWS = [
    # MSH-15|MSH-16, what the peer answers, code, exit, what is said
    ("AL|NE", ["CA"], "CA", exits.OK, ""),
    ("AL|NE", ["CE"], "CE", exits.FAILED, ""),
    ("NE|AL", ["AA"], "AA", exits.OK, ""),
    ("NE|AL", ["AE"], "AE", exits.FAILED, ""),
    ("NE|AL", [], "", exits.NO_ANSWER, "no application answer"),
    ("NE|AL", ["CA", "AE"], "AE", exits.FAILED, ""),
    ("NE|NE", [], "", exits.OK, "none is asked for"),
    ("AL|ER", ["CA"], "CA", exits.OK, "MSH-16 ER"),
    ("AL|ER", ["CA", "AE"], "AE", exits.FAILED, ""),
    ("AL|SU", ["CA", "AA"], "AA", exits.OK, ""),
    ("AL|SU", ["CA"], "", exits.NO_ANSWER, "MSH-16 SU"),
    ("ER|NE", [], "", exits.OK, "MSH-15 ER"),
    ("ER|NE", ["CR"], "CR", exits.FAILED, ""),
    ("ER|AL", ["AA"], "AA", exits.OK, ""),
    ("ER|AL", ["CE"], "CE", exits.FAILED, ""),
    ("ER|ER", [], "", exits.OK, "MSH-16 ER"),
    ("ER|ER", ["AR"], "AR", exits.FAILED, ""),
    ("SU|NE", ["CA"], "CA", exits.OK, ""),
    ("SU|NE", [], "", exits.NO_ANSWER, "MSH-15 SU"),
    ("SU|SU", ["CA", "AA"], "AA", exits.OK, ""),
    ("|NE", ["CA"], "CA", exits.OK, ""),
    ("|AL", ["AA"], "AA", exits.OK, ""),
    ('al|""', ["CA"], "CA", exits.OK, ""),
    ("|", ["CA"], "CA", exits.OK, ""),
    ("|", ["AA"], "AA", exits.OK, ""),
]


@pytest.mark.parametrize(("modes", "codes", "code", "ends", "says"), ROWS, ids=[f"{row[0]} {'+'.join(row[1])}" for row in ROWS])
def test_what_is_awaited_is_what_the_message_asks_for(send: Sent, modes: str, codes: list[str], code: str, ends: int, says: str) -> None:
    waits = not code or says  # somebody has to wait for a silence, and nobody for what comes
    patience = ("--timeout", SHORT_S, "--application-timeout", SHORT_S) if waits else ()
    ran, _ = send(message(modes), [[answer(each, "E1") for each in codes]], *patience, "--json")
    (reply,) = ran.json
    assert (ran.code, reply["code"]) == (ends, code)
    assert says in reply["fault"] + reply["silence"] if says else reply["fault"] + reply["silence"] == ""


def test_the_applications_answer_is_awaited_where_one_insists(send: Sent) -> None:
    """A server that answers CA and later AE to senders that asked for neither."""
    ended, reply = send.json(message("|"), [[answer("CA", "E1"), answer("AE", "E1")]], "--application")
    assert (ended, reply["commit"], reply["code"]) == (exits.FAILED, "CA", "AE")


def test_a_late_answer_is_not_taken_for_the_next_messages(send: Sent) -> None:
    first, second = message("|", "E1"), message("|", "E2")
    ran, _ = send(first + second, [[answer("CA", "E1")], [answer("AE", "E1"), answer("AA", "E2")]])
    assert "E2  AA" in ran.out and "late: AE for E1" in ran.out
    assert ran.code == exits.FAILED, "what was accepted first was refused later"


def test_codes_are_read_without_blanks_and_case(send: Sent) -> None:
    ended, reply = send.json(message("AL|AL"), [[answer(" ca ", "E1"), answer("aa", "E1")]])
    assert (ended, reply["code"]) == (exits.OK, "AA")


@pytest.mark.parametrize(("modes", "expected"), [("AL|NE", [b"MSA|CA|H-AA-E1"]), ("NE|NE", []), ("|", [])])
def test_the_applications_answer_is_accepted_where_it_asks(send: Sent, modes: str, expected: list[bytes]) -> None:
    """Its own MSH-15 asks whether it came; the next message is received after that."""
    _, partner = send(message("AL|AL") + message("NE|NE", "E2"), [[answer("CA", "E1"), answer("AA", "E1", modes)]])
    assert partner.over.wait(LONG_S)
    said = [line for raw in partner.received for line in raw.split(b"\r") if line.startswith(b"MSA")]
    assert said == expected


def test_a_large_run_counts_what_decides(send: Sent) -> None:
    messages = b"".join(message(modes, f"L{n}") for n, modes in enumerate(("AL|AL", "AL|AL", "NE|NE", "AL|NE")))
    script = [[answer("CA", "L0"), answer("AA", "L0")], [answer("CA", "L1"), answer("AE", "L1")], [], [answer("CA", "L3")]]
    ran, _ = send(messages, script, "--count", 4, "--json")
    assert ran.code == exits.FAILED
    figures = {name: ran.json[name] for name in ("sent", "accepted", "refused", "unanswered", "unasked", "late")}
    assert figures == {"sent": 4, "accepted": 2, "refused": {"AE": 1}, "unanswered": 0, "unasked": 1, "late": {}}
