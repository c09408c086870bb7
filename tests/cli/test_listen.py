"""The test receiver: it answers as it is told, and `suture send` sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.cli import exits
from suture.cli.mllp import sending
from suture.cli.mllp.listening import Behaviour, Store, as_asked
from suture.connectors.mllp import conversing
from suture.wire.hl7v2.exchange import ack
from tests.cli.conftest import Suture

ONE = b"MSH|^~\\&|A|B|C|D|20260304||DFT^P03|ID1|P|2.5.1\rPID|1||77||MARKER^ANNA\r"


@pytest.mark.parametrize(
    ("behaviour", "answers"),
    [
        (Behaviour(), ["", "", "", "", "", ""]),
        (Behaviour("CA"), ["CA"] * 6),
        (Behaviour(every=((2, "AE"), (3, "AR"))), ["", "AE", "AR", "AE", "", "AE"]),
        (Behaviour("AA", every=((1, "AR"),), drop_every=3), ["AR", "AR", "drop", "AR", "AR", "drop"]),
        (Behaviour(silent_every=2, drop_every=4), ["", "silent", "", "drop", "", "silent"]),
    ],
)
def test_a_dropped_message_comes_before_a_silent_one_before_the_codes_in_their_order(behaviour: Behaviour, answers: list[str]) -> None:
    assert [behaviour.answer_to(number) for number in range(1, 7)] == answers


@pytest.mark.parametrize(
    ("commit", "application", "answer"),
    [
        ("", "", "AA"),
        ("AL", "NE", "CA"),
        ("SU", "AL", "CA"),
        ("ER", "NE", "none"),
        ("NE", "NE", "none"),
        ("NE", "AL", "AA"),
        ("", "ER", "none"),
        ("XX", "XX", "CA"),
        ("", "NE", "CA"),
    ],
)
def test_a_good_answer_is_the_one_that_is_asked_for(commit: str, application: str, answer: str) -> None:
    assert as_asked(ack.Header.read(f"MSH|^~\\&|A|||||||1|P|2.5.1|||{commit}|{application}\r".encode())) == answer
    assert as_asked(None) == "AE"


class Listener:
    """`suture listen` as a process, on a free port."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "suture.cli.main", "listen", "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}
        )
        assert self.process.stdout
        self.first = self.process.stdout.readline()
        port = json.loads(self.first)["listening"]["port"] if "--json" in arguments else self.first.split(";")[0].rpartition(":")[2]
        self.address = f"127.0.0.1:{port}"

    def interrupt(self) -> None:
        self.process.send_signal(2)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def listener() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(*arguments: object) -> Listener:
        made.append(Listener(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.communicate()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.hl7"
    path.write_bytes(ONE)
    return path


def test_it_counts_answers_as_told_and_ends(suture: Suture, listener: Callable[..., Listener], file: Path) -> None:
    receiver = listener("--every", "2:AE", "--count", 5, "--text", "no stock")
    ran = suture("send", file, "--to", receiver.address, "--count", 5, "--new-ids", "--json")
    assert ran.code == exits.FAILED
    assert {name: ran.json[name] for name in ("sent", "accepted", "refused", "unanswered")} == {
        "sent": 5,
        "accepted": 3,
        "refused": {"AE": 2},
        "unanswered": 0,
    }
    code, out, err = receiver.end()
    assert (code, err) == (exits.OK, "")
    assert "5 received" in out and "answered 3 AA, 2 AE" in out
    assert "MARKER" not in out


def test_ctrl_c_ends_it_with_the_figures(listener: Callable[..., Listener]) -> None:
    receiver = listener("--json")
    receiver.interrupt()
    code, out, err = receiver.end()
    assert (code, err) == (exits.OK, "")
    assert json.loads(out)["summary"]["received"] == 0


def test_messages_are_kept_a_file_each_and_printed_as_json_lines(
    suture: Suture, listener: Callable[..., Listener], file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    receiver = listener("--save", folder, "--count", 2, "--json")
    assert suture("send", file, "--to", receiver.address, "--repeat", 2).code == exits.OK
    _, out, _ = receiver.end()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["number"], line["control_id"], line["type"], line["file"]) for line in lines[:2]] == [
        (1, "ID1", "DFT^P03", "000001-ID1.hl7"),
        (2, "ID1", "DFT^P03", "000002-ID1.hl7"),
    ]
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [ONE, ONE]


def test_a_directory_with_messages_is_numbered_on(tmp_path: Path) -> None:
    assert Store(tmp_path).keep(b"x", "../a b") == "000001-.._a_b.hl7"
    assert Store(tmp_path).keep(b"y", "") == "000002-no-id.hl7"


@pytest.mark.parametrize(
    ("told", "says"), [(("--drop-every", 2), "closed the connection without an ACK"), (("--silent-every", 2), "no ACK in 0.3 s")]
)
def test_a_drop_and_a_silence_are_seen_by_the_sender(
    suture: Suture, listener: Callable[..., Listener], file: Path, told: tuple[Any, ...], says: str
) -> None:
    receiver = listener(*told)
    ran = suture("send", file, "--to", receiver.address, "--repeat", 3, "--timeout", 0.3)
    assert ran.code == exits.NO_ANSWER
    assert says in ran.out and "2 sent, 1 accepted, 0 refused, 1 without an answer" in ran.out


def test_a_sender_that_keeps_going_connects_again(suture: Suture, listener: Callable[..., Listener], file: Path) -> None:
    receiver = listener("--drop-every", 2)
    ran = suture("send", file, "--to", receiver.address, "--count", 6, "--connections", 2, "--keep-going", "--json")
    assert ran.code == exits.NO_ANSWER
    assert (ran.json["sent"], ran.json["accepted"], ran.json["unanswered"]) == (6, 3, 3)


def test_what_is_no_hl7_is_refused(suture: Suture, listener: Callable[..., Listener], tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"garbage")
    receiver = listener("--print", "raw")
    ran = suture("send", tmp_path / "garbage", "--to", receiver.address)
    assert ran.code == exits.FAILED and "AE" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--every", "3"], "3:AE"),
        (["--every", "3:XX"], "3:AE"),
        (["--code", "OK"], "is not one of"),
        (["--key", "k.pem"], "name that too"),
        (["--cert", "/nowhere.pem"], "No such file"),
        (["--host", "203.0.113.1"], "name another with --port"),
        (["--host", "ü..ä"], "cannot be the name of a host"),
        (["--delay-ms", "nan"], "'nan' is not a number"),
        (["--port", "0", "--save", "/dev/null"], "name a directory that can be written"),
    ],
)
def test_wrong_use_says_what_to_write(suture: Suture, arguments: list[str], says: str) -> None:
    ran = suture("listen", *arguments)
    assert ran.code == exits.WRONG and says in ran.err and "Traceback" not in ran.err


def test_ctrl_c_ends_a_send_with_the_figures(listener: Callable[..., Listener], file: Path) -> None:
    receiver = listener("--json")
    command = [sys.executable, "-m", "suture.cli.main", "send", str(file), "--to", receiver.address, "--count", "1000000", "--rate", "50"]
    sender = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert receiver.process.stdout
    for _ in range(2):  # when the second has come, the first is answered
        receiver.process.stdout.readline()
    sender.send_signal(2)
    out, err = sender.communicate(timeout=20)
    assert sender.returncode == exits.INTERRUPTED
    assert "without an answer; p50" in out and err.strip() == "ended by Ctrl-C"


def test_new_ids_change_msh_10_alone(suture: Suture, listener: Callable[..., Listener], file: Path, tmp_path: Path) -> None:
    receiver = listener("--save", tmp_path / "kept", "--count", 3)
    assert suture("send", file, "--to", receiver.address, "--count", 3, "--new-ids").code == exits.OK
    receiver.end()
    kept = [path.read_bytes() for path in (tmp_path / "kept").iterdir()]
    assert len({raw.split(b"|")[9] for raw in kept}) == 3
    assert {conversing.with_control_id(raw, "ID1") for raw in kept} == {ONE}


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        (b"MSH|^~\\&|A\rPID|1", b"MSH|^~\\&|A|||||||N1\rPID|1"),
        (b"MSH#*~\\&#A#######X#P\nPID", b"MSH#*~\\&#A#######N1#P\nPID"),
        (b"garbage\rPID|1", b"garbage\rPID|1"),
        (b"", b""),
    ],
)
def test_a_new_control_id_in_any_header(raw: bytes, changed: bytes) -> None:
    assert conversing.with_control_id(raw, "N1") == changed


def test_the_figures_are_right_to_two_percent_in_constant_memory() -> None:
    summary = sending.Summary()
    for ms in range(1, 10_001):
        summary.add(conversing.Reply("x", code="AA" if ms % 10 else "AE", took_ms=ms / 10))
    summary.add(conversing.Reply("x", fault="no ACK"))
    summary.took_s = 10
    facts = summary.facts()
    assert (facts["sent"], facts["accepted"], facts["refused"], facts["unanswered"], facts["rate"]) == (10_001, 9000, {"AE": 1000}, 1, 1000)
    assert facts["p50_ms"] == pytest.approx(500, rel=0.03) and facts["p99_ms"] == pytest.approx(990, rel=0.03)
    assert len(summary.bins) < 500
    assert sending.Summary().facts()["p50_ms"] is None


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1, with its key, that is its own authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path / "peer.pem"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=peer"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", f"{path}.crt"]
    subprocess.run([openssl, *new, *names], check=True, capture_output=True)
    path.write_bytes(Path(f"{path}.key").read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_over_tls_the_peers_certificate_must_hold(suture: Suture, listener: Callable[..., Listener], file: Path, certificate: Path) -> None:
    receiver = listener("--cert", certificate)
    assert suture("send", file, "--to", receiver.address, "--tls", "--ca", certificate).code == exits.OK
    ran = suture("send", file, "--to", receiver.address, "--tls")
    assert ran.code == exits.NO_ANSWER and "its certificate does not hold" in ran.out and "--ca" in ran.out
    ran = suture("send", file, "--to", receiver.address, "--timeout", 1)
    assert ran.code == exits.NO_ANSWER


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--ca", "x.pem"], "add --tls"),
        (["--tls", "--key", "x.key"], "name that too"),
        (["--tls", "--ca", "/nowhere.pem"], "No such file"),
        (["--tls", "--ca", "FILE"], "not a PEM file"),
    ],
)
def test_wrong_tls_files_are_named(suture: Suture, file: Path, arguments: list[str], says: str) -> None:
    ran = suture("send", file, "--to", "127.0.0.1:1", *(str(file) if each == "FILE" else each for each in arguments))
    assert ran.code == exits.WRONG and says in ran.err and "Traceback" not in ran.err
